import type { JobEvent } from '../../../shared/event.ts'
import type { Job } from '../../../shared/job.ts'
import type { SnapshotReason } from '../../../shared/protocol.ts'
import type { JobStatus } from '../../../shared/status.ts'

/** What one connection tells of one job, in the words of the protocol, whatever carries it. */
export type Told =
  | {
      readonly told: 'snapshot'
      readonly reason: SnapshotReason
      readonly job: Job
      readonly cursor: string
      /** The last event of all that is kept no longer. */
      readonly trimmed?: number | undefined
      /** Where history was asked for. */
      readonly events: readonly JobEvent[]
    }
  | { readonly told: 'resume'; readonly events: readonly JobEvent[]; readonly cursor: string }
  /** `prev` and `cursor` where the transport says them. */
  | {
      readonly told: 'event'
      readonly event: JobEvent
      readonly prev: number | null
      readonly cursor: string | null
    }
  /** Where the job stands in line; it may be told late, missed or twice. */
  | { readonly told: 'place' }
  /** Nothing will follow; null where the transport says no more than that. */
  | { readonly told: 'end'; readonly cursor: string | null; readonly status: JobStatus | null }
  /** `code` as in an error, a problem or `unsubscribed`; `retry`: it may work later. */
  | { readonly told: 'refused'; readonly code: string; readonly retry: boolean }
  /** The server is about to end the connection; come back after between so many and so many ms. */
  | { readonly told: 'drain'; readonly comeBackMs: readonly [number, number] }
  /** The last word of a connection that was lost; `code` of a WebSocket. */
  | { readonly told: 'closed'; readonly code: number | null }
  /** Something that is not of the protocol. */
  | { readonly told: 'nonsense'; readonly error: Error }

export interface WireRequest {
  /** `http://host:port`. */
  readonly address: string
  readonly jobId: string
  /** Null: no cursor. */
  readonly after?: string | null
  readonly history?: boolean
  /** An API key or a job token. */
  readonly credential?: string
}

/** One connection, or one series of polls, that watches one job. */
export interface Wire {
  /** Breaks it off; nothing more is told. */
  close(): void
}

/** Written from the protocol, without the client. */
export type OpenWire = (request: WireRequest, hear: (told: Told) => void) => Wire

/** What is read of an answer, or what made that impossible. */
export function guarded(hear: (told: Told) => void, read: () => void): void {
  try {
    read()
  } catch (error) {
    hear({ told: 'nonsense', error: error instanceof Error ? error : new Error(String(error)) })
  }
}

/** The query of a watch: cursor and history. */
export function queryOf({ after, history }: WireRequest): URLSearchParams {
  return new URLSearchParams({
    ...(after !== undefined && after !== null && { after }),
    ...(history === true && { history: '1' }),
  })
}
