import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SCRIPTS, type Script } from '../../server/engine/redis/scripts.ts'
import type { JobEvent } from '../../shared/event.ts'
import { isTerminal } from '../../shared/status.ts'
import { cutShort } from '../helpers/cut-script.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/until.ts'
import { createKit, type Kit, leaseOf, listAll, newJob, present } from './harness.ts'
import { openRedis } from './open-redis.ts'

let redis: RedisServer
let operator: Redis
beforeAll(async () => {
  redis = await startRedis()
  operator = new Redis(redis.url)
})
afterAll(async () => {
  operator.disconnect()
  await redis.stop()
})

type Name = keyof typeof SCRIPTS

/** What a script is to be cut short in: brings about its occasion, and returns the call. */
type Scene = (kit: Kit) => Promise<() => Promise<unknown>>

const LARGE = 'x'.repeat(300)
const SOON = { delayMs: 30 }
const SHORT_LEASE_MS = 40
const TYPES = ['work', 'other', 'third']
const ALL_TYPES = Object.fromEntries(TYPES.map((type) => [type, 50]))
const FAILURE = { kind: 'failed', error: 'no', errorCode: 'handler_error' } as const
const chunk = (data: string) => ({ kind: 'chunk', data }) as const
const progress = (percent: number) => ({ kind: 'progress', data: { percent, note: null } }) as const

/** A run that the scene goes on with. */
async function running(kit: Kit, shape: Parameters<Kit['submit']>[0] = {}, leaseMs = SHORT_LEASE_MS) {
  await kit.raw.submit({ jobs: [newJob(shape)] })
  const claims = await kit.claim({ limit: 1, types: { [shape.type ?? 'work']: 1 }, leaseMs })
  return present(claims[0], 'a run')
}

async function failed(kit: Kit): Promise<string> {
  const run = await running(kit)
  await kit.raw.report([{ ...leaseOf(run), events: [progress(10), chunk('one')] }])
  await kit.raw.settle({ settlements: [{ ...leaseOf(run), outcome: FAILURE, events: [] }] })
  return run.jobId
}

const claimAll = (kit: Kit) => kit.claim({ limit: 50, types: ALL_TYPES, leaseMs: SHORT_LEASE_MS })

/** Waits under a claim until the store knows it. */
async function idleWorker(kit: Kit): Promise<void> {
  const signal = AbortSignal.timeout(5000)
  const claim = { claimId: randomUUID(), leaseMs: SHORT_LEASE_MS, renewMs: 5000, renewed: () => {} }
  void kit.raw
    .waitForWork({ workerId: 'idle', types: ['work'], timeoutMs: 300, signal, claim })
    .catch(() => [])
  await until(async () => (await operator.keys('*idle:*')).length > 0, { what: 'the worker to be idle' })
}

