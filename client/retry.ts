/** When to try again, and when to try something else. All times in ms. */

/** The `n`th delay in a row, counted from 0: between half a second and ten seconds. */
export function reconnectDelayMs(n: number, random: () => number): number {
  return Math.min(10_000, 500 + random() * Math.min(10_000, 500 * 2 ** n))
}

/** A connection that held this long was a good one. */
export const STEADY_MS = 5000
const QUICK_FAILURES = 3

/** How an attempt ended, among those before it. */
export interface Ending {
  /** How long to wait before the next. */
  readonly delayMs: number
  /** The third quick failure in a row: whatever a connection brought, it speaks against it that it did not hold. */
  readonly repeated: boolean
  /** All of that row opened, and were cut soon. */
  readonly brief: boolean
  /** When the first of that row failed, on `performance.now()`. */
  readonly since: number
}

/** Attempts to keep one connection up: how many failed in a row, and how long to wait before the next. */
export class Attempts {
  readonly #random: () => number
  /** Failed attempts since the last steady connection. */
  #n: number
  /** Quick failures in a row: when each came, and whether it had opened. */
  #quick: { readonly at: number; readonly opened: boolean }[] = []
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
   * restarting or away does not).
   */
  over({ counts = true, floorMs = 0 } = {}): Ending {
    const now = performance.now()
    const opened = this.#workingSince !== null
    const steady = this.#workingSince !== null && now - this.#workingSince >= STEADY_MS
    this.#workingSince = null
    if (steady) {
      this.#n = 0
      this.#quick = []
    } else if (counts) this.#quick.push({ at: now, opened })
    const delayMs = Math.max(floorMs, reconnectDelayMs(this.#n, this.#random))
    this.#n += 1
    const row = this.#quick
    const repeated = row.length >= QUICK_FAILURES
    if (repeated) this.#quick = []
    return { delayMs, repeated, brief: repeated && row.every((one) => one.opened), since: row[0]?.at ?? now }
  }
}
