import type { Presence } from '../engine.ts'

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