const SCENES: Record<string, [Name, Scene]> = {
  'submit one job': ['submit', async (kit) => () => kit.raw.submit({ jobs: [newJob()] })],
  'submit one job to a worker that waits': [
    'submit',
    async (kit) => {
      await idleWorker(kit)
      return () => kit.raw.submit({ jobs: [newJob({ payload: LARGE })] })
    },
  ],
  'submit a batch under an idempotency key': [
    'submit',
    async (kit) => {
      const jobs = [newJob(), newJob({ type: 'other', payload: LARGE }), newJob({ when: SOON, tags: ['a'] })]
      return () => kit.raw.submit({ jobs, idempotency: { scope: '', key: 'key', bodyHash: 'body' } })
    },
  ],
  'claim one job': [
    'claim',
    async (kit) => {
      await kit.raw.submit({ jobs: [newJob()] })
      return () => kit.claim({ limit: 1, leaseMs: SHORT_LEASE_MS })
    },
  ],
  'claim several jobs, old and new': [
    'claim',
    async (kit) => {
      await kit.raw.retry(await failed(kit))
      await kit.raw.submit({
        jobs: [newJob(), newJob(), newJob({ type: 'other', payload: LARGE }), newJob({ type: 'third' })],
      })
      return () => claimAll(kit)
    },
  ],
  'settle runs in every way, and claim the next': [
    'settle',
    async (kit) => {
      const cancelling = await running(kit, { type: 'third' })
      await kit.raw.cancel(cancelling.jobId)
      const runs = []
      for (let n = 0; n < 6; n++) runs.push(await running(kit, { type: n % 2 === 0 ? 'work' : 'other' }))
      await kit.raw.submit({ jobs: [newJob(), newJob({ type: 'third' })] })
      const outcomes = [
        { kind: 'completed', result: 1 },
        { kind: 'completed', result: LARGE },
        FAILURE,
        { kind: 'retry', error: 'no', errorCode: 'handler_error', delayMs: 10 },
        { kind: 'released' },
        { kind: 'cancelled' },
        FAILURE,
      ] as const
      const events = [progress(50), chunk('one'), chunk('two')]
      const settlements = [...runs, cancelling].flatMap((run, n) => {
        const outcome = outcomes[n]
        return outcome === undefined ? [] : [{ ...leaseOf(run), outcome, events: n % 3 === 0 ? events : [] }]
      })
      const next = {
        claimId: randomUUID(),
        workerId: 'worker-1',
        limit: 10,
        types: TYPES.map((type) => ({ type, limit: 10 })),
        leaseMs: SHORT_LEASE_MS,
      }
      return () => kit.raw.settle({ settlements, next })
    },
  ],
  'report progress and chunks': [
    'report',
    async (kit) => {
      const run = await running(kit, {}, 500)
      const events = [chunk('one'), progress(1), chunk('two'), progress(2)].map((event, at) => ({
        ...event,
        n: at + 1,
      }))
      return () => kit.raw.report([{ ...leaseOf(run), events }])
    },
  ],
  'extend leases': [
    'extend',
    async (kit) => {
      const leases = [leaseOf(await running(kit)), leaseOf(await running(kit))]
      return () => kit.raw.extend({ leases, leaseMs: SHORT_LEASE_MS })
    },
  ],
  'cancel a queued job': [
    'cancel',
    async (kit) => {
      const { jobs } = await kit.raw.submit({ jobs: [newJob()] })
      return () => kit.raw.cancel(present(jobs[0], 'a job').jobId)
    },
  ],
  'cancel a scheduled job': [
    'cancel',
    async (kit) => {
      const { jobs } = await kit.raw.submit({ jobs: [newJob({ when: SOON })] })
      return () => kit.raw.cancel(present(jobs[0], 'a job').jobId)
    },
  ],
  'cancel a run': [
    'cancel',
    async (kit) => {
      const run = await running(kit)
      return () => kit.raw.cancel(run.jobId)
    },
  ],
  'retry a failed job': [
    'retry',
    async (kit) => {
      const jobId = await failed(kit)
      return () => kit.raw.retry(jobId)
    },
  ],
  'remove a job': [
    'remove',
    async (kit) => {
      const run = await running(kit, { payload: LARGE })
      const settlements = [
        { ...leaseOf(run), outcome: { kind: 'completed', result: LARGE }, events: [chunk('x')] } as const,
      ]
      await kit.raw.settle({ settlements })
      return () => kit.raw.remove(run.jobId)
    },
  ],
  'promote jobs that are due': [
    'promote',
    async (kit) => {
      await kit.raw.submit({ jobs: [newJob({ when: SOON }), newJob({ type: 'other', when: SOON })] })
      await until(async () => isDue(kit), {
        what: 'the jobs to be due',
      })
      return () => kit.raw.promote({ limit: 200 })
    },
  ],
  'rescue runs in every way': [
    'rescue',
    async (kit) => {
      await running(kit, {}, 1)
      await running(kit, { type: 'other', policy: { maxStalls: 0 } }, 1)
      await kit.raw.cancel((await running(kit, { type: 'third' }, 1)).jobId)
      await until(haveLeasesRunOut, { what: 'the leases to run out' })
      return () => kit.raw.rescue({ limit: 200 })
    },
  ],
  'prune jobs past their time': [
    'prune',
    async (kit) => {
      for (const type of ['work', 'other']) {
        const run = await running(kit, { type, payload: LARGE, policy: { retainMs: 1 } })
        const outcome = { kind: 'completed', result: LARGE } as const
        await kit.raw.settle({ settlements: [{ ...leaseOf(run), outcome, events: [chunk('x')] }] })
      }
      return () => kit.raw.prune({ limit: 200 })
    },
  ],
  'mend what other scripts have left': [
    'mend',
    async (kit) => {
      await claimAll(kit)
      await kit.raw.submit({ jobs: [newJob(), newJob({ type: 'other' }), newJob({ when: SOON })] })
      await kit.raw.pause('third')
      await broken(SCRIPTS.claim, 4, () => claimAll(kit))
      await broken(SCRIPTS.submit, 5, () => kit.raw.submit({ jobs: [newJob(), newJob({ payload: LARGE })] }))
      return () => kit.raw.rescue({ limit: 200 })
    },
  ],
  'pause a type': [
    'pause',
    async (kit) => {
      await kit.raw.submit({ jobs: [newJob()] })
      await kit.claim({ limit: 0 })
      return () => kit.raw.pause('work')
    },
  ],
  'resume a type that has jobs': [
    'pause',
    async (kit) => {
      await kit.claim({ limit: 1 })
      await kit.raw.pause('work')
      await kit.raw.submit({ jobs: [newJob()] })
      return () => kit.raw.resume('work')
    },
  ],
  'make a pool known': [
    'join',
    async (kit) => {
      await kit.raw.submit({ jobs: [newJob(), newJob({ type: 'other' })] })
      return () => claimAll(kit)
    },
  ],
  'enter a worker as idle': [
    'wait',
    async (kit) => {
      await kit.claim({ limit: 1 })
      const signal = AbortSignal.timeout(5000)
      return () => kit.raw.waitForWork({ workerId: 'idle', types: ['work'], timeoutMs: 20, signal })
    },
  ],
}

