import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Claim, Engine } from '../../server/engine/engine.ts'
import { OutcomeUnknown } from '../../server/engine/errors.ts'
import { createRedisEngine } from '../../server/engine/redis/engine.ts'
import { defineJob } from '../../server/jobs/define-job.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { type PassingMessage, type RedisProxy, startRedisProxy } from '../helpers/redis-proxy.ts'
import { until } from '../helpers/until.ts'
import { gate, openWorkbench, type Workbench, withVerbs } from '../helpers/workbench.ts'

let redis: RedisServer
let proxy: RedisProxy
let client: Redis
let prefix: string
let bench: Workbench
beforeAll(async () => {
  redis = await startRedis()
  proxy = await startRedisProxy(() => redis.port)
  client = new Redis(redis.url)
})
afterEach(async () => {
  proxy.disturb = (_message, deliver) => deliver()
  await bench.close()
})
afterAll(async () => {
  client.disconnect()
  await proxy.close()
  await redis.stop()
})

const names = () => bench.emitted.map(({ name }) => name)

async function benchWith(faults: (engine: Engine) => Partial<Engine> = () => ({})): Promise<void> {
  bench = await openWorkbench(
    async () => {
      prefix = `handover-${randomUUID()}`
      const engine = createRedisEngine({ url: proxy.url, prefix })
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

/** Published messages that carry a job vanish; others arrive. */
function loseHandOvers({ text }: PassingMessage, deliver: () => void): void {
  if (!text.startsWith('run ')) deliver()
}

/** How often Redis has carried out a command. */
async function callsOf(command: string): Promise<number> {
  const stats = await client.info('commandstats')
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
}

test('an idle worker runs what is handed to it without claiming it', async () => {
  const handed: Claim[] = []
  const claimed: Claim[] = []
  await benchWith((engine) => ({
    async claim(request) {
      const claims = await engine.claim(request)
      const gets = request.waitMs === undefined ? claimed : handed
      gets.push(...claims)
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
  // A lease that was made of the job's own id is that of a job handed over (lua/lib/hand_over.lua).
  for (const { jobId, lease } of handed) expect(lease).toContain(`/${jobId.slice(19)}.`)
})

test('a job whose message was lost is found by the claim that waits', async () => {
  await benchWith()
  let runs = 0
  await bench.work([defineJob({ type: 'work', run: () => ++runs })], { leaseMs: 900 })
  await idle()
  proxy.disturb = loseHandOvers
  const jobId = await bench.submit('work')
  expect(await bench.ended(jobId)).toMatchObject({ status: 'completed', result: 1, stalls: 0 })
  expect(runs).toBe(1)
})

test('a worker that drains gives back, unspent, what is on its way to it', async () => {
  await benchWith()
  const worker = await bench.work([defineJob({ type: 'work', run: () => 'must not run' })])
  await idle()
  const lost = gate()
  proxy.disturb = (message, deliver) => {
    loseHandOvers(message, deliver)
    if (message.text.startsWith('run ')) lost.open()
  }
  const jobId = await bench.submit('work')
  await lost.opened
  expect(await bench.job(jobId)).toMatchObject({ status: 'processing' })
  await worker.drain(1000)
  expect(await bench.job(jobId)).toMatchObject({ status: 'queued', attempt: 1, stalls: 0 })
  await worker.stop()
  expect(await bench.job(jobId)).toMatchObject({ status: 'queued', attempt: 1, stalls: 0 })
})

test('and what has just come, when it drains', async () => {
  const arrived = gate()
  const held = gate()
  await benchWith((engine) => ({
    async claim(request) {
      const claims = await engine.claim(request)
      if (claims.length > 0) arrived.open()
      await held.opened
      return claims
    },
  }))
  held.open()
  const worker = await bench.work([defineJob({ type: 'work', run: () => 'must not run' })])
  await idle()
  const jobId = await bench.submit('work')
  await arrived.opened
  await worker.drain(0)
  expect(await bench.job(jobId)).toMatchObject({ status: 'queued', attempt: 1, stalls: 0 })
})

test('the lease of a handed job counts from the last look at its wait, and enough of it is left', async () => {
  const left: number[] = []
  const leaseMs = 3000
  await benchWith((engine) => ({
    async claim(request) {
      const claims = await engine.claim(request)
      const now = performance.now()
      left.push(...claims.map(({ leasedAt }) => leasedAt + leaseMs - now))
      return claims
    },
  }))
  bench.maintain()
  await bench.work([defineJob({ type: 'work', run: () => pause(4500) })], { leaseMs })
  await idle()
  const looks = await callsOf('exists')
  await until(async () => (await callsOf('exists')) > looks + 3, { what: 'some looks' })
  const jobIds: string[] = []
  for (let n = 0; n < 4; n++) {
    jobIds.push(await bench.submit('work'))
    await pause(430)
  }
  for (const jobId of jobIds)
    expect(await bench.ended(jobId)).toMatchObject({ status: 'completed', stalls: 0 })
  expect(names()).not.toContain('run.lost')
  expect(left).toHaveLength(4)
  for (const ms of left) expect(ms).toBeLessThanOrEqual(leaseMs)
  expect(Math.max(...left)).toBeGreaterThan(leaseMs / 2)
})

test('what is claimed after a wait that took too long has a whole lease', async () => {
  const waiting = gate()
  const leaseMs = 3000
  await benchWith((engine) => ({
    async claim(request) {
      if (request.waitMs === undefined) return engine.claim(request)
      waiting.open()
      await pause(3300)
      return engine.claim({ ...request, waitMs: 1 })
    },
  }))
  bench.maintain()
  await bench.work([defineJob({ type: 'work', run: () => pause(2300) })], { leaseMs })
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
    async claim(request) {
      if (random() < 0.5) await pause(random() * 5)
      const claims = await engine.claim(request)
      if (random() < 0.3) throw new OutcomeUnknown('the answer was lost', [])
      return claims
    },
  }))
  proxy.disturb = (message, deliver) => {
    if (random() < 0.3) loseHandOvers(message, deliver)
    else deliver()
  }
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
