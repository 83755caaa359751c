import { createHash } from 'node:crypto'
import { workerName } from './keys.ts'

/** The workers that run the same types; the store tells them of work together (lua/lib/pools.lua). */
export interface Pool {
  readonly id: string
  readonly types: readonly string[]
}

/** What a worker has room for, in the words of the scripts. */
export interface Room {
  readonly worker: string
  readonly pool: Pool
  /** Types of the pool for which there is less room than for jobs in all: [type, free slots]. */
  readonly limits: readonly (readonly [type: string, slots: number])[]
  /** The types of the pool that it has no room for, each with a space behind it. */
  readonly full: string
}

/**
 * Which pool each worker of this process belongs to: that of all types it ever asked for. A call then names only the
 * types that it has no room for, which are few, and not the many that it could run.
 */
export class Pools {
  readonly #byWorker = new Map<string, { types: Set<string>; pool: Pool }>()

  /** The room of a worker that asks for these types, each once, with their free slots, and `limit` jobs in all. */
  room(
    workerId: string,
    asked: readonly { readonly type: string; readonly limit: number }[],
    limit: number,
  ): Room {
    const worker = workerName(workerId)
    const known = this.#byWorker.get(workerId)
    const hasRoomForAll =
      known !== undefined &&
      known.types.size === asked.length &&
      asked.every(({ type, limit: free }) => free >= limit && known.types.has(type))
    if (hasRoomForAll) return { worker, pool: known.pool, limits: [], full: '' }

    const slots = new Map<string, number>()
    for (const { type, limit: free } of asked) slots.set(type, free)
    const pool = this.#pool(workerId, slots)
    const limits: (readonly [string, number])[] = []
    let full = ''
    for (const type of pool.types) {
      const free = Math.max(0, slots.get(type) ?? 0)
      if (free < limit) limits.push([type, free])
      if (free === 0) full += `${type} `
    }
    return { worker, pool, limits, full }
  }

  #pool(workerId: string, asked: ReadonlyMap<string, number>): Pool {
    const known = this.#byWorker.get(workerId)
    const types = known?.types ?? new Set<string>()
    const before = types.size
    for (const type of asked.keys()) types.add(type)
    if (known !== undefined && types.size === before) return known.pool
    const sorted = [...types].sort()
    const id = createHash('sha256').update(sorted.join(' ')).digest('base64url').slice(0, 12)
    const pool = { id, types: sorted }
    this.#byWorker.set(workerId, { types, pool })
    return pool
  }
}
