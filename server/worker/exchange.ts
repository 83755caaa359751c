import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type Claim,
  type ClaimRequest,
  type Engine,
  MAX_CALL_JOBS,
  type Settlement,
  type SettleVerdict,
} from '../engine/engine.ts'
import { OutcomeUnknown, Unavailable } from '../engine/errors.ts'
import { StoreBackoff } from './backoff.ts'
import type { Slots } from './slots.ts'

/** In one call to the store, bytes of results and events. */
const MAX_CALL_BYTES = 8 * 1024 * 1024
/** Longest wait for work, so that a lost wake-up costs seconds; half of it at the least. */
const WAIT_MS = 5000
/** A store that says again and again, this quickly (ms), that there is work where there is none, is asked less often. */
const QUICK_MS = 20
const MAX_QUICK_WAKES = 10

/** An outcome on its way to the store. */
export interface PendingSettlement extends Settlement {
  /** Of the result and the events, about. */
  readonly bytes: number
  /** The store's answer, exactly once; null where there is none to be had any more: the lease is surely over. */
  readonly answered: (verdict: SettleVerdict | null) => void
  /** Whether the lease may still be held. */
  readonly isLive: () => boolean
}

export interface ExchangeOptions {
  readonly engine: Engine
  readonly workerId: string
  readonly leaseMs: number
  readonly slots: Slots
  readonly random: () => number
  /** New runs, under leases held until their length after `sentAt` (`performance.now()`). Takes their slots. */
  readonly claimed: (claims: readonly Claim[], sentAt: number) => void
  readonly failure: (where: string, error: unknown) => void
}

interface SentClaim {
  readonly request: ClaimRequest
  readonly sentAt: number
}

type State =
  | { readonly is: 'open' }
  /** Takes no more work; what is to be settled still goes out. */
  | { readonly is: 'closing' }

/**
 * The worker's talk with the store: hands over outcomes and takes new work, both in one call wherever it can. One call
 * is under way at a time; what is ready meanwhile goes together in the next one, and what becomes ready while nothing
 * is under way goes at the end of the same tick. When there is nothing to take it waits for the store's word.
 *
 * A call without an answer is made again, with the same claim, until it is answered or the leases in it are over.
 */
export class Exchange {
  readonly #options: ExchangeOptions
  readonly #backoff: StoreBackoff
  #state: State = { is: 'open' }
  #settlements: PendingSettlement[] = []
  /** Settlements a call at most; less while one that the store cannot take is looked for. */
  #batchLimit = MAX_CALL_JOBS
  /** The claim whose answer was lost. */
  #unanswered: SentClaim | null = null
  /** Whether a claim may find something: at the start, when told, and when the last one came back full. */
  #mayHaveWork = true
  #talking: Promise<void> | null = null
  #quickWakes = 0
  #waiting: { readonly types: string; readonly abort: AbortController } | null = null

  constructor(options: ExchangeOptions) {
    this.#options = options
    this.#backoff = new StoreBackoff(options.random)
  }

  settle(settlement: PendingSettlement): void {
    this.#settlements.push(settlement)
    this.#talk()
  }

  /** Slots are free, or there may be work. */
  wake(): void {
    this.#mayHaveWork = true
    this.#talk()
  }

  /** Takes no more work from now on. */
  close(): void {
    this.#state = { is: 'closing' }
    this.#stopWaiting()
    this.#talk()
  }

  /** Resolves when nothing is under way and nothing is left to be settled. */
  async idle(): Promise<void> {
    while (this.#talking !== null) await this.#talking
  }

  #talk(): void {
    this.#talking ??= this.#talkUntilQuiet()
  }

  async #talkUntilQuiet(): Promise<void> {
    // After everything that becomes ready in this tick, so that it goes together.
    await new Promise<void>((resolve) => process.nextTick(resolve))
    for (;;) {
      const batch = this.#takeBatch()
      const claim = this.#nextClaim(batch.length > 0)
      if (batch.length === 0 && claim === null) break
      try {
        await this.#call(batch, claim)
        this.#backoff.reset()
        this.#batchLimit = MAX_CALL_JOBS
      } catch (error) {
        this.#unanswered = error instanceof Unavailable ? null : claim
        this.#mayHaveWork = true
        await pause(this.#backoff.next())
        this.#keepForNextCall(batch, error)
      }
    }
    // In the same step in which nothing was found to do, so that nothing can become ready in between.
    this.#talking = null
    this.#waitWhileIdle()
  }

