import type { Json, RunEvent } from '../engine/engine.ts'
import type { Handler } from '../jobs/define-job.ts'
import { createContext, type RunIdentity } from './context.ts'

/** A run as the place where its handler runs needs it. */
export interface Execution extends RunIdentity {
  /** The payload before the type's schema made something of it. */
  readonly submitted: Json
  /** Fires when the run is to stop; `reason` is a `RunAborted`. Made when first asked for. */
  readonly signal: AbortSignal
  /** Fires when the worker begins to drain; `reason` is a `RunAborted`. Made when first asked for. */
  readonly draining: AbortSignal
  /** Fires when the handler must end now, where a handler can be ended. */
  readonly killed: AbortSignal
  emit(event: RunEvent, bytes: number): void
  /** The handler starts now: its timeout counts from here. */
  started(): void
}

/** Where handlers run: in this process or in a thread. */
export interface Executor {
  /** Whether `killed` ends a handler; otherwise it ends when it likes. */
  readonly kills: boolean
  /** Settles when the handler has ended, as it ended; may throw at once. */
  run(payload: unknown, execution: Execution): Promise<unknown> | unknown
}

export function inProcess(handler: Handler<unknown, unknown>): Executor {
  return {
    kills: false,
    run(payload, execution) {
      const context = createContext(execution)
      execution.started()
      return handler(payload, context)
    },
  }
}
