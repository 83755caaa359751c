import { shareOfNextCall } from '../two-calls.ts'

/** One caller's part of a batch. */
interface Entry<Item, Result> {
  readonly item: Item
  readonly weight: number
  /** On the monotonic clock, ms. */
  readonly deadline: number
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

export interface BatcherOptions<Item, Result> {
  /** Carries out all items in one call; one result each, in order. What it throws, every item fails with. */
  readonly send: (items: readonly Item[], deadlineMs: number) => Promise<readonly Result[]>
  /** What an item counts towards `maxWeight`. */
  readonly weigh: (item: Item) => number
  /** It bounds one call; an item that is heavier goes alone. */
  readonly maxWeight: number
  /** Within which an item is settled, counted from when it was added, in ms. */
  readonly deadlineMs: number
  /** Turns the failure of a call into that of one of its items. */
  readonly explain: (error: unknown, item: Item) => unknown
}

/** From this weight on it is worth a call of its own not to wait for the one under way. */
const WORTH_A_CALL = 32

/**
 * Makes one call of many: what is asked for in one tick goes together, at once where nothing is under way; a few that
 * are asked for while a call is under way go with the next one, and many go in a second call beside it. So batches grow
 * with the load, idle calls wait for nothing, and neither side of a busy connection waits for the other.
 */
export class Batcher<Item, Result> {
  readonly #options: BatcherOptions<Item, Result>
  #waiting: Entry<Item, Result>[] = []
  #waitingWeight = 0
  #calls = 0
  #scheduled = false

  constructor(options: BatcherOptions<Item, Result>) {
    this.#options = options
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      const { weigh, deadlineMs } = this.#options
      const weight = weigh(item)
      const deadline = performance.now() + deadlineMs
      this.#waiting.push({ item, weight, deadline, resolve, reject })
      this.#waitingWeight += weight
      if (this.#scheduled) return
      this.#scheduled = true
      queueMicrotask(() => {
        this.#scheduled = false
        this.#send()
      })
    })
  }

  #send(): void {
    const { maxWeight } = this.#options
    while (this.#waiting.length > 0) {
      const share = shareOfNextCall(this.#waitingWeight, this.#calls, WORTH_A_CALL)
      if (share === 0) return
      const batch = this.#take(share === 1 ? maxWeight : Math.min(maxWeight, this.#waitingWeight * share))
      this.#calls += 1
      void this.#call(batch).finally(() => {
        this.#calls -= 1
        this.#send()
      })
    }
  }

  /** Those that weigh so much together; one in any case. */
  #take(most: number): Entry<Item, Result>[] {
    let weight = 0
    let amount = 0
    for (const entry of this.#waiting) {
      if (amount > 0 && weight + entry.weight > most) break
      weight += entry.weight
      amount += 1
    }
    this.#waitingWeight -= weight
    if (amount === this.#waiting.length) {
      const all = this.#waiting
      this.#waiting = []
      return all
    }
    return this.#waiting.splice(0, amount)
  }

  /** Never rejects. */
  async #call(entries: readonly Entry<Item, Result>[]): Promise<void> {
    const { send, explain } = this.#options
    try {
      const left = (entries[0]?.deadline ?? 0) - performance.now()
      const results = await send(
        entries.map(({ item }) => item),
        left,
      )
      for (const [index, entry] of entries.entries()) {
        const result = results[index]
        if (result === undefined) entry.reject(new TypeError('a batch came back with too few results'))
        else entry.resolve(result)
      }
    } catch (error) {
      for (const entry of entries) entry.reject(explain(error, entry.item))
    }
  }
}
