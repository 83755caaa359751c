import { randomUUID } from 'node:crypto'
import { nextTick } from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type Claim,
  type ClaimRequest,
  type Engine,
  MAX_CALL_JOBS,
  type Settlement,
  type SettleVerdict,
} from '../engine/engine.ts'
import { isOutage, Unavailable } from '../engine/errors.ts'
import { shareOfNextCall } from '../engine/two-calls.ts'
import { StoreBackoff } from './backoff.ts'
import type { Leased } from './lease.ts'
import type { Room } from './slots.ts'

/** Longest wait for work; three quarters of it at the least. */
const WAIT_MS = 300_000
/** A store that says again and again, this quickly (ms), that there is nothing instead of waiting is asked less often. */
const QUICK_MS = 20
const MAX_QUICK_WAKES = 10
/** From so many outcomes on it is worth a call of its own not to wait for the one under way. */
export const WORTH_A_CALL = 8

/** In one call to the store, bytes of results and events. */
const MAX_CALL_BYTES = 8 * 1024 * 1024

/** An outcome on its way to the store. */
interface PendingSettlement<Run> extends Settlement {
  readonly run: Run
  /** Of the result and the events, about. */
  readonly bytes: number
}

interface SettlementQueueOptions<Run> {
  /** The store's answer, exactly once; null where there is none to be had any more: the lease is surely over. */
  readonly settled: (settlement: PendingSettlement<Run>, verdict: SettleVerdict | null) => void
  readonly failure: (where: string, error: unknown) => void
}

export interface ExchangeOptions<Run> extends SettlementQueueOptions<Run> {
  readonly engine: Engine
  readonly workerId: string
  readonly leaseMs: number
  /**
   * What may be claimed now; `ahead`: of free slots as well. A claim under way holds what it asked for, from `holding` until
   * `answered`; one that waits holds nothing, since there is no other meanwhile.
   */
  readonly room: (ahead: boolean) => Room
  readonly holding: (room: Room) => void
  /** The claim has its answer: what it holds is free again, bar what `claimed` takes. */
  readonly answered: (room: Room) => void
  readonly random: () => number
  /** New runs. Takes their slots. */
  readonly claimed: (claims: readonly Claim[]) => void
  /** A call was answered, after so many ms. */
  readonly called: (ms: number) => void
}

/** A claim that waits for work. */
interface WaitingClaim {
  readonly request: ClaimRequest
  readonly room: Room
  readonly abort: AbortController
}

type Answer = Awaited<ReturnType<Engine['settle']>>

interface SentClaim {
  readonly request: ClaimRequest
  readonly room: Room
  /** For the first time, on `performance.now()`. */
  readonly sentAt: number
}

/** Whether it is for all types that there is room for now, and no other. */
function waitsFor({ room: { types } }: WaitingClaim, room: Room): boolean {
  return types.length === room.types.length && room.types.every(({ type }, at) => type === types[at]?.type)
}

type State =
  | { readonly is: 'open' }
  /** Takes no more work; what is to be settled still goes out. */
  | { readonly is: 'closing' }

/**
 * The worker's talk with the store: hands over outcomes and takes new work, both in one call wherever it can. What
 * becomes ready while nothing is under way goes at the end of the same tick; a few that become ready meanwhile go
 * together in the next call, and many in a second one beside it. When there is nothing to take, a claim waits for work:
 * what is settled meanwhile goes by itself, unless there is room for other types now. Then the claim that comes with it
 * takes the place of the one that waits.
 *
 * A call without an answer is made again, with the same claim, until it is answered or the leases in it are over.
 */
