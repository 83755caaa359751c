import type { JobErrorCode } from '../../../shared/codes.ts'
import type { StatusChange } from '../../../shared/event.ts'
import type { Json, Outcome } from '../engine.ts'
import { iso, type JobRow, policyOf } from './job-row.ts'

/**
 * What one step does to a job, as values: `shown` is what the event says and everyone sees (times in ms),
 * `kept` what the engine alone knows. `result` is the only field that the row does not hold.
 */
export interface Transition {
  readonly shown: Shown
  readonly kept: Partial<JobRow>
}

type ShownField =
  | 'status'
  | 'progress'
  | 'error'
  | 'errorCode'
  | 'attempt'
  | 'stalls'
  | 'scheduledFor'
  | 'startedAt'
  | 'completedAt'
  | 'expiresAt'
  | 'cancelRequested'

export type Shown = Partial<Pick<JobRow, ShownField>> & { result?: Json }

const TIMES = new Set(['scheduledFor', 'startedAt', 'completedAt', 'expiresAt'])

/** The data of the status event: times as text. */
export function changeOf(shown: Shown): StatusChange {
  const change: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(shown)) {
    change[field] = typeof value === 'number' && TIMES.has(field) ? iso(value) : value
  }
  return change
}

const NO_LEASE = { lease: null, worker: null, leasedUntil: null } as const
const NO_PROGRESS_EVENT = { progressSeq: null, progressAt: null } as const

export function submitted(scheduledFor: number | null): Transition {
  const shown: Shown = scheduledFor === null ? { status: 'queued' } : { status: 'scheduled', scheduledFor }
  return { shown, kept: { fresh: scheduledFor === null } }
}

export function promoted(place: number): Transition {
  return { shown: { status: 'queued', scheduledFor: null }, kept: { place } }
}

export function claimed(run: { lease: string; worker: string; leaseMs: number }, now: number): Transition {
  return {
    shown: { status: 'processing', startedAt: now, progress: null },
    kept: {
      lease: run.lease,
      worker: run.worker,
      leasedUntil: now + run.leaseMs,
      reported: 0,
      ...NO_PROGRESS_EVENT,
    },
  }
}

/** The end of a run by its worker. Where a cancel was requested, only completion stands. */
export function settled(job: JobRow, outcome: Outcome, now: number): Transition {
  const { shown, kept } = ended(job, outcome, now)
  const settledAs = shown.status ?? job.status
  return { shown, kept: { ...kept, ...NO_LEASE, settledLease: job.lease, settledAs } }
}

function ended(job: JobRow, outcome: Outcome, now: number): Transition {
  if (outcome.kind === 'completed') {
    const shown: Shown = { status: 'completed', result: outcome.result, error: null, errorCode: null }
    return { shown: { ...shown, ...finish(job, now) }, kept: {} }
  }
  if (outcome.kind === 'cancelled' || job.cancelRequested) return cancelled(job, now)
  if (outcome.kind === 'released') return { shown: { status: 'queued' }, kept: {} }
  const { error, errorCode } = outcome
  if (outcome.kind === 'failed') return failed(job, { error, errorCode }, now)
  const scheduledFor = now + outcome.delayMs
  return {
    shown: { status: 'scheduled', attempt: job.attempt + 1, error, errorCode, scheduledFor },
    kept: { fresh: false },
  }
}

/** The lease of a run has run out. */
export function rescued(job: JobRow, now: number): Transition {
  if (job.cancelRequested) return cancelled(job, now)
  const stalls = job.stalls + 1
  if (stalls <= policyOf(job.policy).maxStalls) {
    return { shown: { status: 'queued', stalls }, kept: { fresh: false, ...NO_LEASE } }
  }
  const { shown, kept } = failed(
    job,
    { error: `the lease ran out ${stalls} times`, errorCode: 'stalled' },
    now,
  )
  return { shown: { ...shown, stalls }, kept }
}

/** Of a job that does not run. */
export function cancelled(job: JobRow, now: number): Transition {
  const shown: Shown = { status: 'cancelled', cancelRequested: true, error: null, errorCode: 'cancelled' }
  return { shown: { ...shown, scheduledFor: null, ...finish(job, now) }, kept: NO_LEASE }
}

/** Of a job that runs: its worker is asked to stop. */
export function cancelRequested(): Transition {
  return { shown: { cancelRequested: true }, kept: {} }
}

/** Retried by hand: as if new. */
export function retried(place: number): Transition {
  return {
    shown: {
      status: 'queued',
      attempt: 1,
      stalls: 0,
      cancelRequested: false,
      progress: null,
      result: null,
      error: null,
      errorCode: null,
      startedAt: null,
      completedAt: null,
      expiresAt: null,
    },
    kept: { place, fresh: false, ...NO_PROGRESS_EVENT },
  }
}

function failed(job: JobRow, why: { error: string; errorCode: JobErrorCode }, now: number): Transition {
  return { shown: { status: 'failed', ...why, ...finish(job, now) }, kept: NO_LEASE }
}

function finish(job: JobRow, now: number): { completedAt: number; expiresAt: number } {
  return { completedAt: now, expiresAt: now + policyOf(job.policy).retainMs }
}
