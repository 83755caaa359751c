import { setImmediate } from 'node:timers'
import { BadPage, IdempotencyMismatch, Unavailable } from '../errors.ts'
import { isStorageFailure } from './database.ts'
import type { Store } from './store.ts'
import { type Effects, Transaction } from './transaction.ts'

/** Writes of a verb, and its answer. A refusal (an error of `errors.ts`) is thrown before the first write. */
export type Verb<T> = (tx: Transaction) => T

export interface WriterHooks {
  readonly isWatched: (jobId: string) => boolean
  /** After a commit, before the callers have their answers. */
  readonly onCommitted: (effects: Effects) => void
  /** A transaction failed because of the disk. */
  readonly onFailed: (reason: string) => void
}

interface Pending {
  /** Runs the verb; what it returns tells the caller, to be called once the transaction is durable. */
  readonly run: (tx: Transaction) => () => void
  readonly reject: (error: unknown) => void
}

/** How long one transaction may go on taking verbs, in ms: the event loop stands still meanwhile. */
const GROUP_MS = 25

/**
 * The one writer of the file. All verbs of one turn of the event loop become durable together, in one
 * transaction, since a commit waits for the disk. Where that fails, each verb gets a transaction of its own,
 * so that one which cannot be stored does not spoil the others.
 */
export class Writer {
  readonly #store: Store
  readonly #hooks: WriterHooks
  #queue: Pending[] = []
  #scheduled: NodeJS.Immediate | null = null

  constructor(store: Store, hooks: WriterHooks) {
    this.#store = store
    this.#hooks = hooks
  }

  /** Settles once the verb's writes are durable. Rejects with `Unavailable` where they could not be made. */
  write<T>(verb: Verb<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = (tx: Transaction) => {
        try {
          const answer = verb(tx)
          return () => resolve(answer)
        } catch (error) {
          if (!isRefusal(error)) throw error
          return () => reject(error)
        }
      }
      this.#queue.push({ run, reject })
      this.#schedule()
    })
  }

  /** Resolves when everything that was called before has been written, or could not be. */
  barrier(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#queue.push({ run: () => resolve, reject: () => resolve() })
    })
  }

  /** Writes all that waits, now. */
  flush(): void {
    if (this.#scheduled !== null) clearImmediate(this.#scheduled)
    while (this.#queue.length > 0) this.#writeGroup()
  }

  #schedule(): void {
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = null
      this.#writeGroup()
      if (this.#queue.length > 0) this.#schedule()
    })
  }

  #writeGroup(): void {
    const group = this.#queue
    this.#queue = []
    const left = group.slice(this.#together(group))
    // What there was no time for comes before whatever was called meanwhile.
    this.#queue = [...left, ...this.#queue]
  }

  /** How many of the verbs were dealt with, from the first. */
  #together(group: readonly Pending[]): number {
    try {
      return this.#commit(group)
    } catch (error) {
      return group.length === 1 ? this.#refuse(group, error) : this.#oneByOne(group)
    }
  }

  #oneByOne(group: readonly Pending[]): number {
    const deadline = performance.now() + GROUP_MS
    let done = 0
    for (const pending of group) {
      if (done > 0 && performance.now() > deadline) break
      done += this.#together([pending])
    }
    return done
  }

  #commit(group: readonly Pending[]): number {
    const deadline = performance.now() + GROUP_MS
    const tx = new Transaction(this.#store, this.#hooks.isWatched)
    const answers: (() => void)[] = []
    try {
      for (const { run } of group) {
        if (answers.length > 0 && performance.now() > deadline) break
        answers.push(run(tx))
      }
      this.#store.assertInPlace()
      tx.commit()
    } catch (error) {
      tx.rollback()
      throw error
    }
    this.#hooks.onCommitted(tx.effects)
    for (const answer of answers) answer()
    return answers.length
  }

  #refuse(group: readonly Pending[], error: unknown): number {
    const reason = asUnavailable(error)
    if (reason instanceof Unavailable) this.#hooks.onFailed(reason.message)
    for (const { reject } of group) reject(reason)
    return group.length
  }
}

/** A failure of the disk, in the words of the interface; anything else as it is. */
export function asUnavailable(error: unknown): unknown {
  return isStorageFailure(error) ? new Unavailable(`the store cannot be used: ${error.message}`) : error
}

function isRefusal(error: unknown): boolean {
  return error instanceof IdempotencyMismatch || error instanceof BadPage
}

const PROBE_MS = 500

/**
 * Whether the store takes writes: up until one fails, down until one succeeds. While it is down, it is tried
 * again and again, so that it comes back though nobody calls.
 */
export class Health {
  readonly #onDown: (reason: string) => void
  readonly #onUp: () => void
  readonly #probe: () => Promise<unknown>
  #state: { kind: 'up' } | { kind: 'down'; timer: NodeJS.Timeout } = { kind: 'up' }

  constructor(hooks: {
    onDown: (reason: string) => void
    onUp: () => void
    /** Tries a write; `failed` or `succeeded` is told how it went. */
    probe: () => Promise<unknown>
  }) {
    this.#onDown = hooks.onDown
    this.#onUp = hooks.onUp
    this.#probe = hooks.probe
  }

  failed(reason: string): void {
    if (this.#state.kind === 'down') return
    const timer = setInterval(() => {
      this.#probe().catch(() => {
        // Still down: the next one may succeed.
      })
    }, PROBE_MS)
    this.#state = { kind: 'down', timer: timer.unref() }
    this.#onDown(reason)
  }

  succeeded(): void {
    if (this.#state.kind === 'up') return
    this.stop()
    this.#onUp()
  }

  stop(): void {
    if (this.#state.kind === 'down') clearInterval(this.#state.timer)
    this.#state = { kind: 'up' }
  }
}
