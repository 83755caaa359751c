import { isSameHistory, parseCursor } from '../../shared/cursor.ts'
import type { Job, Progress, QueuePlace } from '../../shared/job.ts'
import type { InputOf, JobId, JobOf, JobType, ResultOf } from '../../shared/job-type.ts'
import type { SubmitOptions } from '../../shared/options.ts'
import { isTerminal, type JobStatus } from '../../shared/status.ts'
import { CREDENTIAL, checkOptions, FUNCTION, JOB, type Rule, textUpTo, YES_OR_NO } from '../arguments.ts'
import type { JobcastClient } from '../client.ts'
import { JobcastError } from '../errors.ts'
import type { WatchEvent } from '../history.ts'
import { toJson } from '../http.ts'
import { guarded, type Readable, Store, type Unsubscribe } from '../store.ts'
import { onAbort } from '../time.ts'
import type { TransportName } from '../transports/link.ts'
import type { JobWatch, KnownJob, WatchState } from '../watch.ts'
import { NOTHING_KNOWN } from '../watched-job.ts'

interface Shown<J extends JobType> {
  readonly jobId: JobId<J['type']> | null
  readonly job: JobOf<J> | null
  readonly progress: Progress | null
  /** Where a queued job stands and when it may start; null where that is not known (yet). */
  readonly queue: QueuePlace | null
  readonly events: WatchState['events']
  /** What is missing among `events`; null: nothing. */
  readonly missed: WatchState['missed']
  readonly phase: WatchState['phase'] | 'idle'
  readonly transport: TransportName | null
}

/**
 * What is shown of a job. `status` tells the rest: `idle` there is no job, or none that can be seen (`error` says why);
 * `loading` nothing is known yet of the job; `submitting` until the server has stored it. The result is there where the job
 * completed, and only there. `error` is what went wrong with the job (a message), else with the submission, the watch
 * or a command.
 */
export type JobState<J extends JobType = JobType> = Shown<J> &
  (
    | { readonly status: 'completed'; readonly result: ResultOf<J>; readonly error: JobcastError | null }
    | { readonly status: 'failed'; readonly result: null; readonly error: string }
    | {
        readonly status: 'idle' | 'loading' | 'submitting' | Exclude<JobStatus, 'completed' | 'failed'>
        readonly result: null
        readonly error: string | JobcastError | null
      }
  )

/**
 * Who wants to hear of the job. That it completed or failed is told once, to whoever listens to the store then, also of a
 * job that had ended before; after a retry by hand its next end is another one.
 */
export interface JobListeners<J extends JobType = JobType> {
  readonly onCompleted?: ((result: ResultOf<J>, job: JobOf<J>) => void) | undefined
  readonly onFailed?: ((error: string, job: JobOf<J>) => void) | undefined
  /**
   * Hears every event once, in order (merged progress apart): of a job that `startJob` submitted all, else those that come,
   * with `history` the retained ones before.
   */
  readonly onEvent?: ((event: WatchEvent) => void) | undefined
}

export interface JobStoreOptions<J extends JobType = JobType> extends JobListeners<J> {
  /** Type of what `startJob` submits, unless it says another. */
  readonly type?: J['type'] | undefined
  /** A job to begin with; null or empty: none yet. */
  readonly jobId?: string | null | undefined
  /** Token of that job; left out: the client's credential. */
  readonly token?: string | undefined
  /**
   * That job as it was read before, such as on a server (`await client.get(id)`): it is shown at once, and watched from there
   * on. It may stand for `jobId`; of another job than `jobId` says, it counts for nothing.
   */
  readonly initialJob?: KnownJob | null | undefined
  /** With the events from before: for a timeline, a log, output so far. */
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
  token: CREDENTIAL,
  initialJob: { is: (value) => value === null || JOB.is(value), says: `${JOB.says}, or null` },
  history: YES_OR_NO,
  onCompleted: FUNCTION,
  onFailed: FUNCTION,
  onEvent: FUNCTION,
} satisfies Record<keyof JobStoreOptions, Rule>

/** The job to begin with; undefined: none yet. */
export function givenJobId({ jobId, initialJob }: JobStoreOptions): string | undefined {
  return jobId || (jobId === undefined ? initialJob?.jobId : undefined)
}

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
  /** `watch` is null while nobody listens; with `shown` it is taken up again, else it begins `after` that cursor. */
  | {
      readonly kind: 'job'
      readonly jobId: string
      readonly status: JobStatus | null
      readonly after: string | undefined
      readonly watch: { readonly of: JobWatch; readonly leave: Unsubscribe } | null
      readonly shown: WatchState | null
      readonly error: JobcastError | null
    }

type JobMode = Mode & { readonly kind: 'job' }

const NOTHING = {
  ...NOTHING_KNOWN,
  status: 'idle',
  result: null,
  progress: null,
  jobId: null,
  phase: 'idle',
} as const satisfies JobState

