import { type Engine, type LeaseRef, MAX_CALL_JOBS } from '../engine/engine.ts'
import { isOutage } from '../engine/errors.ts'

/** Something that holds a lease. */
export interface Leased extends LeaseRef {
  /** On `performance.now()`; until then the lease is held for sure. */
  deadline: number
  /** The store says that the lease is no longer held. */
  stale(): void
  /** The deadline has passed. */
  expire(): void
  cancel(): void
}

/**
 * Keeps the leases of all runs. Every third of a lease they are extended together; a lease is held until its length
 * after the moment at which the last extension that succeeded was *sent*, on a clock that nobody sets. When the store
 * cannot be reached, extensions are tried four times as often.
 */
export class LeaseKeeper {
  readonly #engine: Engine
  readonly #leaseMs: number
  readonly #failure: (error: unknown) => void
  readonly #held = new Set<Leased>()
  #state: { is: 'stopped' } | { is: 'running'; beat: NodeJS.Timeout; watch: NodeJS.Timeout } = {
    is: 'stopped',
  }

  constructor(options: { engine: Engine; leaseMs: number; failure: (error: unknown) => void }) {
    this.#engine = options.engine
    this.#leaseMs = options.leaseMs
    this.#failure = options.failure
  }

  start(): void {
    if (this.#state.is === 'running') return
    const watch = setInterval(() => this.#expire(), this.#leaseMs / 20)
    this.#state = { is: 'running', watch, beat: this.#beatIn(this.#leaseMs / 3) }
  }

  stop(): void {
    if (this.#state.is === 'stopped') return
    clearTimeout(this.#state.beat)
    clearInterval(this.#state.watch)
    this.#state = { is: 'stopped' }
  }

  add(run: Leased): void {
    this.#held.add(run)
  }

  remove(run: Leased): void {
    this.#held.delete(run)
  }

  /** Extends all leases now. Resolves to whether the store answered; never rejects. */
  async extend(): Promise<boolean> {
    const runs = [...this.#held]
    const batches = Array.from({ length: Math.ceil(runs.length / MAX_CALL_JOBS) }, (_, at) =>
      runs.slice(at * MAX_CALL_JOBS, (at + 1) * MAX_CALL_JOBS),
    )
    const answered = await Promise.all(batches.map((batch) => this.#extendBatch(batch)))
    return answered.every(Boolean)
  }

  async #extendBatch(runs: readonly Leased[]): Promise<boolean> {
    const deadline = performance.now() + this.#leaseMs
    try {
      const leases = runs.map(({ jobId, lease }) => ({ jobId, lease }))
      const verdicts = await this.#engine.extend({ leases, leaseMs: this.#leaseMs })
      for (const [at, run] of runs.entries()) {
        const verdict = verdicts[at]
        if (!this.#held.has(run)) continue
        if (verdict === 'stale') {
          run.stale()
          continue
        }
        run.deadline = deadline
        if (verdict === 'cancel_requested') run.cancel()
      }
      return true
    } catch (error) {
      if (!isOutage(error)) this.#failure(error)
      return false
    }
  }

  #beatIn(delayMs: number): NodeJS.Timeout {
    return setTimeout(async () => {
      const answered = await this.extend()
      if (this.#state.is === 'stopped') return
      this.#state = { ...this.#state, beat: this.#beatIn(answered ? this.#leaseMs / 3 : this.#leaseMs / 12) }
    }, delayMs)
  }

  #expire(): void {
    const now = performance.now()
    for (const run of this.#held) if (now > run.deadline) run.expire()
  }
}
