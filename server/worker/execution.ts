import { AsyncLocalStorage } from 'node:async_hooks'
import type { Claim, Json, RunEvent } from '../engine/engine.ts'
import type { Handler, JobContext, ToldOfJob } from '../jobs/define-job.ts'
import { createContext } from './context.ts'

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
      return scopes.run(execution.scope, call, handler, payload, context)
    },
  }
}

function call(handler: Handler<unknown, unknown>, payload: unknown, context: JobContext): unknown {
  return begun(handler(payload, context))
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

/** Names a run. */
type RunNames = Pick<Claim, 'jobId' | 'type' | 'attempt'>

/** Whose exceptions they are that come out of a scope. */
export interface ScopeOwner {
  /** Something was thrown where no promise of the handler could catch it. False where that changed nothing any more. */
  uncaught(error: unknown): boolean
  /** The handler has sent a signal to end its own process. */
  endsProcess(): void
}

/**
 * A run, as everything knows it that its handler or schemas have begun: timers, sockets, promises, also long after it
 * has ended. Such leftovers may live for ever, so it holds no more than the names of a run that is over.
 */
export class RunScope implements RunNames {
  readonly jobId: string
  readonly type: string
  readonly attempt: number
  #owner: ScopeOwner | null

  constructor({ jobId, type, attempt }: RunNames, owner: ScopeOwner) {
    this.jobId = jobId
    this.type = type
    this.attempt = attempt
    this.#owner = owner
  }

  uncaught(error: unknown): boolean {
    return this.#owner?.uncaught(error) ?? false
  }

  endsProcess(): void {
    this.#owner?.endsProcess()
  }

  /** The run is over. */
  close(): void {
    this.#owner = null
  }
}

const scopes = new AsyncLocalStorage<RunScope | null>()

/** Calls what is the user's: what it begins belongs to the run from then on. */
export function inScope<T>(scope: RunScope, call: () => T): T {
  return scopes.run(scope, call)
}

/** Calls what is ours from within the user's code: what it begins belongs to nobody. */
export function outOfScope(call: () => void): void {
  if (scopes.getStore() == null) call()
  else scopes.run(null, call)
}

/** The run to which belongs what is being called; null where that is none. */
export function currentScope(): RunScope | null {
  return scopes.getStore() ?? null
}
