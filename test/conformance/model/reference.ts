import type { Json } from '../../../server/engine/engine.ts'
import { NO_LABELS } from '../../../shared/options.ts'
import { isTerminal, type JobStatus } from '../../../shared/status.ts'
import type { Command, ModelEvent, ModelOutcome, TypeName } from './commands.ts'

/** Stands for any time: when things happen is not the model's business. */
export const SOME_TIME = 'a time'

/** An event as both the reference and a normalised engine show it. */
export interface SeenEvent {
  readonly seq: number
  readonly kind: string
  readonly data: unknown
}

export interface SeenClaim {
  readonly job: number
  readonly run: number
  readonly attempt: number
  readonly stalls: number
  /** Whether it is known how long the job waited: it was queued from the start and never retried nor stalled. */
  readonly waited: boolean
}

type Fields = Record<string, Json>

interface ReferenceJob {
  readonly type: TypeName
  readonly priority: number
  readonly maxStalls: number
  /** What `get` shows, times made anonymous. */
  readonly fields: Fields & { status: JobStatus; attempt: number; stalls: number; cancelRequested: boolean }
  /** In line: the lower, the sooner. */
  place: number
  soon: boolean
  /** Never scheduled, retried by hand, or stalled. */
  fresh: boolean
  seq: number
  events: SeenEvent[]
  /** The run that holds it. */
  run: number | null
  /** The run that ended last and what its settling answered, until the next claim. */
  settled: { run: number; verdict: JobStatus } | null
}

interface Run {
  readonly job: number
  short: boolean
  /** Number of the last event that it reported. */
  reported: number
  /** Of a run that settled, also after its job was claimed by another. */
  verdict: JobStatus | null
}

/** What a settle may answer. */
export type Verdicts = readonly string[]

/**
 * The contract once more, as a plain program: no store, no time, no concurrency. Slow and small, so that it can be
 * read against the protocol.
 */
export class Reference {
  readonly jobs: (ReferenceJob | null)[] = []
  readonly runs: Run[] = []
  readonly paused = new Set<TypeName>()
  readonly #once = new Map<number, { body: number; job: number }>()
  #places = 0
  #lastClaim: readonly number[] = []

