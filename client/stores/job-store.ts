import type { Job, Progress, QueuePlace } from '../../shared/job.ts'
import type { ResultByStatus } from '../../shared/job-type.ts'
import type { SubmitOptions } from '../../shared/options.ts'
import type { JobStatus } from '../../shared/status.ts'
import { type Rule, textUpTo, YES_OR_NO } from '../arguments.ts'
import type { JobcastClient } from '../client.ts'
import { JobcastError } from '../errors.ts'
import { toJson } from '../http.ts'
import { Store, type Unsubscribe } from '../store.ts'
import { onAbort } from '../time.ts'
import type { TransportName } from '../transports/link.ts'
import type { JobWatch, WatchState } from '../watch.ts'
import { NOTHING_KNOWN } from '../watched-job.ts'

/** One job of a user interface. `status` tells whether there is a result: with `completed`, and only then. */
export type JobState<Result = unknown> = JobFacts & ResultByStatus<Result, ShownStatus>

/**
 * `idle` no job, or one of which nothing is known yet; `submitting` until the server has stored it; `loading` it had completed
 * when it was submitted (again), and its result is still to come.
 */
type ShownStatus = JobStatus | 'idle' | 'submitting' | 'loading'

interface JobFacts {
  /** What went wrong with the job (a message), else with the submission, the watch or a command. */
  readonly error: string | JobcastError | null
  readonly progress: Progress | null
  readonly jobId: string | null
  readonly job: Job | null
  /** Where a queued job stands and when it may start; null where that is not known (yet). */
  readonly queue: QueuePlace | null
  readonly events: WatchState['events']
  /** What is missing among `events`; null: nothing. */
  readonly missed: WatchState['missed']
  readonly phase: WatchState['phase'] | 'idle'
  readonly transport: TransportName | null
}

export interface JobStoreOptions {
  /** Type of what `startJob` submits. */
  readonly type?: string | undefined
  /** A job to begin with; null or empty: none yet. */
  readonly jobId?: string | null | undefined
  readonly history?: boolean | undefined
}

export interface StartOptions {
  readonly type?: string
  readonly options?: SubmitOptions
  readonly idempotencyKey?: string
  readonly signal?: AbortSignal
}

/** What may be asked of it. */
export const JOB_OPTIONS = {
  type: textUpTo(64),
  jobId: {
    is: (value) => value === null || typeof value === 'string',
    says: 'the id of a job, or null while there is none',
  },
  history: YES_OR_NO,
} satisfies Record<keyof JobStoreOptions, Rule>

interface Submitting {
  readonly kind: 'submitting'
  readonly abort: AbortController
}

/** What was asked for, and is answered by one submission however often it is asked for in one go. */
interface Begun {
  readonly mode: Submitting
  readonly payload: unknown
  readonly start: StartOptions
  readonly answer: Promise<string>
}

type Mode =
  | { readonly kind: 'idle'; readonly error: JobcastError | null }
  | Submitting
  /** `watch` is null while nobody listens; `after` is where it is taken up again. */
  | {
      readonly kind: 'job'
      readonly jobId: string
      readonly status: JobStatus | null
      readonly watch: { readonly of: JobWatch; readonly leave: Unsubscribe } | null
      readonly shown: WatchState | null
      readonly error: JobcastError | null
    }

const NOTHING: JobFacts & { readonly result: null } = {
  result: null,
  error: null,
  progress: null,
  jobId: null,
  job: null,
  queue: null,
  events: [],
  missed: null,
  phase: 'idle',
  transport: null,
}

const IDLE: JobState = { ...NOTHING, status: 'idle' }

/**
 * One job of a user interface, from the click to the result: `idle`, `submitting`, then a `job` that is watched for as
 * long as somebody listens to the store.
 */
export class JobStore extends Store<JobState> {
  readonly #client: JobcastClient
  readonly #options: JobStoreOptions
  #mode: Mode
  #begun: Begun | null = null

  constructor(client: JobcastClient, options: JobStoreOptions = {}) {
    const mode: Mode = options.jobId
      ? { kind: 'job', jobId: options.jobId, status: null, watch: null, shown: null, error: null }
      : { kind: 'idle', error: null }
    super(show(mode))
    this.#client = client
    this.#options = options
    this.#mode = mode
  }

