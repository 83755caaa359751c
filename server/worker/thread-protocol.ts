import type { MessagePort } from 'node:worker_threads'
import type { Json, RunEvent } from '../engine/engine.ts'
import type { ToldOfJob } from '../jobs/define-job.ts'
import type { AbortReason } from './aborted.ts'
import type { Failure } from './steps.ts'

/** What a thread is asked to run. The port is the run's own, and no handler can reach it. */
export interface ThreadTask {
  /** URL of the module that exports `run`. */
  readonly module: string
  readonly payload: ThreadPayload
  readonly told: ToldOfJob
  readonly port: MessagePort
  /** Bytes of messages under way to the process; see `MAX_UNREAD_BYTES`. */
  readonly unread: Int32Array<SharedArrayBuffer>
}

/** A payload on its way into a thread: what the type's schema made of it, or what it is to make it of there. */
export type ThreadPayload =
  | { readonly kind: 'made'; readonly value: unknown }
  | {
      readonly kind: 'submitted'
      readonly json: Json
      /** URL of the module whose default export has the definitions. */
      readonly jobsModule: string
      /** Why it does not come as it was made; ends the sentence "the schema makes something that …". */
      readonly lost: string
    }

/** A thread that reports faster than the process reads waits once this much is under way, so that memory is bounded. */
export const MAX_UNREAD_BYTES = 4 * 1024 * 1024

export type ThreadMessage =
  | { readonly kind: 'started' }
  | { readonly kind: 'event'; readonly event: RunEvent; readonly bytes: number }
  | Ending

/** The last word of a thread. */
export type Ending =
  /** The handler returned: its result as JSON text. */
  | { readonly kind: 'returned'; readonly json: string }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** The other way there is one message: why one of the run's signals fires. */
export interface AbortMessage {
  readonly reason: AbortReason
}