  submit(command: Extract<Command, { verb: 'submit' }>): number[] {
    return Array.from({ length: command.count }, () => this.#add(command, command.when))
  }

  submitOnce(key: number, body: number): { job: number; replayed: boolean } | 'mismatch' {
    const before = this.#once.get(key)
    if (before !== undefined) return before.body === body ? { job: before.job, replayed: true } : 'mismatch'
    const job = this.#add({ type: 'alpha', priority: 0, maxStalls: 2 }, 'now')
    this.#once.set(key, { body, job })
    return { job, replayed: false }
  }

  claim(types: readonly TypeName[], limit: number, short: boolean): SeenClaim[] {
    const claims = types.flatMap((type) =>
      this.#inLine(type)
        .slice(0, limit)
        .map((job) => this.#start(job, short)),
    )
    if (!short) this.#lastClaim = claims.map(({ run }) => run)
    return claims
  }

  /** Null where the last claim brought nothing: then nothing is promised of sending it again. */
  claimAgain(): SeenClaim[] | null {
    if (this.#lastClaim.length === 0) return null
    return this.#lastClaim.filter((run) => this.#held(run) !== null).map((run) => this.#seen(run))
  }

  extend(run: number): 'held' | 'cancel_requested' | 'stale' {
    const job = this.#held(run)
    const held = this.runs[run]
    if (job === null || held === undefined) return 'stale'
    held.short = false
    return job.fields.cancelRequested ? 'cancel_requested' : 'held'
  }

  report(run: number, events: readonly ModelEvent[]): 'ok' | 'stale' {
    const job = this.#held(run)
    if (job === null) return 'stale'
    for (const event of events) this.#append(job, event)
    return 'ok'
  }

  settle(run: number, outcome: ModelOutcome, events: readonly ModelEvent[]): Verdicts {
    const job = this.#held(run)
    if (job === null) return this.#settledBefore(run)
    for (const event of events) this.#append(job, event)
    job.run = null
    const cancelled = job.fields.cancelRequested && outcome.kind !== 'completed'
    if (cancelled || outcome.kind === 'cancelled') this.#cancelled(job)
    else this.#ended(job, outcome)
    const verdict = job.fields.status
    job.settled = { run, verdict }
    const settled = this.runs[run]
    if (settled !== undefined) settled.verdict = verdict
    return [verdict]
  }

  /** Promotes all that is due, in the order in which it came due; answers how many. */
  promote(): number {
    const due = this.#living().filter(({ soon }) => soon)
    for (const job of due.sort((a, b) => a.place - b.place)) {
      job.place = this.#places++
      job.soon = false
      this.#change(job, { status: 'queued', scheduledFor: null })
    }
    return due.length
  }

  get scheduled(): number {
    return this.#living().filter(({ fields }) => fields.status === 'scheduled').length
  }

  /** Takes back every run with a short lease; answers how many. */
  rescue(): number {
    const lost = this.#living().filter(({ run }) => run !== null && this.runs[run]?.short)
    for (const job of lost) this.#rescued(job)
    return lost.length
  }

  cancel(index: number): string {
    const job = this.jobs[index]
    if (job == null) return 'not_found'
    if (isTerminal(job.fields.status)) return 'already_finished'
    if (job.run === null) this.#cancelled(job)
    else if (!job.fields.cancelRequested) this.#change(job, { cancelRequested: true })
    return 'ok'
  }

  retry(index: number): string {
    const job = this.jobs[index]
    if (job == null) return 'not_found'
    if (job.fields.status !== 'failed' && job.fields.status !== 'cancelled') return 'not_retryable'
    const cleared = { progress: null, result: null, error: null, errorCode: null, startedAt: null }
    const fresh = { attempt: 1, stalls: 0, cancelRequested: false, completedAt: null, expiresAt: null }
    this.#change(job, { status: 'queued', ...cleared, ...fresh })
    job.events = job.events.filter(({ kind }) => kind !== 'progress')
    job.place = this.#places++
    job.fresh = false
    return 'ok'
  }

  remove(index: number): string {
    const job = this.jobs[index]
    if (job == null) return 'not_found'
    if (!isTerminal(job.fields.status)) return 'not_finished'
    this.jobs[index] = null
    return 'removed'
  }

  #add(shape: { type: TypeName; priority: number; maxStalls: number }, when: string): number {
    const status = when === 'now' ? 'queued' : 'scheduled'
    const scheduledFor = when === 'now' ? null : SOME_TIME
    const job: ReferenceJob = {
      ...shape,
      fields: {
        type: shape.type,
        status,
        payload: this.jobs.length,
        progress: null,
        result: null,
        error: null,
        errorCode: null,
        attempt: 1,
        maxAttempts: 3,
        stalls: 0,
        priority: shape.priority,
        ...NO_LABELS,
        createdAt: SOME_TIME,
        scheduledFor,
        startedAt: null,
        completedAt: null,
        expiresAt: null,
        cancelRequested: false,
      },
      place: this.#places++,
      soon: when === 'soon',
      fresh: when === 'now',
      seq: 1,
      events: [{ seq: 1, kind: 'status', data: when === 'now' ? { status } : { status, scheduledFor } }],
      run: null,
      settled: null,
    }
    this.jobs.push(job)
    return this.jobs.length - 1
  }

  #living(): ReferenceJob[] {
    return this.jobs.filter((job) => job !== null)
  }

  /** Of each job its place, and whether it is held up there; null where it is not in line. */
  places(): ({ place: number; paused: boolean } | null)[] {
    return this.jobs.map((job, index) => {
      if (job?.fields.status !== 'queued') return null
      return { place: this.#line(job.type).indexOf(index) + 1, paused: this.paused.has(job.type) }
    })
  }

  #inLine(type: TypeName): number[] {
    return this.paused.has(type) ? [] : this.#line(type)
  }

  #line(type: TypeName): number[] {
    return this.jobs
      .flatMap((job, index) => (job?.type === type && job.fields.status === 'queued' ? [{ job, index }] : []))
      .sort((a, b) => b.job.priority - a.job.priority || a.job.place - b.job.place)
      .map(({ index }) => index)
  }

