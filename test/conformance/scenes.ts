import { randomUUID } from 'node:crypto'
import { until } from '../helpers/until.ts'
import { type Kit, leaseOf, newJob, present, tick } from './harness.ts'

/** The verb of an engine that is to fail half-way. */
type Verb =
  | 'submit'
  | 'claim'
  | 'settle'
  | 'report'
  | 'extend'
  | 'cancel'
  | 'retry'
  | 'remove'
  | 'promote'
  | 'rescue'
  | 'prune'
  | 'pause'

/** Brings about the occasion for a verb to fail in, and returns the call. */
export type Scene = (kit: Kit) => Promise<() => Promise<unknown>>

export const LARGE = 'x'.repeat(300)
export const SOON = { delayMs: 30 }
export const SHORT_LEASE_MS = 40
const TYPES = ['work', 'other', 'third']
export const ALL_TYPES = Object.fromEntries(TYPES.map((type) => [type, 50]))
const FAILURE = { kind: 'failed', error: 'no', errorCode: 'handler_error' } as const
export const chunk = (data: string) => ({ kind: 'chunk', data }) as const
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

export const claimAll = (kit: Kit) => kit.claim({ limit: 50, types: ALL_TYPES, leaseMs: SHORT_LEASE_MS })

/** What every verb does, in all its ways. */
export const SCENES: Readonly<Record<string, readonly [Verb, Scene]>> = {
  'submit one job': ['submit', async (kit) => () => kit.raw.submit({ jobs: [newJob()] })],
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
      await until(async () => (await kit.raw.upcoming()).promoteInMs === 0, { what: 'the jobs to be due' })
      await tick()
      return () => kit.raw.promote({ limit: 200 })
    },
  ],
  'rescue runs in every way': [
    'rescue',
    async (kit) => {
      await running(kit, {}, 1)
      await running(kit, { type: 'other', policy: { maxStalls: 0 } }, 1)
      await kit.raw.cancel((await running(kit, { type: 'third' }, 1)).jobId)
      await until(async () => (await kit.raw.upcoming()).rescueInMs === 0, { what: 'the leases to run out' })
      await tick()
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
}