  async #call(batch: readonly PendingSettlement[], claim: SentClaim | null): Promise<void> {
    const { engine, claimed } = this.#options
    if (claim !== null) this.#mayHaveWork = false
    let claims: Claim[]
    if (batch.length === 0 && claim !== null) {
      claims = await engine.claim(claim.request)
    } else {
      const settlements = batch.map(({ jobId, lease, outcome, events }) => ({
        jobId,
        lease,
        outcome,
        events,
      }))
      const answer = await engine.settle(
        claim === null ? { settlements } : { settlements, next: claim.request },
      )
      claims = answer.claims
      for (const [at, settlement] of batch.entries()) settlement.answered(answer.verdicts[at] ?? 'stale')
    }
    this.#unanswered = null
    if (claim === null) return
    if (claims.length === claim.request.limit) this.#mayHaveWork = true
    if (claims.length === 0) return
    this.#quickWakes = 0
    claimed(claims, claim.sentAt)
  }

  #takeBatch(): PendingSettlement[] {
    let bytes = 0
    let count = 0
    for (const settlement of this.#settlements) {
      if (count === this.#batchLimit || (count > 0 && bytes + settlement.bytes > MAX_CALL_BYTES)) break
      bytes += settlement.bytes
      count += 1
    }
    return this.#settlements.splice(0, count)
  }

  #nextClaim(settles: boolean): SentClaim | null {
    const { workerId, leaseMs, slots } = this.#options
    const now = performance.now()
    if (this.#unanswered !== null && now - this.#unanswered.sentAt < leaseMs) return this.#unanswered
    this.#unanswered = null
    if (this.#state.is === 'closing' || !(settles || this.#mayHaveWork)) return null
    const limit = Math.min(slots.free, MAX_CALL_JOBS)
    if (limit <= 0) return null
    const types = slots.freeByType(limit)
    if (types.length === 0) return null
    return { request: { claimId: randomUUID(), workerId, limit, types, leaseMs }, sentAt: now }
  }

  /**
   * The same settlements go out again. Where the store refused them for a reason that is not its absence, one of them
   * must be the cause: it is found by halving, and given up, so that it cannot hold back the others.
   */
  #keepForNextCall(batch: readonly PendingSettlement[], error: unknown): void {
    const live = batch.filter((settlement) => settlement.isLive())
    for (const settlement of batch) if (!settlement.isLive()) settlement.answered(null)
    if (!(error instanceof Unavailable || error instanceof OutcomeUnknown)) {
      this.#options.failure(batch.length === 0 ? 'claiming jobs' : 'settling runs', error)
      if (batch.length === 1) {
        live[0]?.answered(null)
        return
      }
      this.#batchLimit = Math.max(1, Math.ceil(batch.length / 2))
    }
    this.#settlements.unshift(...live)
  }

  #waitWhileIdle(): void {
    const { slots } = this.#options
    const types =
      this.#state.is === 'closing' ? [] : slots.freeByType(Math.min(slots.free, 1)).map(({ type }) => type)
    const key = types.join(' ')
    if (this.#waiting?.types === key) return
    this.#stopWaiting()
    if (types.length === 0) return
    const abort = new AbortController()
    this.#waiting = { types: key, abort }
    void this.#waitForWork(types, abort.signal)
  }

  #stopWaiting(): void {
    this.#waiting?.abort.abort()
    this.#waiting = null
  }

  async #waitForWork(types: readonly string[], signal: AbortSignal): Promise<void> {
    const { engine, workerId, random, failure } = this.#options
    const timeoutMs = Math.round(WAIT_MS * (0.5 + random() / 2))
    const began = performance.now()
    try {
      await engine.waitForWork({ workerId, types, timeoutMs, signal })
      const inVain = performance.now() - began < QUICK_MS
      this.#quickWakes = inVain ? this.#quickWakes + 1 : 0
      if (this.#quickWakes > MAX_QUICK_WAKES)
        await pause(Math.min(250, 5 * this.#quickWakes), undefined, { signal })
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof Unavailable)) failure('waiting for work', error)
      await pause(this.#backoff.next(), undefined, { signal }).catch(() => {})
    }
    if (signal.aborted) return
    this.#waiting = null
    this.wake()
  }
}
