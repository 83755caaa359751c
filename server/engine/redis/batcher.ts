/** One caller's part of a batch. */
interface Entry<Item, Result> {
  readonly item: Item
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
  /** Of one call; an item that is heavier goes alone. */
  readonly maxWeight: number
  /** Within which an item is settled, counted from when it was added, in ms. */
  readonly deadlineMs: number
  /** Turns the failure of a call into that of one of its items. */
  readonly explain: (error: unknown, item: Item) => unknown
}

/**
 * Makes one call of many: what is asked for in one tick goes together, at once where nothing is under way; what is
 * asked for while a call is under way goes with the next one. So batches grow with the load and idle calls wait for
 * nothing.
 */
export class Batcher<Item, Result> {
  readonly #options: BatcherOptions<Item, Result>
  #waiting: Entry<Item, Result>[] = []
  #underWay = false

  constructor(options: BatcherOptions<Item, Result>) {
    this.#options = options
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      const deadline = performance.now() + this.#options.deadlineMs
      this.#waiting.push({ item, deadline, resolve, reject })
      if (!this.#underWay) {
        this.#underWay = true
        queueMicrotask(() => void this.#sendAll())
      }
    })
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#sendOne(this.#take())
    this.#underWay = false
  }

  #take(): Entry<Item, Result>[] {
    const { weigh, maxWeight } = this.#options
    let weight = 0
    let amount = 0
    for (const { item } of this.#waiting) {
      weight += weigh(item)
      if (amount > 0 && weight > maxWeight) break
      amount += 1
    }
    const taken = this.#waiting.slice(0, amount)
    this.#waiting = this.#waiting.slice(amount)
    return taken
  }

  async #sendOne(entries: readonly Entry<Item, Result>[]): Promise<void> {
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
