import type { NewJob, Outcome } from '../engine.ts'
import { EVENTS, type StatusEvent, stallError } from './events.ts'
import type { StoredJob } from './stored-job.ts'

/**
 * The transitions of a job's life: what is known of it, and the time, to the event that it takes. What the event changes
 * stands in the table of events. Redis' scripts decide the same for themselves, since they run in the store.
 */

/** What of a job decides where it goes. */
type Known = Pick<StoredJob, 'status' | 'attempt' | 'stalls' | 'cancelRequested' | 'policy'>

export const PROMOTED: StatusEvent = { word: 'promoted' }
export const CLAIMED: StatusEvent = { word: 'claimed' }
const QUEUED: StatusEvent = { word: 'queued' }

export function submitted(when: NewJob['when'], now: number): StatusEvent {
  const scheduledFor = 'runAt' in when ? when.runAt : now + when.delayMs
  return scheduledFor > now ? { word: 'scheduled', scheduledFor } : QUEUED
}

/** The end of a run by its worker. Where a cancel was requested, only completion stands. */
export function settled(job: Known, outcome: Outcome, now: number): StatusEvent {
  if (outcome.kind === 'completed') return { word: 'completed', expiresAt: expiryOf(job, now) }
  if (outcome.kind === 'cancelled' || job.cancelRequested) return cancelledAt(job, now)
  switch (outcome.kind) {
    case 'released':
      return { word: 'released' }
    case 'later':
      return { word: 'scheduled', scheduledFor: now + outcome.delayMs }
    case 'failed': {
      const { error, errorCode } = outcome
      return { word: 'failed', expiresAt: expiryOf(job, now), errorCode, error }
    }
    case 'retry': {
      const { error, errorCode, delayMs } = outcome
      return { word: 'rescheduled', scheduledFor: now + delayMs, attempt: job.attempt + 1, errorCode, error }
    }
  }
}

/** The lease of a run has run out. */
export function rescued(job: Known, now: number): StatusEvent {
  if (job.cancelRequested) return cancelledAt(job, now)
  const stalls = job.stalls + 1
  if (stalls <= job.policy.maxStalls) return { word: 'rescued', stalls }
  return { word: 'stalled', expiresAt: expiryOf(job, now), stalls, error: stallError(stalls) }
}

/** A cancel by whoever may: null where it was requested before. */
export function cancelled(job: Known, now: number): StatusEvent | 'already_finished' | null {
  if (job.status === 'processing') return job.cancelRequested ? null : { word: 'cancelling' }
  return EVENTS.cancelled.from.includes(job.status) ? cancelledAt(job, now) : 'already_finished'
}

/** By hand: as if new. */
export function retried({ status }: Known): StatusEvent | 'not_retryable' {
  return EVENTS.retried.from.includes(status) ? { word: 'retried' } : 'not_retryable'
}

function cancelledAt(job: Known, now: number): StatusEvent {
  return { word: 'cancelled', expiresAt: expiryOf(job, now) }
}

function expiryOf({ policy }: Known, now: number): number {
  return now + policy.retainMs
}
