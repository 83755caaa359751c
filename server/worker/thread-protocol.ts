import type { MessagePort } from 'node:worker_threads'
import type { RunEvent } from '../engine/engine.ts'
import type { Thrown } from '../thrown.ts'
import type { AbortReason } from './aborted.ts'
import type { RunIdentity } from './context.ts'

/** What a thread is asked to run. The port is the run's own: its messages come in order and end with the run. */
export interface ThreadTask {
  /** URL of the module that exports `run`. */
  readonly module: string
  readonly payload: unknown
  readonly identity: RunIdentity
  readonly port: MessagePort
  /** Bytes of messages under way to the process; see `MAX_UNREAD_BYTES`. */
  readonly unread: Int32Array<SharedArrayBuffer>
}

/** A thread that reports faster than the process reads waits once this much is under way, so that memory is bounded. */
export const MAX_UNREAD_BYTES = 4 * 1024 * 1024

export type ThreadMessage =
  | { readonly kind: 'started' }
  | { readonly kind: 'event'; readonly event: RunEvent; readonly bytes: number }
  /** The handler returned: its result as JSON text. */
  | { readonly kind: 'returned'; readonly json: string }
  | { readonly kind: 'invalid'; readonly problem: string }
  | { readonly kind: 'threw'; readonly thrown: Thrown; readonly unrecoverable: boolean }

/** The other way there is one message: why one of the run's signals fires. */
export interface AbortMessage {
  readonly reason: AbortReason
}