export class Exchange<Run extends Pick<Leased, 'deadline'>> {
  readonly #options: ExchangeOptions<Run>
  readonly #backoff: StoreBackoff
  #state: State = { is: 'open' }
  readonly #settlements: SettlementQueue<Run>
  /** Claims whose answers were lost. */
  #unanswered: SentClaim[] = []
  /** Whether a claim may find something: at the start, when told, and when the last one came back full. */
  #mayHaveWork = true
  #scheduled = false
  #calls = 0
  /** Resolves when the answer to the last call was dealt with, or failed. */
  #lastAnswer: Promise<void> = Promise.resolve()
  /** After a failure, until the store is tried again. */
  #holds = 0
  #onIdle: (() => void)[] = []
  #quickWakes = 0
  #wait: WaitingClaim | null = null

  constructor(options: ExchangeOptions<Run>) {
    this.#options = options
    this.#backoff = new StoreBackoff(options.random)
    this.#settlements = new SettlementQueue(options)
  }

  settle(settlement: PendingSettlement<Run>): void {
    this.#settlements.add(settlement)
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
    this.#wait?.abort.abort()
    this.#talk()
  }

  /** Resolves when nothing is under way and nothing is left to be settled, once it is closed. */
  async idle(): Promise<void> {
    while (this.#isBusy() || this.#wait !== null)
      await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  #isBusy(): boolean {
    return this.#scheduled || this.#calls > 0 || this.#holds > 0
  }

  #talk(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    // After everything that becomes ready in this tick, so that it goes together.
    nextTick(() => {
      this.#scheduled = false
      this.#callWhileWorthIt()
    })
  }

