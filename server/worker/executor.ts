import type { Json, RunEvent } from '../engine/engine.ts'
import type { Handler, ToldOfJob } from '../jobs/define-job.ts'
import { createContext } from './context.ts'
import { inScope, type RunScope } from './scope.ts'

/** A run as the place where its handler runs needs it. */
export interface Execution {
  readonly told: ToldOfJob
  /** What the handler begins in this process belongs to it. */
  readonly scope: RunScope
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
      return inScope(execution.scope, () => begun(handler(payload, context)))
    },
  }
}

const waitedFor = Promise.prototype.then

/**
 * What is not waited for as JavaScript's own promises are may begin its work only then, as the queries of database
 * libraries do: so it is waited for here.
 */
function begun(returned: unknown): unknown {
  if ((typeof returned !== 'object' || returned === null) && typeof returned !== 'function') return returned
  const then = 'then' in returned ? returned.then : undefined
  if (then === waitedFor || typeof then !== 'function') return returned
  return new Promise((resolve, reject) => Reflect.apply(then, returned, [resolve, reject]))
}