  /**
   * Submits and watches; the job that was shown before goes on unwatched. Resolves to the job's id once stored. The same again
   * in one go is no second job: React's strict mode runs effects twice.
   */
  readonly startJob = (payload: unknown, start: StartOptions = {}): Promise<string> => {
    const begun = this.#begun
    if (begun !== null && begun.mode === this.#mode && isSame(begun, payload, start)) return begun.answer
    const submitting: Submitting = { kind: 'submitting', abort: new AbortController() }
    const answer = this.#submit(submitting, payload, start)
    this.#begun = { mode: submitting, payload, start, answer }
    queueMicrotask(() => {
      if (this.#begun?.mode === submitting) this.#begun = null
    })
    return answer
  }

  async #submit(submitting: Submitting, payload: unknown, start: StartOptions): Promise<string> {
    const type = start.type ?? this.#options.type
    if (type === undefined) throw new JobcastError('invalid_request', 'startJob needs a type')
    const { abort } = submitting
    const unlink = onAbort(start.signal, () => abort.abort(start.signal?.reason))
    this.#become(submitting)
    try {
      const { signal: _signal, ...rest } = start
      const answer = await this.#client.submit({ ...rest, type, payload, signal: abort.signal })
      if (this.#mode === submitting) this.#show(answer.jobId, answer.status)
      return answer.jobId
    } catch (error) {
      if (this.#mode === submitting) this.#become({ kind: 'idle', error: asError(error) })
      throw error
    } finally {
      unlink()
    }
  }

  /** Asks for the job's end; a running one takes a moment to stop. Rejects where that is not possible. */
  readonly cancel = async (): Promise<void> => {
    await this.#command((jobId) => this.#client.cancel(jobId))
  }

  /** A failed or cancelled job once more. */
  readonly retry = async (): Promise<void> => {
    const job = await this.#command((jobId) => this.#client.retry(jobId))
    if (job !== null && this.#mode.kind === 'job' && this.#mode.jobId === job.jobId) {
      this.#show(job.jobId, job.status, job)
    }
  }

  /** Back to `idle`; a job that runs goes on unwatched, a submission under way is called off where it still can be. */
  readonly reset = (): void => {
    this.#become({ kind: 'idle', error: null })
  }

  protected override activated(): void {
    if (this.#mode.kind === 'job' && this.#mode.watch === null) this.#watch(this.#mode)
  }

  protected override deactivated(): void {
    if (this.#mode.kind === 'job') this.#become({ ...this.#mode, watch: null })
  }

  async #command(command: (jobId: string) => Promise<Job>): Promise<Job | null> {
    if (this.#mode.kind !== 'job') return null
    const { jobId } = this.#mode
    try {
      const job = await command(jobId)
      this.#note(jobId, null)
      return job
    } catch (error) {
      this.#note(jobId, asError(error))
      throw error
    }
  }

  #note(jobId: string, error: JobcastError | null): void {
    if (this.#mode.kind === 'job' && this.#mode.jobId === jobId) this.#become({ ...this.#mode, error })
  }

  /** Turns to a job; with `seed`, the job as it is known to be now. */
  #show(jobId: string, status: JobStatus, seed: Job | null = null): void {
    const before = this.#mode.kind === 'job' && this.#mode.jobId === jobId ? this.#mode.shown : null
    const shown: WatchState | null =
      seed === null
        ? null
        : { ...NOTHING_KNOWN, job: seed, events: before?.events ?? [], missed: before?.missed ?? null }
    const mode: Mode & { kind: 'job' } = { kind: 'job', jobId, status, watch: null, shown, error: null }
    this.#become(mode)
    if (this.active) this.#watch(mode)
  }

  #watch(mode: Mode & { kind: 'job' }): void {
    const history = this.#options.history === true
    // With history everything is wanted: `after` would leave out what was shown before.
    const after = history ? undefined : mode.shown?.job?.cursor
    let watch: JobWatch
    try {
      watch = this.#client.watch(mode.jobId, { history, ...(after === undefined ? {} : { after }) })
    } catch (error) {
      // Whatever its address says: there is no job with an id that no job can have.
      const isMistake = error instanceof TypeError
      const shown = isMistake ? new JobcastError('not_found', error.message) : asError(error)
      this.#become({ ...mode, error: shown })
      return
    }
    const update = () => {
      if (this.#mode.kind !== 'job' || this.#mode.watch?.of !== watch) return
      const state = watch.getSnapshot()
      // What was shown before is better than nothing, until the first answer.
      const shown =
        state.job === null && this.#mode.shown?.job ? { ...this.#mode.shown, phase: state.phase } : state
      this.#become({
        ...this.#mode,
        shown: state.phase === 'refused' ? { ...shown, error: state.error } : shown,
      })
    }
    this.#become({ ...mode, watch: { of: watch, leave: watch.subscribe(update) } })
    update()
  }

  /** The one place that changes the mode, and lets go of what the former one held. */
  #become(mode: Mode): void {
    const before = this.#mode
    this.#mode = mode
    const kept = mode.kind === 'job' ? mode.watch : null
    if (before.kind === 'job' && before.watch !== null && before.watch !== kept) {
      before.watch.leave()
      before.watch.of.close()
    }
    if (before.kind === 'submitting' && mode.kind !== 'job') before.abort.abort()
    this.set(show(mode))
  }
}

/** Submissions are compared by value; whoever asks with another signal may call off one and not the other. */
function isSame(begun: Begun, payload: unknown, start: StartOptions): boolean {
  const { abort } = begun.mode
  if (abort.signal.aborted || begun.start.signal !== start.signal) return false
  const { signal: _, ...options } = start
  const { signal: _signal, ...before } = begun.start
  try {
    return toJson([begun.payload, before]) === toJson([payload, options])
  } catch {
    return false
  }
}

function show(mode: Mode): JobState {
  if (mode.kind === 'idle') return mode.error === null ? IDLE : { ...IDLE, error: mode.error }
  if (mode.kind === 'submitting') return { ...NOTHING, status: 'submitting' }
  const { jobId, shown, error } = mode
  const job = shown?.job ?? null
  return {
    ...resultOf(job, mode.status),
    error: job?.error ?? shown?.error ?? error,
    progress: job?.progress ?? null,
    jobId,
    job,
    queue: shown?.queue ?? null,
    events: shown?.events ?? [],
    missed: shown?.missed ?? null,
    phase: shown?.phase ?? 'connecting',
    transport: shown?.transport ?? null,
  }
}

/** Of a job that had ended when it was submitted (again), the result is still to come. */
function resultOf(job: Job | null, answered: JobStatus | null): ResultByStatus<unknown, ShownStatus> {
  if (job?.status === 'completed') return { status: job.status, result: job.result }
  if (job !== null) return { status: job.status, result: null }
  return { status: answered === 'completed' ? 'loading' : (answered ?? 'idle'), result: null }
}

function asError(error: unknown): JobcastError {
  if (error instanceof JobcastError) return error
  return new JobcastError('network', error instanceof Error ? error.message : String(error), { cause: error })
}
