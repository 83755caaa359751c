const FIRST_MS = 50
const LONGEST_MS = 1000

/** How long to wait before asking a store again that could not answer: longer every time, never two alike. */
export class StoreBackoff {
  readonly #random: () => number
  #failures = 0

  constructor(random: () => number) {
    this.#random = random
  }

  /** Delay in ms after one more failure. */
  next(): number {
    const grown = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#failures)
    this.#failures += 1
    return grown * (0.5 + this.#random() / 2)
  }

  reset(): void {
    this.#failures = 0
  }
}
