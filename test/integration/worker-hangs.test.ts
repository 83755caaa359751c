import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createRedisEngine } from '../../server/engine/redis/engine.ts'
import { defineJob } from '../../server/jobs/define-job.ts'
import { hungWarnings, stuckReason } from '../../server/worker/hung.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/until.ts'
import { gate, type OpenEngine, openSqlite, openWorkbench, type Workbench } from '../helpers/workbench.ts'

/** Timed out soon, and tried again at once. */
const HASTY = {
  timeoutMs: 50,
  maxAttempts: 3,
  backoff: { kind: 'fixed', delayMs: 0, maxMs: 0, jitter: 0 },
} as const

describeHangs('sqlite', () => openSqlite)

describe('redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())
  describeHangs('redis', () => async () => {
    const engine = createRedisEngine({ url: redis.url, prefix: `t-${randomUUID()}` })
    await engine.start()
    return { engine, close: () => engine.stop() }
  })
})

/** A type whose first attempts go on, whatever they are told, until `end`; later ones return. */
function hanging(type: string, options: { concurrency?: number } = {}) {
  const { opened, open } = gate()
  const started: string[] = []
  const definition = defineJob({
    type,
    ...options,
    async run(_payload, { jobId, attempt }) {
      started.push(`${jobId} ${attempt}`)
      if (attempt === 1) await opened
      return attempt
    },
  })
  return { definition, started, end: open }
}

function describeHangs(name: string, open: () => OpenEngine): void {
  describe(`handlers that hang on ${name}`, () => {
    let bench: Workbench
    beforeEach(async () => {
      bench = await openWorkbench(open())
      bench.maintain()
    })
    afterEach(() => bench.close())

    const count = (event: string) => bench.emitted.filter(({ name: is }) => is === event).length

    test('are not begun again beside themselves: their jobs wait, and others run', async () => {
      const hang = hanging('hang')
      const quick = defineJob({ type: 'quick', run: () => 'done' })
      const worker = await bench.work([hang.definition, quick])
      const jobIds = await Promise.all([1, 2, 3, 4].map(() => bench.submit('hang', {}, HASTY)))
      // Each has timed out, come back, and been put off more than once.
      await until(() => count('run.put_off') >= 12, { what: 'jobs to be put off' })
      expect(hang.started).toHaveLength(4)
      expect(worker.info().running).toBe(4)
      expect(worker.hung()).toEqual({ slots: 10, all: false, types: [{ type: 'hang', runs: 4, limit: 10 }] })
      for (const jobId of jobIds)
        expect(await bench.job(jobId)).toMatchObject({ attempt: 2, stalls: 0, errorCode: 'timeout' })
      expect(await bench.ended(await bench.submit('quick'))).toMatchObject({ result: 'done' })
      expect(await bench.ended(await bench.submit('quick', {}, HASTY))).toMatchObject({ result: 'done' })

      hang.end()
      for (const jobId of jobIds)
        expect(await bench.ended(jobId)).toMatchObject({ status: 'completed', result: 2, attempt: 2 })
      await until(() => worker.info().running === 0)
      expect(worker.hung().types).toEqual([])
      expect(count('run.returned')).toBe(4)
      expect(count('worker.stuck')).toBe(0)
    })

    test('are begun again elsewhere', async () => {
      const hang = hanging('hang')
      await bench.work([hang.definition])
      const jobId = await bench.submit('hang', {}, HASTY)
      await until(() => count('run.overstayed') === 1)
      await bench.work([defineJob({ type: 'hang', run: (_payload, { attempt }) => `elsewhere ${attempt}` })])
      expect(await bench.ended(jobId)).toMatchObject({ status: 'completed', result: 'elsewhere 2' })
      hang.end()
    })

    test('in all slots are told of, until one ends', async () => {
      const hangs = [hanging('one'), hanging('other')]
      const quick = defineJob({ type: 'quick', run: () => 'done' })
      const worker = await bench.work([...hangs.map(({ definition }) => definition), quick], {
        concurrency: 3,
      })
      for (const type of ['one', 'one', 'other']) await bench.submit(type, {}, { ...HASTY, maxAttempts: 1 })
      await until(() => count('worker.stuck') === 1, { what: 'the worker to be stuck' })
      expect(bench.emitted).toContainEqual({
        name: 'worker.stuck',
        data: {
          slots: 3,
          types: [
            { type: 'one', runs: 2, limit: 3 },
            { type: 'other', runs: 1, limit: 3 },
          ],
        },
      })
      expect(stuckReason(worker.hung())).toMatch(/all 3 slots are held.*\(2 of one, 1 of other\)/)
      expect(worker.pace()).toEqual([])
      const waits = await bench.submit('quick')
      hangs[1]?.end()
      expect(await bench.ended(waits)).toMatchObject({ result: 'done' })
      expect(stuckReason(worker.hung())).toBeNull()
      expect(count('worker.unstuck')).toBe(1)
      hangs[0]?.end()
      await until(() => worker.info().running === 0)
      expect(count('worker.unstuck')).toBe(1)
    })

    test('in all slots of a type are told of, and other types run', async () => {
      const hang = hanging('narrow', { concurrency: 1 })
      const worker = await bench.work([hang.definition, defineJob({ type: 'quick', run: () => 'done' })])
      await bench.submit('narrow', {}, HASTY)
      await until(() => worker.hung().types.length === 1)
      expect(hungWarnings(worker.hung())).toEqual([expect.stringMatching(/^nothing of type narrow runs/)])
      const waits = await bench.submit('narrow')
      expect(await bench.ended(await bench.submit('quick'))).toMatchObject({ result: 'done' })
      expect(hang.started).toHaveLength(1)
      hang.end()
      expect(await bench.ended(waits)).toMatchObject({ status: 'completed' })
      expect(hungWarnings(worker.hung())).toEqual([])
    })

    test('after a cancel hold their slots as well, and their jobs may be retried by hand', async () => {
      const hang = hanging('hang')
      const worker = await bench.work([hang.definition], { cancelGraceMs: 20 })
      const jobId = await bench.submit('hang')
      await until(() => hang.started.length === 1)
      await bench.engine.cancel(jobId)
      expect(await bench.ended(jobId)).toMatchObject({ status: 'cancelled' })
      await until(() => worker.hung().types.length === 1)
      await bench.engine.retry(jobId)
      await until(() => count('run.put_off') >= 1)
      expect(hang.started).toHaveLength(1)
      hang.end()
      expect(await bench.ended(jobId)).toMatchObject({ status: 'completed', attempt: 1 })
      expect(hang.started).toHaveLength(2)
    })

    test('of a worker that stops are no news', async () => {
      const hang = hanging('hang')
      const worker = await bench.work([hang.definition], { concurrency: 1 })
      const jobId = await bench.submit('hang')
      await until(() => hang.started.length === 1)
      await worker.drain(0)
      await until(() => count('run.overstayed') === 1)
      expect(await bench.job(jobId)).toMatchObject({ status: 'queued' })
      expect(count('worker.stuck')).toBe(0)
      hang.end()
    })
  })
}
