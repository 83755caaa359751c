import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest'
import type { Claim, Engine, NewJob } from '../../server/engine/engine.ts'
import { OutcomeUnknown } from '../../server/engine/errors.ts'
import { workerName } from '../../server/engine/redis/keys.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { type RedisProxy, startRedisProxy } from '../helpers/redis-proxy.ts'
import { until } from '../helpers/until.ts'
import {
  type ClaimShape,
  claimRequest,
  engineTest,
  type Kit,
  LONG_LEASE_MS,
  newJob,
  present,
} from './harness.ts'
import { openRedis } from './open-redis.ts'

const WAIT_MS = 10_000

let redis: RedisServer
let proxy: RedisProxy
let client: Redis
beforeAll(async () => {
  redis = await startRedis()
  proxy = await startRedisProxy(() => redis.port)
  client = new Redis(redis.url)
})
afterEach(() => {
  proxy.disturb = (_message, deliver) => deliver()
  proxy.refuses = false
})
afterAll(async () => {
  client.disconnect()
  await proxy.close()
  await redis.stop()
})

const it = engineTest(() => openRedis(proxy.url), new Set())

interface Waiter {
  readonly claimId: string
  readonly workerId: string
  /** What the claim resolved to, once it did. */
  claims: Claim[] | null
  /** What it rejected with, if it did. */
  failure: unknown
  /** Fires its signal. */
  stop(): void
}

