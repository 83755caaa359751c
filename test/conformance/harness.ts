import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Claim, Engine, LeaseRef, NewJob, Outcome, RunEvent } from '../../server/engine/engine.ts'
import type { JobEvent } from '../../shared/event.ts'
import type { Job } from '../../shared/job.ts'
import { DEFAULT_OPTIONS, type RunPolicy } from '../../shared/options.ts'
import { until } from '../helpers/until.ts'
import { audited, type Coverage } from './audit.ts'

/** An engine on a store of its own, started. */
export interface OpenStore {
  /** The one that was opened, or reopened, last. */
  readonly engine: Engine
  /** Ends the engine and starts another one on the same store, as the next process would. */
  reopen(): Promise<Engine>
  /** Messages of the feed are lost on their way to every engine, and the loss noticed; false where none can be. */
  interrupt(): Promise<boolean>
  /** One more engine on the same store at the same time, where the store may be shared. */
  readonly peer?: () => Promise<Engine>
  /** Stops every engine that was opened. */
  close(): Promise<void>
}

export type Open = () => Promise<OpenStore>

/** What a case may leave out of a job. */
export interface JobShape extends Partial<Omit<NewJob, 'policy'>> {
  readonly policy?: Partial<RunPolicy>
}

export interface ClaimShape {
  readonly claimId?: string
  readonly workerId?: string
  readonly limit?: number
  /** Type -> its free slots. */
  readonly types?: Readonly<Record<string, number>>
  readonly leaseMs?: number
}

/** What a case works with: the engine, and the shortest way to say the usual things to it. */
export interface Kit {
  /** Audited: after every verb that changes something, all small jobs are held to the contract. */
  readonly engine: Engine
  /** The same one, unaudited: for many jobs, or to be fast. */
  readonly raw: Engine
  readonly store: OpenStore
  submit(shape?: JobShape): Promise<string>
  claim(shape?: ClaimShape): Promise<Claim[]>
  /** The next job of type `work`, which must be there. */
  claimOne(shape?: ClaimShape): Promise<Claim>
  settle(run: LeaseRef, outcome: Outcome, events?: readonly RunEvent[]): Promise<string | undefined>
  report(run: LeaseRef, ...events: RunEvent[]): Promise<string | undefined>
  job(jobId: string): Promise<Job>
  /** The retained events, from a snapshot's history. */
  events(jobId: string): Promise<JobEvent[]>
  lastEvent(jobId: string): Promise<JobEvent>
  /** Waits until this many leases have run out and were rescued. */
  rescued(jobs?: number): Promise<void>
  /** Waits until this many scheduled jobs came due and were promoted. */
  promoted(jobs?: number): Promise<void>
}

export type EngineTest = (name: string, body: (kit: Kit) => Promise<void>) => void

/** Of a lease that is not meant to run out in a test. */
export const LONG_LEASE_MS = 60_000

/** `test`, with an engine of its own for each case. */
export function engineTest(open: Open, coverage: Coverage): EngineTest {
  return (name, body) =>
    test(name, async () => {
      const store = await open()
      try {
        const kit = createKit(store, coverage)
        await body(kit)
        await countsEqualList(store.engine)
      } finally {
        await store.close()
      }
    })
}

export const DEFAULT_POLICY: RunPolicy = DEFAULT_OPTIONS

export function newJob(shape: JobShape = {}): NewJob {
  const usual = { type: 'work', payload: null, when: { delayMs: 0 } }
  return { ...usual, ...shape, policy: { ...DEFAULT_POLICY, ...shape.policy } }
}

export function claimRequest(shape: ClaimShape = {}) {
  const limit = shape.limit ?? 1
  return {
    claimId: shape.claimId ?? randomUUID(),
    workerId: shape.workerId ?? 'worker-1',
    limit,
    types: Object.entries(shape.types ?? { work: limit }).map(([type, slots]) => ({ type, limit: slots })),
    leaseMs: shape.leaseMs ?? LONG_LEASE_MS,
  }
}

