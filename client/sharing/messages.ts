import type { JobEvent } from '../../shared/event.ts'
import type { QueuePlace } from '../../shared/job.ts'
import type { Replay } from '../../shared/protocol.ts'
import type { ConnectionState } from '../connection.ts'
import type { JobcastErrorCode, JobcastErrorDetails } from '../errors.ts'
import type { TransportName } from '../transports/link.ts'

/**
 * What the tabs of a browser say to each other. All of them run the same version of this (it is in the channel's
 * name), and whoever can speak on the channel is of the same origin: what is said is trusted.
 */

/** To all: who leads? I do, and am awake. I do no longer. */
export type Notice = 'who' | 'leading' | 'resigned'

/** One subscription of one tab. `start` counts its beginnings, so that answers to an earlier one are told apart. */
interface Subject {
  readonly jobId: string
  readonly start: number
}

/** What a tab asks the one that leads. */
export type Request = { readonly op: 'leave' } | (Subject & JobRequest)

export type JobRequest =
  | {
      readonly op: 'subscribe'
      /** The last event applied; null: start with a snapshot. */
      readonly cursor: string | null
      readonly history: boolean
      readonly credential: string | undefined
    }
  | { readonly op: 'unsubscribe' }
  | { readonly op: 'credential'; readonly credential: string | undefined }
  /** Answers `renew`; `later`: that could not be found out now. */
  | { readonly op: 'renewed'; readonly verdict: 'yes' | 'no' | 'later' }

/** What it is answered. */
export type Answer = { readonly op: 'state'; readonly state: ConnectionState } | (Subject & JobAnswer)

export type JobAnswer =
  | { readonly op: 'replayed'; readonly replay: Replay; readonly transport: TransportName }
  /** Events flow from now on; the tab has to read by itself what came between its cursor and the first of them. */
  | { readonly op: 'joined'; readonly transport: TransportName }
  /** `after` is the cursor before the event. */
  | { readonly op: 'event'; readonly event: JobEvent; readonly after: string }
  | { readonly op: 'placed'; readonly queue: QueuePlace | null }
  | { readonly op: 'ended'; readonly cursor: string }
  | { readonly op: 'interrupted' }
  | { readonly op: 'restored' }
  /** The credential was not accepted. */
  | { readonly op: 'renew' }
  | {
      readonly op: 'refused'
      readonly code: JobcastErrorCode
      readonly message: string
      readonly details: Details
    }

/** A `JobcastError` does not survive being sent from tab to tab; this does. */
type Details = Pick<JobcastErrorDetails, 'status' | 'errors' | 'retryAfterMs'>
