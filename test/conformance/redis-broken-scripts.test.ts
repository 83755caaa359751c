import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SCRIPTS, type Script } from '../../server/engine/redis/scripts.ts'
import type { JobEvent } from '../../shared/event.ts'
import { isTerminal } from '../../shared/status.ts'
import { cutShort } from '../helpers/cut-script.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/until.ts'
import { claimRequest, createKit, type Kit, leaseOf, listAll, newJob } from './harness.ts'
import { openRedis } from './open-redis.ts'
import { ALL_TYPES, chunk, claimAll, LARGE, SCENES, type Scene, SHORT_LEASE_MS, SOON } from './scenes.ts'

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

/** A claim that waits: for `waitMs`, or until it has a job. */
function waitingClaim({ raw }: Kit, waitMs: number) {
  const request = claimRequest({ workerId: 'idle', leaseMs: SHORT_LEASE_MS })
  return raw.claim({ ...request, waitMs })
}

/** Waits until the store knows it. */
async function idleWorker(kit: Kit): Promise<void> {
  void waitingClaim(kit, 300).catch(() => [])
  await until(async () => (await operator.keys('*idle:*')).length > 0, { what: 'the worker to be idle' })
}

const REDIS_SCENES: Record<string, readonly [Name, Scene]> = {
  ...SCENES,
  'submit one job to a worker that waits': [
    'submit',
    async (kit) => {
      await idleWorker(kit)
      return () => kit.raw.submit({ jobs: [newJob({ payload: LARGE })] })
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
      return () => waitingClaim(kit, 20)
    },
  ],
}

/** Has a script break in a call, and be whole again. */
async function broken(script: Script, writes: number, call: () => Promise<unknown>): Promise<void> {
  const mend = cutShort(script, writes)
  await expect(call()).rejects.toThrow()
  mend()
}

describe.each(Object.entries(REDIS_SCENES))('a script that breaks: %s', (_what, [name, scene]) => {
  test('behind whichever of its commands, everything heals by itself', async () => {
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
    { what: where },
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