export interface JobControls<J extends JobType = JobType> {
  /**
   * Submits and watches; the job that was shown before goes on unwatched. Resolves to the job's id once it is stored; rejects
   * with a `JobcastError`. Equal calls in one go are one.
   */
  startJob(payload: InputOf<J>, start?: StartOptions): Promise<JobId<J['type']>>
  /**
   * Asks for the job's end; a running one takes a moment to stop, one that is being submitted is stored first. Rejects with a
   * `JobcastError`, which `error` shows as well.
   */
  cancel(): Promise<void>
  /** A failed or cancelled job once more. Rejects as `cancel` does. */
  retry(): Promise<void>
  /** Back to `idle`; a job that runs goes on unwatched, a submission under way is called off where it still can be. */
  reset(): void
}

/** One job of a user interface: its state for as long as somebody listens, and what can be done with it. */
export interface JobHandle<J extends JobType = JobType> extends Readable<JobState<J>>, JobControls<J> {}

/**
 * Makes the store of one job: submit it, or name one that exists, and have it live while somebody listens. `J` is the type's
 * definition (`typeof resize`).
 */
export function createJobStore<J extends JobType = JobType>(
  client: JobcastClient,
  options: JobStoreOptions<J> = {},
): JobHandle<J> {
  checkOptions('createJobStore', options, JOB_OPTIONS)
  // The border: that the server's jobs are of this type is the caller's word.
  return new JobStore(client, options as object) as JobHandle as JobHandle<J>
}

/**
 * One job of a user interface, from the click to the result: `idle`, `submitting`, then a `job` that is watched for as
 * long as somebody listens to the store.
 */
export class JobStore extends Store<JobState> implements JobHandle {
  /** Who listens may be others at any time; what else is said holds from the start. */
  options: JobStoreOptions
  readonly #client: JobcastClient
  #mode: Mode
  #begun: Begun | null = null
  /** Resolves once the latest submission is over, whatever came of it. */
  #submitted: Promise<unknown> | undefined
  /** The cursor up to which `onEvent` has heard of the job. */
  #heard: string | null = null
  /** Which end of which job was told. */
  #toldEnd = ''

  constructor(client: JobcastClient, options: JobStoreOptions = {}) {
    const mode = beginning(options)
    super(show(mode))
    this.options = options
    this.#client = client
    this.#mode = mode
  }

