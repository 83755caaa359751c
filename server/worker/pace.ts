import type { TypePace } from '../../shared/pace.ts'

/** A run weighs a twentieth in the mean, and more until there have been so many. */
const WEIGHED_RUNS = 20
/** An announcement tells of so many types: those that run, then those that ran last. */
const MAX_TYPES = 100
/** And of so many runs of a type; with more, single ones no longer matter. */
const MAX_RUNS = 32

interface Lately {
  meanMs: number
  runs: number
  /** On `performance.now()`. */
  endedAt: number
}

/** A run that goes on. */
interface Running {
  readonly type: string
  /** On `performance.now()`. */
  readonly startedAt: number
}

/** The slots of a worker, as far as its pace depends on them. */
interface Capacity {
  readonly limit: number
  readonly free: number
  limitOf(type: string): number
}

/** How long the runs of each type take, so that others can tell when the next will begin. */
export class Pace {
  readonly #types = new Map<string, Lately>()

  ended(type: string, runMs: number, now: number): void {
    const lately = this.#types.get(type)
    if (lately === undefined) {
      this.#types.set(type, { meanMs: runMs, runs: 1, endedAt: now })
      return
    }
    if (lately.runs < WEIGHED_RUNS) lately.runs += 1
    lately.meanMs += (runMs - lately.meanMs) / lately.runs
    lately.endedAt = now
  }

  /** What there is to announce. */
  describe(running: Iterable<Running>, capacity: Capacity, now: number): TypePace[] {
    const started = startsByType(running)
    const idle = [...this.#types.keys()].filter((type) => !started.has(type))
    idle.sort((one, other) => this.#endedAt(other) - this.#endedAt(one))
    return [...started.keys(), ...idle].slice(0, MAX_TYPES).map((type) => {
      const own = started.get(type) ?? []
      const busyMs = own.map((startedAt) => Math.round(now - startedAt))
      return {
        type,
        meanMs: this.#types.get(type)?.meanMs ?? null,
        ...share(type, own.length, started.has(type) ? started.size : started.size + 1, capacity),
        busyMs: busyMs.length > MAX_RUNS ? [] : busyMs,
      }
    })
  }

  #endedAt(type: string): number {
    return this.#types.get(type)?.endedAt ?? 0
  }
}

function startsByType(running: Iterable<Running>): Map<string, number[]> {
  const starts = new Map<string, number[]>()
  for (const { type, startedAt } of running) {
    const own = starts.get(type)
    if (own === undefined) starts.set(type, [startedAt])
    else own.push(startedAt)
  }
  return starts
}

/**
 * A type has the slots that it uses and those that are free, and where other types fill the rest, no less than its share
 * of all, since types take turns.
 */
function share(type: string, own: number, types: number, { limit, free, limitOf }: Capacity) {
  const slots = Math.min(limitOf(type), Math.max(own + free, Math.ceil(limit / types)))
  return { slots: Math.max(1, slots), free: Math.max(0, Math.min(free, slots - own)) }
}
