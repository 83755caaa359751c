import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createRedisEngine } from '../../server/engine/redis/engine.ts'
import { defineJob, type JobDefinition } from '../../server/jobs/define-job.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/until.ts'
import { gate, type OpenEngine, openSqlite, openWorkbench, type Workbench } from '../helpers/workbench.ts'

describePrefetch('sqlite', () => openSqlite)

describe('redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())
  describePrefetch('redis', () => async () => {
    const engine = createRedisEngine({ url: redis.url, prefix: `t-${randomUUID()}` })
    await engine.start()
    return { engine, close: () => engine.stop() }
  })
})

function describePrefetch(name: string, open: () => OpenEngine): void {
  describe(`jobs claimed ahead on ${name}`, () => {
    let bench: Workbench
    beforeEach(async () => {
      bench = await openWorkbench(open())
    })
    afterEach(() => bench.close())

    const count = (event: string) => bench.emitted.filter(({ name: heard }) => heard === event).length
    const submitMany = async (type: string, amount: number) => {
      const ids: string[] = []
      for (let n = 0; n < amount; n++) ids.push(await bench.submit(type, { n }))
      return ids
    }

    test('run one after the other, in order, and never more than there are slots', async () => {
      const order: number[] = []
      let running = 0
      let mostRunning = 0
      let mostAhead = 0
      const ids = await submitMany('short', 300)
      await bench.work(
        [
          defineJob({
            type: 'short',
            async run(payload) {
              running += 1
              mostRunning = Math.max(mostRunning, running)
              mostAhead = Math.max(mostAhead, count('run.claimed') - count('run.settled') - running)
              order.push((payload as { n: number }).n)
              await Promise.resolve()
              running -= 1
            },
          }),
        ],
        { concurrency: 1 },
      )
      for (const id of ids) await bench.ended(id)
      expect(order).toEqual(ids.map((_, n) => n))
      expect(mostRunning).toBe(1)
      expect(mostAhead).toBeGreaterThan(1)
    })

    test('do not wait for a long run: another worker takes them', async () => {
      const { opened, open: end } = gate()
      const { opened: begun, open: begin } = gate()
      const long = withLongRuns('mixed', begin, opened)
      const before = await submitMany('mixed', 200)
      const longId = await bench.submit('mixed', { long: true })
      const after = await submitMany('mixed', 100)
      for (let worker = 0; worker < 2; worker++) await bench.work([long], { concurrency: 1 })
      for (const id of [...before, ...after]) {
        expect(await bench.ended(id)).toMatchObject({ status: 'completed', attempt: 1, stalls: 0 })
      }
      await begun
      expect(await bench.job(longId)).toMatchObject({ status: 'processing' })
      end()
      expect(await bench.ended(longId)).toMatchObject({ status: 'completed', attempt: 1, stalls: 0 })
    })

    test('go back unspent when the worker drains', async () => {
      const { opened, open: end } = gate()
      const { opened: begun, open: begin } = gate()
      const ids = await submitMany('short', 200)
      const longId = await bench.submit('short', { long: true })
      const after = await submitMany('short', 50)
      const worker = await bench.work([withLongRuns('short', begin, opened)], { concurrency: 1 })
      await begun
      const drained = worker.drain(10_000)
      for (const id of after) {
        const job = await until(
          async () => {
            const found = await bench.job(id)
            return found.status === 'queued' ? found : null
          },
          { what: 'the job to be queued again' },
        )
        expect(job).toMatchObject({ attempt: 1, stalls: 0 })
      }
      end()
      await drained
      expect(await bench.job(longId)).toMatchObject({ status: 'completed' })
      for (const id of ids) expect(await bench.job(id)).toMatchObject({ status: 'completed' })
    })
  })
}

/**
 * Handlers that end at once, but for jobs that are marked as long. That one of these runs, its handler has to tell: its
 * status would say so as well while it is only claimed ahead.
 */
function withLongRuns(type: string, begin: () => void, end: Promise<void>): JobDefinition {
  return defineJob({
    type,
    run(payload) {
      if ((payload as { long?: boolean }).long !== true) return
      begin()
      return end
    },
  })
}
