import type { Latency } from '../../shared/api.ts'

const SECONDS = 60
const SAMPLES = 512

/** The last runs of a worker in figures: how many a second, how long they waited and ran. */
export class Statistics {
  readonly #wait = new Samples()
  readonly #run = new Samples()
  readonly #perSecond = new Map<number, number>()
  readonly #startedAt = performance.now()

  claimed(waitMs: number | null): void {
    if (waitMs !== null) this.#wait.add(waitMs)
  }

  settled(runMs: number): void {
    this.#run.add(runMs)
    const second = Math.floor(performance.now() / 1000)
    this.#perSecond.set(second, (this.#perSecond.get(second) ?? 0) + 1)
    if (this.#perSecond.size > 2 * SECONDS) this.#forget(second)
  }

  get ratePerSecond(): number {
    const now = performance.now()
    const second = Math.floor(now / 1000)
    this.#forget(second)
    let runs = 0
    for (const count of this.#perSecond.values()) runs += count
    const span = Math.min(SECONDS, Math.max(1, (now - this.#startedAt) / 1000))
    return Math.round((runs / span) * 100) / 100
  }

  get waitMs(): Latency {
    return this.#wait.percentiles()
  }

  get runMs(): Latency {
    return this.#run.percentiles()
  }

  #forget(second: number): void {
    for (const old of this.#perSecond.keys()) {
      if (old > second - SECONDS) break
      this.#perSecond.delete(old)
    }
  }
}

/** The newest samples, overwriting the oldest. */
class Samples {
  readonly #values: number[] = []
  #next = 0

  add(value: number): void {
    this.#values[this.#next] = value
    this.#next = (this.#next + 1) % SAMPLES
  }

  percentiles(): Latency {
    if (this.#values.length === 0) return null
    const sorted = this.#values.toSorted((a, b) => a - b)
    const at = (share: number) => {
      const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
      return Math.round(value * 100) / 100
    }
    return { p50: at(0.5), p99: at(0.99) }
  }
}
