import type { Json, Outcome } from '../engine.ts'
import { decodePolicy } from '../job/policy.ts'
import type { Fields, JobRow, Run } from './job-row.ts'
import { eventText, type StatusEvent } from './status-event.ts'

/** What one step does to a job, as values. */
export interface Transition {
  readonly event: StatusEvent
  readonly fields: Fields
  /** Where it begins; every step ends the run that was before it, unless it says `keepsRun`. */
  readonly run?: Run
  readonly keepsRun?: true
  /** Of a run that completed. */
  readonly result?: Json
}

/** Changes the job, gives the event its seq and keeps it. */
export function take(job: JobRow, { event, fields, run, keepsRun }: Transition, now: number): void {
  Object.assign(job, fields)
  if (keepsRun === undefined) job.run = run ?? null
  job.seq++
  // What a first event mostly says, the job says as well: feed.ts fills it in.
  if (job.seq === 1 && job.status === 'queued') return
  job.history = withEvent(job.history, eventText(job.seq, now, event))
}

/** The histories that were made last: jobs that are claimed and settled together have the same, and a text that is the same is quickly compared. */
let last = { before: '', text: '', after: '' }

function withEvent(before: string, text: string): string {
  if (before !== last.before || text !== last.text) {
    last = { before, text, after: before === '' ? text : `${before},${text}` }
  }
  return last.after
}

const NO_PROGRESS = { progress: null, progressSeq: null, progressAt: null } as const

export function submitted(scheduledFor: number | null): Transition {
  if (scheduledFor === null) return { event: ['queued'], fields: { status: 'queued' } }
  return { event: ['scheduled', scheduledFor], fields: { status: 'scheduled', scheduledFor, fresh: false } }
}

export function promoted(place: number): Transition {
  return { event: ['promoted'], fields: { status: 'queued', scheduledFor: null, place } }
}

export function claimed(job: JobRow, run: Run | null, now: number): Transition {
  const fields: Fields = { status: 'processing', startedAt: now }
  // Written out only where there was one, since this is made for every run.
  if (job.progressSeq !== null || job.progress !== null) Object.assign(fields, NO_PROGRESS)
  return run === null ? { event: ['claimed'], fields } : { event: ['claimed'], fields, run }
}

/** The end of a run by its worker. Where a cancel was requested, only completion stands. */
export function settled(job: JobRow, outcome: Outcome, now: number): Transition {
  const step = ended(job, outcome, now)
  step.fields.settledLease = job.run?.lease ?? null
  step.fields.settledAs = step.fields.status ?? job.status
  return step
}

function ended(job: JobRow, outcome: Outcome, now: number): Transition {
  if (outcome.kind === 'completed') {
    const expiresAt = expiryOf(job, now)
    return {
      event: ['completed', expiresAt],
      fields: { status: 'completed', error: null, errorCode: null, completedAt: now, expiresAt },
      result: outcome.result,
    }
  }
  if (outcome.kind === 'cancelled' || job.cancelRequested) return cancelled(job, now)
  if (outcome.kind === 'released') return { event: ['released'], fields: { status: 'queued' } }
  if (outcome.kind === 'later') {
    const scheduledFor = now + outcome.delayMs
    return { event: ['scheduled', scheduledFor], fields: { status: 'scheduled', scheduledFor, fresh: false } }
  }
  const { error, errorCode } = outcome
  if (outcome.kind === 'failed') {
    const expiresAt = expiryOf(job, now)
    return {
      event: ['failed', expiresAt, errorCode, error],
      fields: { status: 'failed', error, errorCode, completedAt: now, expiresAt },
    }
  }
  const scheduledFor = now + outcome.delayMs
  const attempt = job.attempt + 1
  return {
    event: ['rescheduled', scheduledFor, attempt, errorCode, error],
    fields: { status: 'scheduled', attempt, error, errorCode, scheduledFor, fresh: false },
  }
}

/** The lease of a run has run out. */
export function rescued(job: JobRow, now: number): Transition {
  if (job.cancelRequested) return cancelled(job, now)
  const stalls = job.stalls + 1
  if (stalls <= decodePolicy(job.policy).maxStalls) {
    return { event: ['rescued', stalls], fields: { status: 'queued', stalls, fresh: false } }
  }
  const expiresAt = expiryOf(job, now)
  const error = `the lease ran out ${stalls} times`
  return {
    event: ['stalled', expiresAt, stalls, error],
    fields: { status: 'failed', error, errorCode: 'stalled', stalls, completedAt: now, expiresAt },
  }
}

export function cancelled(job: JobRow, now: number): Transition {
  const expiresAt = expiryOf(job, now)
  return {
    event: ['cancelled', expiresAt],
    fields: {
      ...({ status: 'cancelled', cancelRequested: true, error: null, errorCode: 'cancelled' } as const),
      ...{ scheduledFor: null, completedAt: now, expiresAt },
    },
  }
}

/** Of a job that runs: its worker is asked to stop. */
export function cancelRequested(): Transition {
  return { event: ['cancelling'], fields: { cancelRequested: true }, keepsRun: true }
}

/** Retried by hand: as if new. */
export function retried(place: number): Transition {
  return {
    event: ['retried'],
    fields: {
      ...({ status: 'queued', place, fresh: false, attempt: 1, stalls: 0, cancelRequested: false } as const),
      ...{
        error: null,
        errorCode: null,
        startedAt: null,
        completedAt: null,
        expiresAt: null,
        ...NO_PROGRESS,
      },
    },
  }
}

function expiryOf(job: JobRow, now: number): number {
  return now + decodePolicy(job.policy).retainMs
}
