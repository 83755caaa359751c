/** When to try again, and when to try something else. All times in ms. */

/** The `n`th delay in a row, counted from 0: between half a second and ten seconds. */
export function reconnectDelayMs(n: number, random: () => number): number {
  return Math.min(10_000, 500 + random() * Math.min(10_000, 500 * 2 ** n))
}

/** A connection that held this long was a good one. */
const STEADY_MS = 5000
const QUICK_FAILURES = 3

/** Attempts to keep one connection up: how many failed in a row, and how long to wait before the next. */
export class Attempts {
  readonly #random: () => number
  /** Failed attempts since the last steady connection. */
  #n: number
  #quick = 0
  #workingSince: number | null = null

  constructor(random: () => number, n = 0) {
    this.#random = random
    this.#n = n
  }

  get n(): number {
    return this.#n
  }

  /** The attempt succeeded; it will end some day. */
  worked(): void {
    this.#workingSince ??= performance.now()
  }

  /**
   * The attempt is over. `counts`: an end this soon speaks against the transport (a server that says that it is
   * restarting or away does not). `repeated` is true at the third quick failure in a row.
   */
  over({ counts = true, floorMs = 0 } = {}): { delayMs: number; repeated: boolean } {
    const steady = this.#workingSince !== null && performance.now() - this.#workingSince >= STEADY_MS
    this.#workingSince = null
    if (steady) {
      this.#n = 0
      this.#quick = 0
    } else if (counts) this.#quick += 1
    const delayMs = Math.max(floorMs, reconnectDelayMs(this.#n, this.#random))
    this.#n += 1
    const repeated = this.#quick >= QUICK_FAILURES
    if (repeated) this.#quick = 0
    return { delayMs, repeated }
  }
}