export function createKit(store: OpenStore, coverage: Coverage): Kit {
  const raw = store.engine
  const engine = audited(raw, coverage)
  const kit: Kit = {
    engine,
    raw,
    store,
    async submit(shape) {
      const receipt = await engine.submit({ jobs: [newJob(shape)] })
      return present(receipt.jobs[0], 'a receipt').jobId
    },
    claim: (shape) => engine.claim(claimRequest(shape)),
    async claimOne(shape) {
      const claims = await kit.claim(shape)
      expect(claims).toHaveLength(1)
      return present(claims[0], 'a claim')
    },
    async settle(run, outcome, events = []) {
      const { verdicts, claims } = await engine.settle({
        settlements: [{ ...leaseOf(run), outcome, events }],
      })
      expect(verdicts).toHaveLength(1)
      expect(claims).toEqual([])
      return verdicts[0]
    },
    async report(run, ...events) {
      const verdicts = await engine.report([{ ...leaseOf(run), events }])
      expect(verdicts).toHaveLength(1)
      return verdicts[0]
    },
    job: async (jobId) => present(await raw.get(jobId), `job ${jobId}`),
    async events(jobId) {
      const [read] = await raw.feed.read([{ jobId, after: null, history: true, withJob: false }])
      return present(read, `job ${jobId}`).events
    },
    lastEvent: async (jobId) => present((await kit.events(jobId)).at(-1), 'an event'),
    rescued: (jobs = 1) =>
      addUpTo(jobs, `${jobs} leases to run out`, async () => (await engine.rescue({ limit: 200 })).rescued),
    promoted: (jobs = 1) =>
      addUpTo(jobs, `${jobs} jobs to come due`, async () => (await engine.promote({ limit: 200 })).promoted),
  }
  return kit
}

/** Calls until the answers add up to what is expected. A call that fails, and overshooting, fails the case at once. */
export async function addUpTo(expected: number, what: string, call: () => Promise<number>): Promise<void> {
  let sum = 0
  let failure: unknown
  await until(
    async () => {
      try {
        sum += await call()
      } catch (error) {
        failure = error
      }
      return failure !== undefined || sum >= expected
    },
    { what },
  )
  if (failure !== undefined) throw failure
  expect(sum, what).toBe(expected)
}

/** What there must be for a case to go on. */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new Error(`there is no ${what}`)
  return value
}

export function leaseOf({ jobId, lease }: LeaseRef): LeaseRef {
  return { jobId, lease }
}

export const ms = (iso: string | null): number => Date.parse(iso ?? 'never')
export const iso = (time: number): string => new Date(time).toISOString()

/** Waits until the clock shows a later millisecond than before, so that what follows has a later time. */
export async function tick(): Promise<void> {
  const before = Date.now()
  await until(() => Date.now() > before + 1, { intervalMs: 1, what: 'the clock to move on' })
}

/** All jobs of a query, page by page. */
export async function listAll(
  engine: Engine,
  query: Partial<Parameters<Engine['list']>[0]> = {},
): Promise<Job[]> {
  const jobs: Job[] = []
  let page: string | null = null
  for (let pages = 0; pages < 1000; pages++) {
    const answer = await engine.list({ types: [], statuses: [], tags: [], limit: 200, ...query, page })
    jobs.push(...answer.jobs)
    page = answer.nextPage
    if (page === null) return jobs
  }
  throw new Error('the list has no end')
}

export async function countsEqualList(engine: Engine): Promise<void> {
  const jobs = await listAll(engine)
  for (const { type, counts } of await engine.types()) {
    const listed = { scheduled: 0, queued: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 }
    for (const job of jobs) if (job.type === type) listed[job.status] += 1
    expect(counts, `counts of ${type}, against what is listed`).toEqual(listed)
  }
}
