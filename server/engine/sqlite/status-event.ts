import type { JobErrorCode } from '../../../shared/codes.ts'
import type { StatusChange } from '../../../shared/job.ts'
import type { NewerWords } from '../job/newer-words.ts'
import { iso } from './time-text.ts'

/**
 * A status event as history keeps it, as JSON: a word, and what cannot be known from the word and the event's time.
 * Times in ms. The result of a completed job is kept with the job.
 */
export type StatusEvent =
  | readonly ['queued']
  | readonly ['scheduled', scheduledFor: number]
  | readonly ['promoted']
  | readonly ['claimed']
  | readonly ['completed', expiresAt: number]
  | readonly ['failed', expiresAt: number, errorCode: JobErrorCode, error: string]
  | readonly ['rescheduled', scheduledFor: number, attempt: number, errorCode: JobErrorCode, error: string]
  | readonly ['cancelled', expiresAt: number]
  | readonly ['cancelling']
  | readonly ['released']
  | readonly ['rescued', stalls: number]
  | readonly ['stalled', expiresAt: number, stalls: number, error: string]
  | readonly ['retried']

/** As `changeOf`, of what the file has; null where the word is of a newer version. */
export function knownChangeOf(event: StatusEvent, at: string, newer: NewerWords): StatusChange | null {
  const change: StatusChange | undefined = changeOf(event, at)
  if (change === undefined) newer.note('event', String(event[0]))
  else if (change.errorCode) change.errorCode = newer.errorCode(change.errorCode)
  return change ?? null
}

/** The event's data as everyone sees it, without a result. */
export function changeOf(event: StatusEvent, at: string): StatusChange {
  switch (event[0]) {
    case 'queued':
    case 'released':
      return { status: 'queued' }
    case 'scheduled':
      return { status: 'scheduled', scheduledFor: iso(event[1]) }
    case 'promoted':
      return { status: 'queued', scheduledFor: null }
    case 'claimed':
      return { status: 'processing', startedAt: at, progress: null }
    case 'completed':
      return { status: 'completed', error: null, errorCode: null, completedAt: at, expiresAt: iso(event[1]) }
    case 'failed': {
      const [, expiresAt, errorCode, error] = event
      return { status: 'failed', error, errorCode, completedAt: at, expiresAt: iso(expiresAt) }
    }
    case 'rescheduled': {
      const [, scheduledFor, attempt, errorCode, error] = event
      return { status: 'scheduled', attempt, error, errorCode, scheduledFor: iso(scheduledFor) }
    }
    case 'cancelled':
      return {
        ...{ status: 'cancelled', cancelRequested: true, error: null, errorCode: 'cancelled' },
        ...{ scheduledFor: null, completedAt: at, expiresAt: iso(event[1]) },
      }
    case 'cancelling':
      return { cancelRequested: true }
    case 'rescued':
      return { status: 'queued', stalls: event[1] }
    case 'stalled': {
      const [, expiresAt, stalls, error] = event
      const change: StatusChange = { status: 'failed', error, errorCode: 'stalled', stalls }
      return { ...change, completedAt: at, expiresAt: iso(expiresAt) }
    }
    case 'retried':
      return {
        ...{ status: 'queued', attempt: 1, stalls: 0, cancelRequested: false, progress: null, result: null },
        ...{ error: null, errorCode: null, startedAt: null, completedAt: null, expiresAt: null },
      }
  }
}

/** An event as its job's row has it, beside others: seq, time, and the event itself. */
export function eventText(seq: number, at: number, event: StatusEvent): string {
  return `[${seq},${at},${JSON.stringify(event).slice(1)}`
}

interface KeptEvent {
  readonly seq: number
  readonly at: number
  readonly event: StatusEvent
}

/** The events that a job's row has. */
export function recentEvents(history: string): KeptEvent[] {
  const kept = JSON.parse(`[${history}]`) as [seq: number, at: number, ...event: StatusEvent][]
  return kept.map(([seq, at, ...event]) => ({ seq, at, event: event as unknown as StatusEvent }))
}

/** Of a row of history. Files of the first version keep the data itself. */
export function parseChange(text: string, at: string, newer: NewerWords): StatusChange | null {
  const kept = JSON.parse(text) as StatusEvent | StatusChange
  return isStatusEvent(kept) ? knownChangeOf(kept, at, newer) : kept
}

function isStatusEvent(kept: StatusEvent | StatusChange): kept is StatusEvent {
  return Array.isArray(kept)
}
