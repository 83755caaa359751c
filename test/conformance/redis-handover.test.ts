import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import type { Claim, Engine, NewJob } from '../../server/engine/engine.ts'
import { workerName } from '../../server/engine/redis/keys.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/until.ts'
import { claimRequest, engineTest, type Kit, LONG_LEASE_MS, newJob, present } from './harness.ts'
import { openRedis } from './open-redis.ts'

const WAIT_MS = 10_000

let redis: RedisServer
let client: Redis
beforeAll(async () => {
  redis = await startRedis()
  client = new Redis(redis.url)
})
afterAll(async () => {
  client.disconnect()
  await redis.stop()
})

const it = engineTest(() => openRedis(redis.url), new Set())

interface Waiter {
  readonly claimId: string
  readonly workerId: string
  /** What the wait resolved to, once it did. */
  claims: Claim[] | null
  /** When looks were sent that found it as it should be. */
  readonly renewals: number[]
  /** Ends the wait: what is handed over from now on is not received. */
  deafen(): Promise<void>
}

/** Whether a worker stands among the idle of some pool. */
async function isIdle(workerId: string): Promise<boolean> {
  const pools = await client.keys('*:idle:*')
  const idle = await Promise.all(pools.map((pool) => client.zrange(pool, '0', '-1')))
  return idle.flat().some((entry) => entry.startsWith(`${workerName(workerId)} `))
}

/** The key in which it stands among the idle. */
async function idleOf({ workerId }: Waiter): Promise<string> {
  for (const key of await client.keys('*:idle:*')) {
    const entries = await client.zrange(key, '0', '-1')
    if (entries.some((entry) => entry.startsWith(`${workerName(workerId)} `))) return key
  }
  throw new Error(`${workerId} is not idle`)
}

async function prefixOf(waiter: Waiter): Promise<string> {
  return (await idleOf(waiter)).replace(/idle:.*$/, '')
}

/** Whether somebody listens to what is published for a worker. */
async function isHeard(workerId: string): Promise<boolean> {
  return (await client.pubsub('CHANNELS', `*worker:${workerName(workerId)}`)).length > 0
}

/** Waits under a claim: has entered, or is over already, when the promise resolves. */
async function wait(
  engine: Engine,
  shape: { types?: string[]; workerId?: string; claimId?: string; leaseMs?: number; renewMs?: number } = {},
): Promise<Waiter> {
  const {
    types = ['work'],
    workerId = `w-${randomUUID()}`,
    claimId = randomUUID(),
    leaseMs = LONG_LEASE_MS,
    renewMs = WAIT_MS,
  } = shape
  const abort = new AbortController()
  const renewed = (sentAt: number) => waiter.renewals.push(sentAt)
  const claim = { claimId, leaseMs, renewMs, renewed }
  const ended = engine.waitForWork({ workerId, types, timeoutMs: WAIT_MS, signal: abort.signal, claim })
  const waiter: Waiter = {
    claimId,
    workerId,
    claims: null,
    renewals: [],
    async deafen() {
      abort.abort()
      await ended
    },
  }
  void ended.then((claims) => {
    waiter.claims = claims
  })
  await until(async () => waiter.claims !== null || (await isIdle(workerId)), {
    what: 'a wait that is entered',
  })
  return waiter
}

async function handedTo(waiter: Waiter): Promise<Claim[]> {
  await until(() => waiter.claims !== null, { intervalMs: 1, timeoutMs: 2000, what: 'the wait to end' })
  return present(waiter.claims, 'answer')
}

/** Unaudited: a submission that hands the job over makes two transitions. */
async function submit({ raw }: Kit, ...jobs: NewJob[]): Promise<string[]> {
  const receipt = await raw.submit({ jobs: jobs.length > 0 ? jobs : [newJob()] })
  for (const job of receipt.jobs) expect(job.status).toBe('queued')
  return receipt.jobs.map(({ jobId }) => jobId)
}

async function waitsInLine(kit: Kit, waiter: Waiter, jobId: string): Promise<void> {
  expect(await handedTo(waiter)).toEqual([])
  expect(await kit.job(jobId)).toMatchObject({ status: 'queued' })
  expect(await kit.claimOne({ claimId: waiter.claimId, workerId: waiter.workerId })).toMatchObject({ jobId })
}

