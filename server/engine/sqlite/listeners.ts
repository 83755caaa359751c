import type { Presence, Unsubscribe } from '../engine.ts'

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
    for (const listener of [...(this.#byKey.get(key) ?? [])]) guarded(() => listener(message))
  }
}

/**
 * Calls what is not the engine's own: what it throws becomes a warning of the process and goes no further.
 */
export function guarded(call: () => void): void {
  try {
    call()
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error))
  }
}

/** Who says to be alive; only this process can, so memory will do. Times in ms, on `performance.now()`. */
export class Presences {
  readonly #byId = new Map<string, { presence: Presence; until: number }>()

  announce({ ttlMs, ...presence }: Presence & { ttlMs: number }): void {
    this.#byId.set(presence.id, { presence, until: performance.now() + ttlMs })
  }

  withdraw(id: string): void {
    this.#byId.delete(id)
  }

  all(): Presence[] {
    const now = performance.now()
    for (const [id, { until }] of this.#byId) {
      if (until <= now) this.#byId.delete(id)
    }
    return [...this.#byId.values()].map(({ presence }) => presence)
  }
}