/** From now on messages that carry a job vanish, and no other. */
function loseHandOvers(): void {
  proxy.disturb = ({ text }, deliver) => {
    if (!text.startsWith('run ')) deliver()
  }
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

/** Whether somebody listens to what is published for a worker. */
async function isHeard(workerId: string): Promise<boolean> {
  return (await client.pubsub('CHANNELS', `*worker:${workerName(workerId)}`)).length > 0
}

/** A claim that waits: has entered, or is over already, when the promise resolves. */
async function wait(engine: Engine, shape: ClaimShape = {}): Promise<Waiter> {
  const abort = new AbortController()
  const request = claimRequest({ workerId: `w-${randomUUID()}`, ...shape })
  const { claimId, workerId } = request
  const waiter: Waiter = { claimId, workerId, claims: null, failure: null, stop: () => abort.abort() }
  void engine.claim({ ...request, waitMs: WAIT_MS, signal: abort.signal }).then(
    (claims) => {
      waiter.claims = claims
    },
    (error: unknown) => {
      waiter.failure = error
    },
  )
  await until(async () => waiter.claims !== null || (await isIdle(workerId)), {
    what: 'a wait that is entered',
  })
  return waiter
}

/** How often Redis has carried out a command. */
async function callsOf(command: string): Promise<number> {
  const stats = await client.info('commandstats')
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
}

async function handedTo(waiter: Waiter): Promise<Claim[]> {
  await until(() => waiter.claims !== null, { intervalMs: 1, what: 'the wait to end' })
  return present(waiter.claims, 'answer')
}

/** Unaudited: a submission that hands the job over makes two transitions. */
async function submit({ raw }: Kit, ...jobs: NewJob[]): Promise<string[]> {
  const receipt = await raw.submit({ jobs: jobs.length > 0 ? jobs : [newJob()] })
  for (const job of receipt.jobs) expect(job.status).toBe('queued')
  return receipt.jobs.map(({ jobId }) => jobId)
}

/** From when a lease counts is not said the same to the last digit when a claim is made again. */
const untimed = (claims: readonly Claim[]) => claims.map((claim) => ({ ...claim, leasedAt: 0 }))

/** A lease that was made of the job's own id is that of a job handed over (lua/lib/hand_over.lua). */
const isHandedOver = ({ jobId, lease }: Claim) => lease.includes(`/${jobId.slice(19)}.`)

describe('a job that is handed over', () => {
  it('is none that another one is before in line, whose worker was told and has not come yet', async (kit) => {
    const waiters = [await wait(kit.raw), await wait(kit.raw)]
    proxy.disturb = ({ text }, deliver) => {
      if (text !== 'wake') deliver()
    }
    // Too large to be handed over.
    const [first] = await submit(kit, newJob({ payload: 'x'.repeat(100_000) }))
    const [second] = await submit(kit)
    expect((await kit.job(second ?? '')).status).toBe('queued')
    for (const waiter of waiters) waiter.stop()
    const claims = await kit.raw.claim(claimRequest({ limit: 9, types: { work: 9 } }))
    expect(claims.map(({ jobId }) => jobId)).toEqual([first, second])
  })

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
    expect(isHandedOver(present(run, 'run'))).toBe(true)
    expect(await kit.claim({ workerId: waiter.workerId })).toEqual([])
    expect(untimed(await kit.claim(waiter))).toEqual(untimed([present(run, 'run')]))
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
    loseHandOvers()
    const before = performance.now()
    const [jobId] = await submit(kit)
    const after = performance.now()
    expect(await kit.job(present(jobId, 'job'))).toMatchObject({ status: 'processing' })
    await until(() => performance.now() > after + 50, { what: 'some time' })
    const run = await kit.claimOne({ ...waiter, limit: 0 })
    expect(run.jobId).toBe(jobId)
    // Its lease counts from when it was handed over, not from the claim. The store counts whole milliseconds.
    expect(run.leasedAt).toBeGreaterThan(before - 50)
    expect(run.leasedAt).toBeLessThanOrEqual(after + 1)
    expect(await handedTo(waiter)).toEqual([])
    expect(untimed([await kit.claimOne({ ...waiter, limit: 5 })])).toEqual(untimed([run]))
  })

  it('is found where the wait is made again, which is handed no second one', async (kit) => {
    const waiter = await wait(kit.raw)
    loseHandOvers()
    const [jobId = ''] = await submit(kit)
    const again = await wait(kit.raw, waiter)
    expect(await handedTo(again)).toMatchObject([{ jobId }])
    const [second = ''] = await submit(kit)
    expect(await kit.job(second)).toMatchObject({ status: 'queued' })
  })

  it('is given back, unspent, where its message was lost and nobody wants it any more', async (kit) => {
    const waiter = await wait(kit.raw)
    loseHandOvers()
    const [jobId = ''] = await submit(kit)
    expect(await kit.job(jobId)).toMatchObject({ status: 'processing' })
    waiter.stop()
    expect(await handedTo(waiter)).toEqual([])
    expect(await kit.job(jobId)).toMatchObject({ status: 'queued', attempt: 1, stalls: 0 })
  })

  it('is found by who makes the claim again that was not answered, since the store was away', async (kit) => {
    const waiter = await wait(kit.raw)
    loseHandOvers()
    const [jobId = ''] = await submit(kit)
    proxy.refuses = true
    proxy.cut()
    await until(
      () =>
        kit.raw.check().then(
          () => false,
          () => true,
        ),
      { what: 'the store to be away' },
    )
    waiter.stop()
    await until(() => waiter.failure !== null, { what: 'the wait to fail' })
    expect(waiter.failure).toBeInstanceOf(OutcomeUnknown)
    proxy.refuses = false
    await until(() => kit.raw.check().then(() => true), { what: 'a connection' })
    expect(await kit.claimOne({ ...waiter, limit: 0 })).toMatchObject({ jobId })
  })

  it('is found where the connection broke that its message was to come over', async (kit) => {
    const waiter = await wait(kit.raw)
    loseHandOvers()
    const [jobId = ''] = await submit(kit)
    await kit.store.interrupt?.()
    expect(await handedTo(waiter)).toMatchObject([{ jobId }])
  })

  it('is taken back when its lease runs out', async (kit) => {
    const dead = present(await kit.store.peer?.(), 'peer')
    const { workerId } = await wait(dead, { leaseMs: 30 })
    // Somebody listens in its name, so that the store takes it for alive.
    await kit.raw.onCancel(workerId, () => undefined)
    await dead.stop()
    const [jobId = ''] = await submit(kit)
    expect(await kit.job(jobId)).toMatchObject({ status: 'processing' })
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

  it('may have a payload that is kept apart; one too long for a message is claimed', async (kit) => {
    const first = await wait(kit.raw)
    await submit(kit, newJob({ payload: 'ü\n'.repeat(5000) }))
    expect(await handedTo(first)).toMatchObject([{ payload: 'ü\n'.repeat(5000) }])
    const second = await wait(kit.raw)
    await submit(kit, newJob({ payload: 'x'.repeat(70_000) }))
    const [run] = await handedTo(second)
    expect(run).toMatchObject({ payload: 'x'.repeat(70_000) })
    expect(isHandedOver(present(run, 'run'))).toBe(false)
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

  it('of a type that is paused', async (kit) => {
    await kit.raw.pause('work')
    const waiter = await wait(kit.raw)
    const [jobId = ''] = await submit(kit)
    expect(await kit.job(jobId)).toMatchObject({ status: 'queued' })
    expect(waiter.claims).toBeNull()
    await kit.raw.resume('work')
    const [run] = await handedTo(waiter)
    expect(run).toMatchObject({ jobId })
    expect(isHandedOver(present(run, 'run'))).toBe(false)
  })

  it('ahead of others: where its queue is not empty, or several come together', async (kit) => {
    const waiter = await wait(kit.raw)
    const jobIds = await submit(kit, newJob(), newJob())
    const [run, ...more] = await handedTo(waiter)
    expect(more).toEqual([])
    expect(jobIds[0]).toBe(run?.jobId)
    expect(isHandedOver(present(run, 'run'))).toBe(false)
    await kit.raw.pause('work')
    const next = await wait(kit.raw)
    await kit.raw.resume('work')
    expect(await handedTo(next)).toMatchObject([{ jobId: jobIds[1] }])
  })

  it('to a worker that has no room for its type', async (kit) => {
    const types = { alpha: 1, beta: 1 }
    for (const workerId of ['full', 'free']) expect(await kit.claim({ workerId, types })).toEqual([])
    const full = await wait(kit.raw, { types: { beta: 1 }, workerId: 'full' })
    const free = await wait(kit.raw, { types, workerId: 'free' })
    const [alpha] = await submit(kit, newJob({ type: 'alpha' }))
    expect(await handedTo(free)).toMatchObject([{ jobId: alpha }])
    expect(full.claims).toBeNull()
    const [beta] = await submit(kit, newJob({ type: 'beta' }))
    expect(await handedTo(full)).toMatchObject([{ jobId: beta }])
  })
})

describe('a wait that is looked after', () => {
  /** Its third is how often the wait is looked after. */
  const leaseMs = 90

  it('goes on while nothing was missed, and the lease of what is handed over counts from the last look', async (kit) => {
    const began = performance.now()
    const waiter = await wait(kit.raw, { leaseMs })
    const before = await callsOf('exists')
    await until(async () => (await callsOf('exists')) > before + 3, { what: 'some looks' })
    expect(waiter.claims).toBeNull()
    const [jobId = ''] = await submit(kit)
    const after = performance.now()
    const [run] = await handedTo(waiter)
    expect(run).toMatchObject({ jobId })
    expect(run?.leasedAt).toBeGreaterThan(began + leaseMs / 3)
    expect(run?.leasedAt).toBeLessThanOrEqual(after)
    const looks = await callsOf('exists')
    const kept = await kit.raw.extend({ leases: [present(run, 'run')], leaseMs: LONG_LEASE_MS })
    await pause(2 * leaseMs)
    expect(await callsOf('exists')).toBeLessThanOrEqual(looks + 1)
    expect(kept).toEqual(['held'])
  })

  it('brings a job that was handed over whose message was lost', async (kit) => {
    const waiter = await wait(kit.raw, { leaseMs: 600 })
    loseHandOvers()
    const [jobId = ''] = await submit(kit)
    expect(await handedTo(waiter)).toMatchObject([{ jobId }])
  })

  it('ends where a wake-up was lost', async (kit) => {
    const waiter = await wait(kit.raw, { leaseMs })
    const idle = await idleOf(waiter)
    await client.zadd(idle.replace(':idle:', ':ready:'), '1', 'work')
    expect(await handedTo(waiter)).toEqual([])
  })

  it('ends where the wake-ups of all who waited were lost', async (kit) => {
    const waiter = await wait(kit.raw, { leaseMs })
    const idle = await idleOf(waiter)
    await client.multi().zadd(idle.replace(':idle:', ':ready:'), '1', 'work').del(idle).exec()
    expect(await handedTo(waiter)).toEqual([])
  })

  it('ends where the store has forgotten that it is one', async (kit) => {
    const waiter = await wait(kit.raw, { leaseMs })
    await client.del(await idleOf(waiter))
    expect(await handedTo(waiter)).toEqual([])
  })
})