describe('a job that is handed over', () => {
  it('is claimed by the worker that waits, once', async (kit) => {
    const waiter = await wait(kit.raw)
    const job = newJob({ payload: { n: 1 }, tags: ['a'] })
    const { jobs } = await kit.raw.submit({ jobs: [job] })
    const receipt = present(jobs[0], 'receipt')
    expect(receipt).toMatchObject({ status: 'queued', cursor: `${kit.raw.feed.epoch}.1` })
    const [run, ...more] = await handedTo(waiter)
    expect(more).toEqual([])
    expect(run).toMatchObject({ jobId: receipt.jobId, payload: { n: 1 }, tags: ['a'], attempt: 1, stalls: 0 })
    expect(run?.waitMs).toBe(0)
    expect(await kit.claim({ workerId: waiter.workerId })).toEqual([])
    expect(await kit.claim(waiter)).toEqual([run])
    expect(await kit.job(receipt.jobId)).toMatchObject({ status: 'processing' })
    expect(await kit.raw.extend({ leases: [present(run, 'run')], leaseMs: LONG_LEASE_MS })).toEqual(['held'])
    expect(await kit.settle(present(run, 'run'), { kind: 'completed', result: 1 })).toBe('completed')
    const events = await kit.events(receipt.jobId)
    expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(events).toMatchObject([
      { data: { status: 'queued' } },
      { data: { status: 'processing' } },
      { data: { status: 'completed' } },
    ])
    expect(await kit.claim(waiter)).toEqual([])
  })

  it('is found by the claim where its message was lost', async (kit) => {
    const waiter = await wait(kit.raw)
    await waiter.deafen()
    const [jobId] = await submit(kit)
    expect(await kit.job(present(jobId, 'job'))).toMatchObject({ status: 'processing' })
    // A wait that is sent again must not be handed a second one, of which the claim would know nothing.
    expect(await handedTo(await wait(kit.raw, waiter))).toEqual([])
    const run = await kit.claimOne({ ...waiter, limit: 0 })
    expect(run.jobId).toBe(jobId)
    expect(await kit.claimOne({ ...waiter, limit: 5 })).toEqual(run)
  })

  it('is taken back when its lease runs out', async (kit) => {
    const waiter = await wait(kit.raw, { leaseMs: 30 })
    await waiter.deafen()
    const [jobId = ''] = await submit(kit)
    await kit.rescued()
    expect(await kit.job(jobId)).toMatchObject({ status: 'queued', stalls: 1 })
  })

  it('hears of a cancel', async (kit) => {
    const waiter = await wait(kit.raw)
    const cancelled: string[] = []
    await kit.raw.onCancel(waiter.workerId, ({ lease }) => cancelled.push(lease))
    const [jobId = ''] = await submit(kit)
    const [run] = await handedTo(waiter)
    await kit.engine.cancel(jobId)
    await until(() => cancelled.length > 0, { what: 'the cancel' })
    expect(cancelled).toEqual([run?.lease])
  })

  it('is answered the same where its submission is repeated', async (kit) => {
    const waiter = await wait(kit.raw)
    const idempotency = { scope: '', key: 'k', bodyHash: 'h' }
    const first = await kit.raw.submit({ jobs: [newJob()], idempotency })
    expect(await handedTo(waiter)).toHaveLength(1)
    expect(await kit.raw.submit({ jobs: [newJob()], idempotency })).toEqual({ ...first, replayed: true })
  })

  it('may have a payload that is kept apart; one too long for a message waits in line', async (kit) => {
    const first = await wait(kit.raw)
    await submit(kit, newJob({ payload: 'ü\n'.repeat(5000) }))
    expect(await handedTo(first)).toMatchObject([{ payload: 'ü\n'.repeat(5000) }])
    const second = await wait(kit.raw)
    const [jobId = ''] = await submit(kit, newJob({ payload: 'x'.repeat(70_000) }))
    await waitsInLine(kit, second, jobId)
  })

  it('goes to the next worker where nobody hears it, and in line where there is none', async (kit) => {
    const dead = present(await kit.store.peer?.(), 'peer')
    const waiters = [await wait(dead), await wait(dead)]
    const alive = await wait(kit.raw)
    await dead.stop()
    for (const { workerId } of waiters) {
      await until(async () => !(await isHeard(workerId)), { what: 'Redis to notice' })
    }
    const [jobId] = await submit(kit)
    expect(await handedTo(alive)).toMatchObject([{ jobId }])
    const next = await submit(kit)
    expect(await kit.job(present(next[0], 'job'))).toMatchObject({ status: 'queued' })
  })
})

