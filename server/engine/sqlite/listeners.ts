import type { FeedMessage, LeaseRef, Unsubscribe } from '../engine.ts'

/** Listeners by a key: a job's id, a worker's. */
export class Listeners<Message> {
  readonly #byKey = new Map<string, Set<(message: Message) => void>>()

  /** Adds a listener; the same function added twice is called twice. */
  add(key: string, listener: (message: Message) => void): Unsubscribe {
    const own = (message: Message) => listener(message)
    const listeners = this.#byKey.get(key) ?? new Set()
    this.#byKey.set(key, listeners.add(own))
    return () => {
      listeners.delete(own)
      if (listeners.size === 0 && this.#byKey.get(key) === listeners) this.#byKey.delete(key)
    }
  }

  has(key: string): boolean {
    return this.#byKey.has(key)
  }

  /** Calls whoever listens now. A listener that throws is warned about and keeps nobody else from hearing. */
  emit(key: string, message: Message): void {
    for (const listener of [...(this.#byKey.get(key) ?? [])]) {
      try {
        listener(message)
      } catch (error) {
        process.emitWarning(error instanceof Error ? error : String(error))
      }
    }
  }

  clear(): void {
    this.#byKey.clear()
  }
}

export type JobWatchers = Listeners<FeedMessage>
export type CancelListeners = Listeners<LeaseRef>
