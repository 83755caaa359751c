import type { JobDefinition } from '../jobs/define-job.ts'

/** Room for runs in this process: in all, and for each type that has a limit of its own. */
export class Slots {
  readonly #limit: number
  readonly #types: readonly string[]
  readonly #typeLimits: ReadonlyMap<string, number>
  readonly #taken = new Map<string, number>()
  #used = 0

  constructor(limit: number, definitions: readonly JobDefinition[]) {
    this.#limit = limit
    this.#types = definitions.map(({ type }) => type)
    this.#typeLimits = new Map(
      definitions.map(({ type, concurrency }) => [type, Math.min(concurrency ?? limit, limit)]),
    )
  }

  get used(): number {
    return this.#used
  }

  get free(): number {
    return this.#limit - this.#used
  }

  take(type: string): void {
    this.#used += 1
    this.#taken.set(type, (this.#taken.get(type) ?? 0) + 1)
  }

  release(type: string): void {
    this.#used -= 1
    this.#taken.set(type, (this.#taken.get(type) ?? 0) - 1)
  }

  /** Free slots of each type, `most` at the most; types without any are left out. */
  freeByType(most: number): { type: string; limit: number }[] {
    const limits: { type: string; limit: number }[] = []
    for (const type of this.#types) {
      const own = (this.#typeLimits.get(type) ?? 0) - (this.#taken.get(type) ?? 0)
      const limit = Math.min(own, most)
      if (limit > 0) limits.push({ type, limit })
    }
    return limits
  }
}