  /** The same again in one go is no second job: React's strict mode runs effects twice. */
  readonly startJob = (payload: unknown, start: StartOptions = {}): Promise<string> => {
    const begun = this.#begun
    if (begun !== null && begun.mode === this.#mode && isSame(begun, payload, start)) return begun.answer
    const submitting: Submitting = { kind: 'submitting', abort: new AbortController() }
    const answer = this.#submit(submitting, payload, start)
    this.#begun = { mode: submitting, payload, start, answer }
    this.#submitted = answer.catch(() => {})
    queueMicrotask(() => {
      if (this.#begun?.mode === submitting) this.#begun = null
    })
    return answer
  }

  async #submit(submitting: Submitting, payload: unknown, start: StartOptions): Promise<string> {
    const type = start.type ?? this.options.type
    if (type === undefined) throw new JobcastError('invalid_request', 'startJob needs a type')
    const { abort } = submitting
    const unlink = onAbort(start.signal, () => abort.abort(start.signal?.reason))
    this.#become(submitting)
    try {
      const answer = await this.#client.submit({ ...start, type, payload, signal: abort.signal })
      const { jobId, status, cursor } = answer
      const after = this.options.onEvent && cursor
      if (this.#mode === submitting) this.#show({ kind: 'job', jobId, status, after, ...UNWATCHED })
      return jobId
    } catch (error) {
      if (this.#mode === submitting) this.#become({ kind: 'idle', error: asError(error) })
      throw error
    } finally {
      unlink()
    }
  }

  readonly cancel = async (): Promise<void> => {
    // Another submission meanwhile calls this one off, so that it is over before there is another job.
    if (this.#mode.kind !== 'job') await this.#submitted
    await this.#command((jobId) => this.#client.cancel(jobId))
  }

  readonly retry = async (): Promise<void> => {
    const job = await this.#command((jobId) => this.#client.retry(jobId))
    const mode = this.#mode
    if (job === null || mode.kind !== 'job' || mode.jobId !== job.jobId) return
    // What is known of it by now; its events stay.
    const { events, missed } = mode.shown ?? NOTHING_KNOWN
    const shown = { ...NOTHING_KNOWN, events, missed, job }
    this.#show({ ...mode, ...UNWATCHED, status: job.status, shown })
  }

  readonly reset = (): void => {
    this.#become({ kind: 'idle', error: null })
  }

  protected override activated(): void {
    if (this.#mode.kind !== 'job') return
    this.#tellEnd()
    if (this.#mode.shown?.phase !== 'ended') this.#watch(this.#mode)
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

  /** Turns to a job, which may be the same as before. */
  #show(mode: JobMode): void {
    if (this.#mode.kind !== 'job') this.#heard = null
    this.#become(mode)
    if (this.active) this.#watch(mode)
  }

  #watch(mode: JobMode): void {
    const { jobId, shown } = mode
    const { history = false, token } = this.options
    let watch: JobWatch
    try {
      watch = this.#client.watch(jobId, {
        history,
        ...(shown?.job ? { job: shown.job } : mode.after !== undefined && { after: mode.after }),
        ...(token !== undefined && jobId === givenJobId(this.options) && { token }),
        onEvent: this.#listener(),
      })
    } catch (error) {
      // Whatever its address says: there is no job with an id that no job can have.
      const isMistake = error instanceof TypeError
      const shownError = isMistake ? new JobcastError('not_found', error.message) : asError(error)
      this.#become({ ...mode, error: shownError })
      return
    }
    const update = () => {
      if (this.#mode.kind !== 'job' || this.#mode.watch?.of !== watch) return
      const state = watch.getSnapshot()
      const { phase, error } = state
      // What was shown before is better than nothing, until the first answer.
      this.#become({
        ...this.#mode,
        shown: state.transport === null && shown !== null ? { ...shown, phase, error } : state,
      })
    }
    this.#become({ ...mode, watch: { of: watch, leave: watch.subscribe(update) } })
    update()
  }

  /** Hears the events of one watch. One with history tells those from before again, each time that it is taken up. */
  #listener(): (event: WatchEvent) => void {
    const heard = this.#heard
    return (event) => {
      if (this.#mode.kind !== 'job') return
      const cursor = this.#mode.shown?.job?.cursor ?? ''
      this.#heard = cursor
      const isKnown = heard !== null && isSameHistory(heard, cursor) && event.seq <= parseCursor(heard).seq
      if (!isKnown) this.options.onEvent?.(event)
    }
  }

  /** Tells, once, that the job completed or failed. */
  #tellEnd(): void {
    const job = this.#mode.kind === 'job' ? this.#mode.shown?.job : null
    if (!job || !isTerminal(job.status)) return
    const end = `${job.jobId} ${job.completedAt}`
    if (end === this.#toldEnd) return
    this.#toldEnd = end
    // After the event that ended it.
    queueMicrotask(() => {
      const { onCompleted, onFailed } = this.options
      if (job.status === 'completed') guarded(onCompleted, job.result, job)
      if (job.status === 'failed') guarded(onFailed, job.error ?? '', job)
    })
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
    this.#tellEnd()
  }
}

const UNWATCHED = { watch: null, shown: null, error: null } as const

function beginning(options: JobStoreOptions): Mode {
  const { initialJob, history } = options
  const jobId = givenJobId(options)
  if (jobId === undefined) return { kind: 'idle', error: null }
  const mode = { kind: 'job', jobId, status: null, after: undefined, ...UNWATCHED } as const
  if (!initialJob || initialJob.jobId !== jobId) return mode
  // Of a finished job nothing more is to come, but what was before.
  const phase = isTerminal(initialJob.status) && history !== true ? 'ended' : 'connecting'
  return { ...mode, shown: { ...NOTHING_KNOWN, phase, job: initialJob as Job } }
}

/** Submissions are compared by value; whoever asks with another signal may call off one and not the other. */
function isSame(begun: Begun, payload: unknown, start: StartOptions): boolean {
  if (begun.mode.abort.signal.aborted || begun.start.signal !== start.signal) return false
  try {
    return textOf(begun.payload, begun.start) === textOf(payload, start)
  } catch {
    return false
  }
}

function textOf(payload: unknown, start: StartOptions): string {
  return toJson([payload, { ...start, signal: undefined }])
}

function show(mode: Mode): JobState {
  if (mode.kind === 'idle') return mode.error === null ? NOTHING : { ...NOTHING, error: mode.error }
  if (mode.kind === 'submitting') return { ...NOTHING, status: 'submitting' }
  const { jobId, shown } = mode
  const job = shown?.job ?? null
  const error = shown?.error ?? mode.error
  // Of a job that had ended when it was submitted (again), what came of it is still to come.
  const answered = mode.status !== null && isTerminal(mode.status) ? null : mode.status
  const state = {
    ...(shown ?? NOTHING_KNOWN),
    status: job?.status ?? answered ?? (error === null ? 'loading' : 'idle'),
    result: job?.result ?? null,
    error: job?.error ?? error,
    progress: job?.progress ?? null,
    jobId,
  }
  // The border: a job has a result where it completed, and an error where it failed.
  return state as JobState
}

function asError(error: unknown): JobcastError {
  if (error instanceof JobcastError) return error
  return new JobcastError('network', error instanceof Error ? error.message : String(error), { cause: error })
}