  #callWhileWorthIt(): void {
    while (this.#holds === 0) {
      const { length } = this.#settlements
      const share = shareOfNextCall(length, this.#calls, WORTH_A_CALL)
      if (share === 0) break
      const batch = this.#settlements.take(Math.ceil(length * share))
      const claim = this.#nextClaim(batch.length > 0)
      if (batch.length === 0 && claim === null) break
      this.#calls += 1
      void this.#call(batch, claim)
    }
    if (this.#isBusy()) return
    // In the same step in which nothing was found to do, so that nothing can become ready in between.
    this.#waitWhileIdle()
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  /** Never rejects. */
  async #call(batch: readonly PendingSettlement<Run>[], claim: SentClaim | null): Promise<void> {
    const sentAt = performance.now()
    try {
      await this.#exchange(batch, claim)
      this.#options.called(performance.now() - sentAt)
      this.#backoff.reset()
      this.#settlements.succeeded()
      this.#calls -= 1
    } catch (error) {
      if (claim !== null) this.#keepClaim(claim, error)
      this.#mayHaveWork = true
      this.#calls -= 1
      this.#holds += 1
      await pause(this.#backoff.next())
      this.#holds -= 1
      this.#settlements.putBack(batch, error)
      if (batch.length === 0 && !isOutage(error)) this.#options.failure('claiming jobs', error)
    }
    this.#callWhileWorthIt()
  }

  /** Answers are dealt with in the order of their calls, so that jobs begin in the order in which they were claimed. */
  async #exchange(batch: readonly PendingSettlement<Run>[], claim: SentClaim | null): Promise<void> {
    const earlier = this.#lastAnswer
    let dealtWith: () => void = () => {}
    this.#lastAnswer = new Promise((resolve) => {
      dealtWith = resolve
    })
    try {
      const asks = claim !== null && claim.request.limit > 0
      if (asks) this.#mayHaveWork = false
      const answer = await this.#ask(batch, claim)
      await earlier
      this.#take(batch, claim, answer)
      if (asks && answer.claims.length === claim.request.limit) this.#mayHaveWork = true
    } finally {
      dealtWith()
    }
  }

  async #ask(batch: readonly PendingSettlement<Run>[], claim: SentClaim | null): Promise<Answer> {
    const { engine } = this.#options
    if (claim === null) return engine.settle({ settlements: batch })
    if (batch.length > 0) return engine.settle({ settlements: batch, next: claim.request })
    return { verdicts: [], claims: await engine.claim(claim.request) }
  }

  #take(
    batch: readonly PendingSettlement<Run>[],
    claim: SentClaim | null,
    { verdicts, claims }: Answer,
  ): void {
    const { claimed, answered, settled } = this.#options
    batch.forEach((settlement, at) => {
      settled(settlement, verdicts[at] ?? 'stale')
    })
    if (claim === null) return
    answered(claim.room)
    if (claims.length === 0) return
    this.#quickWakes = 0
    claimed(claims)
  }

  #nextClaim(settles: boolean): SentClaim | null {
    const unanswered = this.#nextUnanswered()
    if (unanswered !== null) return unanswered
    if (this.#state.is === 'closing') return null
    const room = this.#options.room(true)
    if (room.types.length === 0) return null
    const wait = this.#wait
    if (wait !== null && waitsFor(wait, room)) {
      // There is nothing else to be had.
      this.#mayHaveWork = false
      return null
    }
    if (wait === null && !settles && !this.#mayHaveWork) return null
    this.#options.holding(room)
    this.#wait = null
    return { request: this.#request(room, wait?.request.claimId), room, sentAt: performance.now() }
  }

  #request({ limit, types }: Room, claimId: string = randomUUID()): ClaimRequest {
    const { workerId, leaseMs } = this.#options
    return { claimId, workerId, limit, types, leaseMs }
  }

  /** Who closes asks as long as there can be something that the claim has brought. */
  #nextUnanswered(): SentClaim | null {
    const { leaseMs, answered } = this.#options
    for (;;) {
      const claim = this.#unanswered.shift()
      if (claim === undefined) return null
      if (this.#state.is === 'open' || performance.now() < claim.sentAt + leaseMs) return claim
      answered(claim.room)
    }
  }

  /** What is held for it stays so, unless it has surely brought nothing. */
  #keepClaim(claim: SentClaim, error: unknown): void {
    if (error instanceof Unavailable) this.#options.answered(claim.room)
    else this.#unanswered.push(claim)
  }

  #waitWhileIdle(): void {
    if (this.#wait !== null || this.#state.is === 'closing') return
    const room = this.#options.room(false)
    if (room.types.length === 0) return
    this.#wait = { request: this.#request(room), room, abort: new AbortController() }
    void this.#waitForWork(this.#wait)
  }

  /** Never rejects. Where another claim takes its place, that one is answered. */
  async #waitForWork(wait: WaitingClaim): Promise<void> {
    const { engine, random, failure, claimed, holding } = this.#options
    const { request, room } = wait
    const { signal } = wait.abort
    const startedAt = performance.now()
    const rest = (ms: number) => pause(ms, undefined, { signal }).catch(() => {})
    try {
      const waitMs = Math.round(WAIT_MS * (0.75 + random() / 4))
      const claims = await engine.claim({ ...request, waitMs, signal })
      if (this.#wait !== wait) return
      if (claims.length > 0) {
        this.#wait = null
        this.#quickWakes = 0
        // A single one may have been handed over, which says nothing of others.
        if (claims.length > 1) this.#mayHaveWork = claims.length === request.limit
        claimed(claims)
        this.#talk()
        return
      }
      const inVain = performance.now() - startedAt < QUICK_MS
      this.#quickWakes = inVain ? this.#quickWakes + 1 : 0
      if (this.#quickWakes > MAX_QUICK_WAKES) await rest(Math.min(250, 5 * this.#quickWakes))
      if (this.#wait !== wait) return
    } catch (error) {
      if (this.#wait !== wait) return
      if (!isOutage(error)) failure('waiting for work', error)
      await rest(this.#backoff.next())
      if (this.#wait !== wait) return
      this.#mayHaveWork = true
      if (!(error instanceof Unavailable) && !signal.aborted) {
        holding(room)
        this.#unanswered.push({ request, room, sentAt: startedAt })
      }
    }
    this.#wait = null
    this.#talk()
  }
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