/** Has a script break in a call, and be whole again. */
async function broken(script: Script, writes: number, call: () => Promise<unknown>): Promise<void> {
  const mend = cutShort(script, writes)
  await expect(call()).rejects.toThrow()
  mend()
}

async function haveLeasesRunOut(): Promise<boolean> {
  const [key = ''] = await operator.keys('*leases')
  return (await operator.zcount(key, 0, Date.now())) === 3
}

async function isDue(kit: Kit): Promise<boolean> {
  const jobs = await listAll(kit.raw)
  return jobs.every(({ scheduledFor }) => Date.parse(scheduledFor ?? '') < Date.now())
}

describe.each(Object.entries(SCENES))('a script that breaks: %s', (_what, [name, scene]) => {
  test('behind whichever of its commands, everything heals by itself', { timeout: 60_000 }, async () => {
    for (let writes = 0; ; writes++) {
      const store = await openRedis(redis.url)
      try {
        const kit = createKit(store, new Set())
        await operator.flushall()
        const call = await scene(kit)
        const before = (await listAll(kit.raw)).map(({ jobId }) => jobId)
        const mend = cutShort(SCRIPTS[name], writes)
        const isBroken = await call().then(
          () => false,
          () => true,
        )
        mend()
        await healed(kit, before, name, `cut short behind ${writes} of its writes`)
        if (!isBroken) return
      } finally {
        await store.close()
      }
      expect(writes).toBeLessThan(200)
    }
  })
})

test('a store of thousands of jobs is mended some at a time, and from the first one again where a script breaks meanwhile', async () => {
  const store = await openRedis(redis.url)
  try {
    const kit = createKit(store, new Set())
    await operator.flushall()
    const { raw } = kit
    const jobs = Array.from({ length: 1000 }, () => newJob({ type: 'other' }))
    await raw.submit({ jobs: [newJob(), newJob()] })
    for (let n = 0; n < 3; n++) await raw.submit({ jobs })
    await broken(SCRIPTS.claim, 4, () => kit.claim({ limit: 2, leaseMs: SHORT_LEASE_MS }))
    const whole = cutShort(SCRIPTS.mend, 40)
    await expect(raw.rescue({ limit: 200 })).rejects.toThrow()
    whole()
    expect(await raw.upcoming()).toMatchObject({ rescueInMs: 0 })
    await raw.rescue({ limit: 200 })
    await broken(SCRIPTS.claim, 4, () => kit.claim({ limit: 2, leaseMs: SHORT_LEASE_MS }))
    await until(async () => (await raw.rescue({ limit: 200 })).rescued === 0 && (await isWhole()), {
      what: 'the store to be whole',
    })
    expect(await problems(kit, 'queued')).toEqual([])
    expect(await raw.upcoming()).toMatchObject({ rescueInMs: null })
  } finally {
    await store.close()
  }
})

