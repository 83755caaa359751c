import { MOST_CALLS } from '../engine/two-calls.ts'

/** Jobs claimed ahead at the most. */
const MOST = 100
/** What was prefetched waits this long for a slot, in ms; then whoever has one may take it. */
const PATIENCE_MS = 5
/** Of a run that is shorter than anything that can be measured, ms. */
const SHORTEST_RUN_MS = 0.02
/** How much of what is known a shorter run leaves: a few dozen of them are needed to forget a long one. */
const MEMORY = 0.95

/**
 * Jobs claimed ahead of free slots. A handler that is shorter than a round trip to the store would spend most of its
 * slot's time waiting for the next job; so as many are claimed ahead as are done within a round trip of each of the calls
 * that may be under way: with fewer, each call brings fewer, and the calls become what takes the time. None are where
 * handlers are longer than that, and should one be, what waits behind it is given back: nothing waits for a long run.
 *
 * It learns from every run: a long one counts at once, short ones little by little.
 */
export class Prefetch<Run> {
  readonly #slots: number
  readonly #giveBack: (runs: readonly Run[]) => void
  #waiting: Run[] = []
  #runMs: number | null = null
  #callMs = 1
  #endedAt = 0
  #timer: NodeJS.Timeout | null = null

  constructor(options: { slots: number; giveBack: (runs: readonly Run[]) => void }) {
    this.#slots = options.slots
    this.#giveBack = options.giveBack
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** How many jobs to have ahead, those that wait included. */
  depth(): number {
    const runMs = this.#runMs
    if (runMs === null || runMs > 2 * this.#callMs) return 0
    // Where none has ended of late, those that run may be long ones.
    if (performance.now() - this.#endedAt > PATIENCE_MS) return 0
    const aheadMs = MOST_CALLS * this.#callMs
    return Math.min(MOST, Math.ceil((this.#slots * aheadMs) / Math.max(runMs, SHORTEST_RUN_MS)))
  }

  add(run: Run): void {
    this.#waiting.push(run)
    if (this.#timer !== null) return
    this.#endedAt = performance.now()
    this.#timer = setTimeout(() => this.#check(), PATIENCE_MS)
  }

  /** The one that waits longest. */
  next(): Run | undefined {
    return this.#waiting.shift()
  }

  /** A call to the store took so long. */
  called(ms: number): void {
    this.#callMs = 0.8 * this.#callMs + 0.2 * ms
  }

  /** A handler has ended, after so long. */
  ended(ms: number): void {
    this.#endedAt = performance.now()
    const known = this.#runMs ?? ms
    this.#runMs = ms > known ? (known + ms) / 2 : MEMORY * known + (1 - MEMORY) * ms
  }

  /** Gives back all that waits. */
  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const runs = this.#waiting
    this.#waiting = []
    if (runs.length > 0) this.#giveBack(runs)
  }

  #check(): void {
    this.#timer = null
    if (this.#waiting.length === 0) return
    const left = this.#endedAt + PATIENCE_MS - performance.now()
    if (left > 0) {
      this.#timer = setTimeout(() => this.#check(), left)
      return
    }
    this.ended(Math.max(PATIENCE_MS, 2 * this.#callMs) * 4)
    this.clear()
  }
}