  #start(index: number, short: boolean): SeenClaim {
    const job = this.jobs[index]
    if (job == null) throw new Error(`no job ${index}`)
    job.run = this.runs.push({ job: index, short, reported: 0, verdict: null }) - 1
    job.settled = null
    job.events = job.events.filter(({ kind }) => kind !== 'progress')
    this.#change(job, { status: 'processing', startedAt: SOME_TIME, progress: null })
    return this.#seen(job.run)
  }

  #seen(run: number): SeenClaim {
    const index = this.runs[run]?.job ?? -1
    const job = this.jobs[index]
    if (job == null) throw new Error(`no job ${index}`)
    const { attempt, stalls } = job.fields
    return { job: index, run, attempt, stalls, waited: job.fresh }
  }

  /** The job that this run holds. */
  #held(run: number): ReferenceJob | null {
    const job = this.jobs[this.runs[run]?.job ?? -1]
    return job?.run === run ? job : null
  }

  /** A settle sent again answers the same; once the job is another run's, it may also have been forgotten. */
  #settledBefore(run: number): Verdicts {
    const job = this.jobs[this.runs[run]?.job ?? -1]
    const verdict = this.runs[run]?.verdict ?? null
    if (job == null || verdict === null) return ['stale']
    return job.settled?.run === run ? [verdict] : [verdict, 'stale']
  }

  #ended(job: ReferenceJob, outcome: ModelOutcome): void {
    const failure = { error: 'broken', errorCode: 'handler_error' }
    const ends = { completedAt: SOME_TIME, expiresAt: SOME_TIME }
    if (outcome.kind === 'completed') {
      this.#change(job, {
        status: 'completed',
        result: outcome.result,
        error: null,
        errorCode: null,
        ...ends,
      })
    } else if (outcome.kind === 'failed') {
      this.#change(job, { status: 'failed', ...failure, ...ends })
    } else if (outcome.kind === 'retry' || outcome.kind === 'later') {
      const again = outcome.kind === 'later' ? {} : { attempt: job.fields.attempt + 1, ...failure }
      this.#change(job, { status: 'scheduled', ...again, scheduledFor: SOME_TIME })
      job.soon = outcome.when === 'soon'
      job.fresh = false
      job.place = this.#places++
    } else {
      this.#change(job, { status: 'queued' })
    }
  }

  #rescued(job: ReferenceJob): void {
    job.run = null
    job.fresh = false
    const stalls = job.fields.stalls + 1
    const failure = { error: `the lease ran out ${stalls} times`, errorCode: 'stalled' }
    const ends = { completedAt: SOME_TIME, expiresAt: SOME_TIME }
    if (job.fields.cancelRequested) this.#cancelled(job)
    else if (stalls <= job.maxStalls) this.#change(job, { status: 'queued', stalls })
    else this.#change(job, { status: 'failed', stalls, ...failure, ...ends })
  }

  #cancelled(job: ReferenceJob): void {
    job.soon = false
    const why = { cancelRequested: true, error: null, errorCode: 'cancelled', scheduledFor: null }
    this.#change(job, { status: 'cancelled', ...why, completedAt: SOME_TIME, expiresAt: SOME_TIME })
  }

  #change(job: ReferenceJob, data: Fields): void {
    Object.assign(job.fields, data)
    job.seq += 1
    job.events.push({ seq: job.seq, kind: 'status', data })
  }

  #append(job: ReferenceJob, { kind, data, n }: ModelEvent): void {
    const run = this.runs[job.run ?? -1]
    if (run === undefined || (n !== undefined && n <= run.reported)) return
    run.reported = n ?? run.reported
    job.seq += 1
    if (kind === 'progress') {
      job.fields.progress = { ...data }
      job.events = job.events.filter((event) => event.kind !== 'progress')
    }
    job.events.push({ seq: job.seq, kind, data })
  }
}
