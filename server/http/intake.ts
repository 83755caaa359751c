interface Waiting {
  readonly bytes: number
  readonly admit: () => void
}

/** This many may be under way, however large they are: one is prepared while the store is at work on another. */
const ALWAYS = 2

/**
 * Lets bodies in one after another, at most about `mostBytes` of them at once. What waits, waits as the bytes that came,
 * outside of the heap: thousands of parsed jobs that wait for the store cost more in garbage collection than all that
 * is done with them, and large bodies that were all parsed at once would fill the memory.
 */
export class Intake {
  readonly #mostBytes: number
  readonly #queue: Waiting[] = []
  #bytes = 0
  #underWay = 0

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  /** Does the work on a body of this size once it is its turn; settles as the work does. */
  async through<Result>(bytes: number, work: () => Promise<Result>): Promise<Result> {
    if (this.#queue.length === 0 && this.#hasRoom()) this.#enter(bytes)
    else await new Promise<void>((admit) => this.#queue.push({ bytes, admit }))
    try {
      return await work()
    } finally {
      this.#leave(bytes)
    }
  }

  #hasRoom(): boolean {
    return this.#underWay < ALWAYS || this.#bytes < this.#mostBytes
  }

  #enter(bytes: number): void {
    this.#underWay += 1
    this.#bytes += bytes
  }

  #leave(bytes: number): void {
    this.#underWay -= 1
    this.#bytes -= bytes
    while (this.#hasRoom()) {
      const next = this.#queue.shift()
      if (next === undefined) return
      this.#enter(next.bytes)
      next.admit()
    }
  }
}
