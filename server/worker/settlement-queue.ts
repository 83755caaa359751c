import { MAX_CALL_JOBS, type Settlement, type SettleVerdict } from '../engine/engine.ts'
import { isOutage } from '../engine/errors.ts'
import type { Leased } from './lease.ts'

/** In one call to the store, bytes of results and events. */
const MAX_CALL_BYTES = 8 * 1024 * 1024

/** An outcome on its way to the store. */
export interface PendingSettlement<Run> extends Settlement {
  readonly run: Run
  /** Of the result and the events, about. */
  readonly bytes: number
}

export interface SettlementQueueOptions<Run> {
  /** The store's answer, exactly once; null where there is none to be had any more: the lease is surely over. */
  readonly settled: (settlement: PendingSettlement<Run>, verdict: SettleVerdict | null) => void
  readonly failure: (where: string, error: unknown) => void
}

/** Outcomes that wait to be sent, in order, until the store has answered or their leases are over. */
export class SettlementQueue<Run extends Pick<Leased, 'deadline'>> {
  readonly #options: SettlementQueueOptions<Run>
  #waiting: PendingSettlement<Run>[] = []
  /** A call at most; less while one that the store cannot take is looked for. */
  #batchLimit = MAX_CALL_JOBS

  constructor(options: SettlementQueueOptions<Run>) {
    this.#options = options
  }

  get length(): number {
    return this.#waiting.length
  }

  add(settlement: PendingSettlement<Run>): void {
    this.#waiting.push(settlement)
  }

  /** The first of them, for one call. */
  take(most: number): PendingSettlement<Run>[] {
    const limit = Math.min(most, this.#batchLimit)
    let bytes = 0
    let count = 0
    for (const settlement of this.#waiting) {
      if (count === limit || (count > 0 && bytes + settlement.bytes > MAX_CALL_BYTES)) break
      bytes += settlement.bytes
      count += 1
    }
    return this.#waiting.splice(0, count)
  }

  /** The store has answered a call. */
  succeeded(): void {
    this.#batchLimit = MAX_CALL_JOBS
  }

  /**
   * The same settlements go out again. Where the store refused them for a reason that is not its absence, one of them
   * must be the cause: it is found by halving, and given up, so that it cannot hold back the others.
   */
  putBack(batch: readonly PendingSettlement<Run>[], error: unknown): void {
    const { settled, failure } = this.#options
    const now = performance.now()
    const live = batch.filter(({ run }) => now <= run.deadline)
    for (const settlement of batch) if (now > settlement.run.deadline) settled(settlement, null)
    if (batch.length > 0 && !isOutage(error)) {
      failure('settling runs', error)
      if (batch.length === 1) {
        for (const settlement of live) settled(settlement, null)
        return
      }
      this.#batchLimit = Math.max(1, Math.ceil(batch.length / 2))
    }
    this.#waiting.unshift(...live)
  }
}