async function isWhole(): Promise<boolean> {
  return (await operator.keys('*:whole')).length === 1 && (await operator.keys('*:mending')).length === 0
}

/** After upkeep every job ends, or is there to be worked on and then ends; and nothing is left over. */
async function healed(kit: Kit, before: readonly string[], name: Name, where: string): Promise<void> {
  const { raw } = kit
  await raw.resume('work')
  await until(
    async () => {
      await raw.promote({ limit: 200 })
      await raw.rescue({ limit: 200 })
      await raw.prune({ limit: 200 })
      for (const run of await kit.claim({ workerId: 'healer', limit: 50, types: ALL_TYPES })) {
        const outcome = { kind: 'completed', result: null } as const
        await raw.settle({ settlements: [{ ...leaseOf(run), outcome, events: [chunk('last')] }] })
      }
      const jobs = await listAll(raw)
      return jobs.every(({ status }) => isTerminal(status)) && (await problems(kit)).length === 0
    },
    { what: where, timeoutMs: 3000 },
  ).catch(async (error: unknown) => {
    throw new Error(`${String(error)}; ${JSON.stringify(await problems(kit))}; ${await picture(kit)}`)
  })
  const jobs = await listAll(raw)
  const present = new Set(jobs.map(({ jobId }) => jobId))
  const lost = before.filter((jobId) => !present.has(jobId))
  if (name !== 'remove' && name !== 'prune') expect(lost, where).toEqual([])
  for (const { jobId } of jobs) {
    const events = await kit.events(jobId)
    expect(
      events.map(({ seq }) => seq),
      where,
    ).toEqual([...new Set(events.map(({ seq }) => seq))].sort(ascending))
    expect(events.filter(isEnd), where).toHaveLength(ends(events))
  }
}

const ascending = (one: number, other: number) => one - other
const isEnd = (event: JobEvent) =>
  event.kind === 'status' && event.data.status !== undefined && isTerminal(event.data.status)
const ends = (events: readonly JobEvent[]) => 1 + events.filter(isRetry).length
const isRetry = (event: JobEvent) =>
  event.kind === 'status' && event.data.attempt === 1 && event.data.stalls === 0

/** What does not agree with what the jobs say of themselves. */
async function problems(kit: Kit, all: 'ended' | 'queued' = 'ended'): Promise<string[]> {
  const found: string[] = []
  const jobs = await listAll(kit.raw)
  for (const { type, counts } of await kit.raw.types()) {
    const listed = { scheduled: 0, queued: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 }
    for (const job of jobs) if (job.type === type) listed[job.status] += 1
    if (JSON.stringify(listed) !== JSON.stringify(counts))
      found.push(`counts of ${type}: ${JSON.stringify(counts)}, listed ${JSON.stringify(listed)}`)
  }
  const ids = jobs.map(({ jobId }) => jobId)
  const queued = jobs.filter(({ status }) => status === 'queued')
  if (all === 'queued' && queued.length !== jobs.length)
    found.push(`${jobs.length - queued.length} are not queued`)
  const belong = (kind: string, rest = '') => {
    if (kind === 'jobs' || (kind === 'expiring' && all === 'ended')) return ids
    return kind === 'queue' ? queued.filter(({ type }) => type === rest).map(({ jobId }) => jobId) : []
  }
  for (const key of await operator.keys('*')) {
    const [, kind = '', rest] = /^\{[^}]*\}:([^:]+):?(.*)$/.exec(key) ?? []
    if (/^(job|payload|result|lines)$/.test(kind) && !ids.includes(rest ?? '')) found.push(`orphan ${kind}`)
    if (/^(queue|leases|scheduled|expiring|jobs)$/.test(kind)) {
      const members = (await operator.zrange(key, '0', '-1')).filter((member) => !member.startsWith('---'))
      if ([...members].sort().join() !== [...belong(kind, rest)].sort().join())
        found.push(`${kind}: ${members.join()}`)
    }
  }
  return found
}

async function picture(kit: Kit): Promise<string> {
  const jobs = await listAll(kit.raw)
  return JSON.stringify(jobs.map(({ jobId, status, type, stalls }) => ({ jobId, status, type, stalls })))
}
