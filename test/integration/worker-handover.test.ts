import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Claim, ClaimRequest, Engine } from '../../server/engine/engine.ts'
import { createRedisEngine } from '../../server/engine/redis/engine.ts'
import { defineJob } from '../../server/jobs/define-job.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/until.ts'
import { gate, openWorkbench, type Workbench, withVerbs } from '../helpers/workbench.ts'

let redis: RedisServer
let client: Redis
let prefix: string
let bench: Workbench
beforeAll(async () => {
  redis = await startRedis()
  client = new Redis(redis.url)
})
afterEach(() => bench.close())
afterAll(async () => {
  client.disconnect()
  await redis.stop()
})

const names = () => bench.emitted.map(({ name }) => name)

async function benchWith(faults: (engine: Engine) => Partial<Engine>): Promise<void> {
  bench = await openWorkbench(
    async () => {
      prefix = `handover-${randomUUID()}`
      const engine = createRedisEngine({ url: redis.url, prefix })
      await engine.start()
      return { engine, close: () => engine.stop() }
    },
    (engine) => withVerbs(engine, faults(engine)),
  )
}

/** Resolves once a worker has entered its wait: it stands among the idle of its pool then. */
const idle = () =>
  until(
    async () => {
      const [pool] = await client.keys(`{${prefix}:0}:idle:*`)
      return pool !== undefined && (await client.zcard(pool)) > 0
    },
    { what: 'an idle worker' },
  )

test('an idle worker runs what is handed to it without claiming it', async () => {
  const handed: Claim[] = []
  const claimed: Claim[] = []
  await benchWith((engine) => ({
    async waitForWork(request) {
      const claims = await engine.waitForWork(request)
      handed.push(...claims)
      return claims
    },
    async claim(request) {
      const claims = await engine.claim(request)
      claimed.push(...claims)
      return claims
    },
  }))
  await bench.work([defineJob({ type: 'work', run: () => 'done' })])
  await idle()
  for (let n = 0; n < 5; n++) {
    const jobId = await bench.submit('work')
    expect(await bench.ended(jobId)).toMatchObject({ status: 'completed', result: 'done' })
    await idle()
  }
  expect(handed).toHaveLength(5)
  expect(claimed).toEqual([])
})

test('a job whose message was lost is found by the claim of its wait', async () => {
  await benchWith((engine) => ({
    async waitForWork(request) {
      await engine.waitForWork(request)
      return []
    },
  }))
  let runs = 0
  await bench.work([defineJob({ type: 'work', run: () => ++runs })])
  await idle()
  const jobId = await bench.submit('work')
  expect(await bench.ended(jobId)).toMatchObject({ status: 'completed', result: 1, stalls: 0 })
  expect(runs).toBe(1)
})

test('a worker that drains gives back, unspent, what is on its way to it', async () => {
  const arrived = gate()
  const held = gate()
  await benchWith((engine) => ({
    async waitForWork(request) {
      const claims = await engine.waitForWork(request)
      if (claims.length > 0) arrived.open()
      await held.opened
      return claims
    },
  }))
  const worker = await bench.work([defineJob({ type: 'work', run: () => 'must not run' })])
  await idle()
  const jobId = await bench.submit('work')
  await arrived.opened
  expect(await bench.job(jobId)).toMatchObject({ status: 'processing' })
  await worker.drain(1000)
  expect(await bench.job(jobId)).toMatchObject({ status: 'queued', attempt: 1, stalls: 0 })
  held.open()
  await worker.stop()
  expect(await bench.job(jobId)).toMatchObject({ status: 'queued', attempt: 1, stalls: 0 })
})

test('the lease of a handed job counts from the last look at its wait, and enough of it is left', async () => {
  const looks: number[] = []
  let renewals = 0
  await benchWith((engine) => ({
    waitForWork(request) {
      const { claim } = request
      if (claim === undefined) return engine.waitForWork(request)
      looks.push(claim.renewMs)
      const renewed = (sentAt: number) => {
        renewals += 1
        claim.renewed(sentAt)
      }
      return engine.waitForWork({ ...request, claim: { ...claim, renewed } })
    },
  }))
  bench.maintain()
  await bench.work([defineJob({ type: 'work', run: () => pause(1500) })], { leaseMs: 900 })
  await until(() => renewals > 3, { what: 'some looks' })
  const jobIds: string[] = []
  for (let n = 0; n < 4; n++) {
    jobIds.push(await bench.submit('work'))
    await pause(130)
  }
  for (const jobId of jobIds)
    expect(await bench.ended(jobId)).toMatchObject({ status: 'completed', stalls: 0 })
  expect(names()).not.toContain('run.lost')
  expect(Math.max(...looks)).toBeLessThanOrEqual(300)
})

test('what is claimed after a wait that took too long has a whole lease', async () => {
  const waiting = gate()
  await benchWith(() => ({
    async waitForWork() {
      waiting.open()
      await pause(1000)
      return []
    },
  }))
  bench.maintain()
  await bench.work([defineJob({ type: 'work', run: () => pause(700) })], { leaseMs: 900 })
  await waiting.opened
  const jobId = await bench.submit('work')
  expect(await bench.ended(jobId)).toMatchObject({ status: 'completed', stalls: 0 })
  expect(names()).not.toContain('run.lost')
})

test('every job runs once, however many messages are lost, and type limits hold', async () => {
  let seed = 1
  const random = () => {
    seed = (seed * 48271) % 2147483647
    return seed / 2147483647
  }
  await benchWith((engine) => ({
    async waitForWork(request) {
      const claims = await engine.waitForWork(request)
      return random() < 0.3 ? [] : claims
    },
    async claim(request: ClaimRequest) {
      if (random() < 0.5) await pause(random() * 5)
      return engine.claim(request)
    },
  }))
  const runs = new Map<string, number>()
  let underWay = 0
  let most = 0
  const count = (jobId: string) => runs.set(jobId, (runs.get(jobId) ?? 0) + 1)
  const definitions = () => [
    defineJob({ type: 'work', run: (_payload, { jobId }) => void count(jobId) }),
    defineJob({
      type: 'single',
      concurrency: 1,
      async run(_payload, { jobId }) {
        count(jobId)
        most = Math.max(most, ++underWay)
        await pause(random() * 3)
        underWay -= 1
      },
    }),
  ]
  await bench.work(definitions(), { concurrency: 3 })
  await idle()
  const jobIds: string[] = []
  for (let n = 0; n < 150; n++) {
    jobIds.push(await bench.submit(random() < 0.5 ? 'work' : 'single'))
    if (random() < 0.5) await pause(random() * 6)
  }
  for (const jobId of jobIds)
    expect(await bench.ended(jobId)).toMatchObject({ status: 'completed', stalls: 0 })
  expect([...runs.values()].every((times) => times === 1)).toBe(true)
  expect(runs.size).toBe(150)
  expect(most).toBe(1)
  expect(names()).not.toContain('run.lost')
})
