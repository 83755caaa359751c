import { AsyncLocalStorage } from 'node:async_hooks'
import type { Claim } from '../engine/engine.ts'

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