describe('no job is handed over', () => {
  it('after the claim was made', async (kit) => {
    const waiter = await wait(kit.raw)
    expect(await kit.claim({ ...waiter, limit: 0 })).toEqual([])
    expect(await handedTo(waiter)).toEqual([])
    const [jobId = ''] = await submit(kit)
    expect(await kit.job(jobId)).toMatchObject({ status: 'queued' })
    expect(await kit.claim({ ...waiter, limit: 0 })).toEqual([])
    expect(await kit.claimOne(waiter)).toMatchObject({ jobId })
  })

  it('to a worker that waits without a claim', async (kit) => {
    const workerId = `w-${randomUUID()}`
    const request = { workerId, types: ['work'], timeoutMs: WAIT_MS }
    const waiting = kit.raw.waitForWork({ ...request, signal: new AbortController().signal })
    await until(() => isIdle(workerId), { what: 'a wait that is entered' })
    const [jobId = ''] = await submit(kit)
    expect(await waiting).toEqual([])
    expect(await kit.job(jobId)).toMatchObject({ status: 'queued' })
  })

  it('of a type that is paused', async (kit) => {
    await kit.raw.pause('work')
    const waiter = await wait(kit.raw)
    const [jobId = ''] = await submit(kit)
    expect(await kit.job(jobId)).toMatchObject({ status: 'queued' })
    expect(waiter.claims).toBeNull()
    await kit.raw.resume('work')
    await waitsInLine(kit, waiter, jobId)
  })

  it('ahead of others: where its queue is not empty, or several come together', async (kit) => {
    const waiter = await wait(kit.raw)
    const [first = ''] = await submit(kit, newJob(), newJob())
    await submit(kit, newJob({ policy: { priority: 9 } }))
    expect(await handedTo(waiter)).toEqual([])
    const types = { work: 9 }
    expect(await kit.raw.claim(claimRequest({ ...waiter, limit: 9, types }))).toHaveLength(3)
    expect(await kit.job(first)).toMatchObject({ status: 'processing' })
  })

  it('to a worker that has no room for its type', async (kit) => {
    const types = { alpha: 1, beta: 1 }
    for (const workerId of ['full', 'free']) expect(await kit.claim({ workerId, types })).toEqual([])
    const full = await wait(kit.raw, { types: ['beta'], workerId: 'full' })
    const free = await wait(kit.raw, { types: ['alpha', 'beta'], workerId: 'free' })
    const [alpha] = await submit(kit, newJob({ type: 'alpha' }))
    expect(await handedTo(free)).toMatchObject([{ jobId: alpha }])
    expect(full.claims).toBeNull()
    const [beta] = await submit(kit, newJob({ type: 'beta' }))
    expect(await handedTo(full)).toMatchObject([{ jobId: beta }])
  })
})

describe('a wait that is looked after', () => {
  it('goes on while nothing was missed', async (kit) => {
    const began = performance.now()
    const waiter = await wait(kit.raw, { renewMs: 20 })
    await until(() => waiter.renewals.length >= 3, { what: 'three looks' })
    const times = [began, ...waiter.renewals]
    expect(times).toEqual([...times].sort((one, other) => one - other))
    const [jobId] = await submit(kit)
    expect(await handedTo(waiter)).toMatchObject([{ jobId }])
    const looks = waiter.renewals.length
    await kit.raw.check()
    expect(waiter.renewals).toHaveLength(looks)
  })

  it('ends where a job was handed over whose message was lost', async (kit) => {
    const waiter = await wait(kit.raw, { renewMs: 20 })
    const key = `claim:${workerName(waiter.workerId)}:${waiter.claimId}`
    await client.set(`${await prefixOf(waiter)}${key}`, `${waiter.workerId}/token 1 job`)
    expect(await handedTo(waiter)).toEqual([])
  })

  it('ends where a wake-up was lost', async (kit) => {
    const waiter = await wait(kit.raw, { renewMs: 20 })
    const idle = await idleOf(waiter)
    await client.zadd(idle.replace(':idle:', ':ready:'), '1', 'work')
    expect(await handedTo(waiter)).toEqual([])
  })

  it('ends where the wake-ups of all who waited were lost', async (kit) => {
    const waiter = await wait(kit.raw, { renewMs: 20 })
    const idle = await idleOf(waiter)
    await client.multi().zadd(idle.replace(':idle:', ':ready:'), '1', 'work').del(idle).exec()
    expect(await handedTo(waiter)).toEqual([])
  })

  it('ends where the store has forgotten that it is one', async (kit) => {
    const waiter = await wait(kit.raw, { renewMs: 20 })
    await client.del(await idleOf(waiter))
    expect(await handedTo(waiter)).toEqual([])
  })
})
