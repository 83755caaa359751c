import type { JobDefinition } from '../jobs/define-job.ts'

interface TypeRoom {
  readonly type: string
  readonly limit: number
}

/** What a worker may claim: jobs in all, and of each type; types without room are left out. */
export interface Room {
  readonly limit: number
  readonly types: readonly TypeRoom[]
}

/**
 * Room for runs in this process: in all, and for each type that has a limit of its own. A job takes its type's slot
 * when it is claimed, and one of all when its run starts.
 */
export class Slots {
  readonly #limit: number
  readonly #types: readonly string[]
  /** Of the types that may use fewer slots than there are. */
  readonly #typeLimits = new Map<string, number>()
  /** Jobs of these types that are claimed, or may come of a claim under way. */
  readonly #taken = new Map<string, number>()
  #running = 0

  constructor(limit: number, definitions: readonly JobDefinition[]) {
    this.#limit = limit
    this.#types = definitions.map(({ type }) => type)
    for (const { type, concurrency = limit } of definitions) {
      if (concurrency < limit) this.#typeLimits.set(type, concurrency)
    }
  }

  get limit(): number {
    return this.#limit
  }

  get running(): number {
    return this.#running
  }

  get free(): number {
    return this.#limit - this.#running
  }

  /** Jobs of a type that may run at once. */
  limitOf(type: string): number {
    return this.#typeLimits.get(type) ?? this.#limit
  }

  start(): void {
    this.#running += 1
  }

  end(): void {
    this.#running -= 1
  }

  /** Takes slots of a type; `give` returns them. */
  take(type: string, amount = 1): void {
    if (this.#typeLimits.has(type)) this.#taken.set(type, (this.#taken.get(type) ?? 0) + amount)
  }

  give(type: string, amount = 1): void {
    this.take(type, -amount)
  }

  /** Each type with what it has room for, `most` at the most. */
  room(most: number): Room {
    const types: TypeRoom[] = []
    if (most > 0) {
      for (const type of this.#types) {
        const own = this.#typeLimits.get(type)
        const limit = own === undefined ? most : Math.min(most, own - (this.#taken.get(type) ?? 0))
        if (limit > 0) types.push({ type, limit })
      }
    }
    return { limit: most, types }
  }
}
