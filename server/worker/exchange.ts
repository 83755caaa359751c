import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type Claim, type ClaimRequest, type Engine, MAX_CALL_JOBS } from '../engine/engine.ts'
import { Unavailable } from '../engine/errors.ts'
import { StoreBackoff } from './backoff.ts'
import type { Leased } from './lease.ts'
import {
  isOutage,
  type PendingSettlement,
  SettlementQueue,
  type SettlementQueueOptions,
} from './settlement-queue.ts'
import type { Room } from './slots.ts'

/** Longest wait for work; three quarters of it at the least. */
const WAIT_MS = 300_000
/** How often a wait is looked after, so that a lost wake-up costs seconds. */
const RENEW_MS = 5000
/**
 * And as a part of a lease. When a job was handed over is not known, only that it was after the last look: so its lease
 * is taken to have begun then, and most of it must be left.
 */
const RENEW_LEASES = 1 / 3
/**
 * A wait or an unanswered claim that is older, in leases, has overstayed: this process stood still, or the store was away.
 * What it brought long ago must not be taken for new, nor what it would bring now for old: so it asks for nothing new
 * any more, and the next claim does.
 */
const OVERSTAYED_LEASES = 1 / 2
/** A store that says again and again, this quickly (ms), that there is work where there is none, is asked less often. */
const QUICK_MS = 20
const MAX_QUICK_WAKES = 10
/** Calls under way at once: while the store carries out one, the jobs of the other run here. */
export const MAX_CALLS = 2
/** From so many outcomes on it is worth a call of its own not to wait for the one under way. */
export const WORTH_A_CALL = 8

export interface ExchangeOptions<Run> extends SettlementQueueOptions<Run> {
  readonly engine: Engine
  readonly workerId: string
  readonly leaseMs: number
  /** What may be claimed now. A claim holds what it asked for until `claimed` has its answer, or `unclaimed` is told. */
  readonly room: () => Room
  readonly holding: (room: Room) => void
  /** The claim has its answer: what it holds is free again, bar what `claimed` takes. */
  readonly answered: (room: Room) => void
  readonly random: () => number
  /** New runs, under leases held until their length after `sentAt` (`performance.now()`). Takes their slots. */
  readonly claimed: (claims: readonly Claim[], sentAt: number) => void
  /** A call was answered, after so many ms. */
  readonly called: (ms: number) => void
}

/** For the store's word that there is work, or for a job that it hands over under the claim id of this wait. */
interface Wait {
  readonly claimId: string
  readonly types: readonly string[]
  /** On `performance.now()`: nothing was handed over before. */
  sentAt: number
  readonly abort: AbortController
  /** It has ended, and handed nothing over that is known of: its claim is to be made. */
  isOver: boolean
}

type Answer = Awaited<ReturnType<Engine['settle']>>

interface SentClaim {
  readonly request: ClaimRequest
  readonly room: Room
  /** Where it takes the place of a wait, when that was sent. */
  readonly sentAt: number
  /** The wait under the same id: what was handed over comes with the answer to this claim. */
  readonly wait: Wait | null
  /** Whether the store may have carried it out already. */
  readonly again: boolean
}

const NO_ROOM: Room = { limit: 0, types: [] }

/** The same claim, for what it has brought already. */
function asksForNothing(claim: SentClaim): SentClaim {
  return { ...claim, request: { ...claim.request, limit: 0 }, room: NO_ROOM }
}

/** Whether it is for all types that there is room for now, and no other. */
function waitsFor({ types }: Wait, room: Room): boolean {
  return types.length === room.types.length && room.types.every(({ type }, at) => type === types[at])
}

type State =
  | { readonly is: 'open' }
  /** Takes no more work; what is to be settled still goes out. */
  | { readonly is: 'closing' }

/**
 * The worker's talk with the store: hands over outcomes and takes new work, both in one call wherever it can. What
 * becomes ready while nothing is under way goes at the end of the same tick; a few that become ready meanwhile go
 * together in the next call, and many in a second one beside it. When there is nothing to take it waits for the store's
 * word, or for a job that is handed over.
 *
 * A wait has the id of a claim. Whatever ends it but a job, the next claim is that one: so a job that was handed over while
 * the wait ended, or whose message was lost, is found, and none can be handed over from then on.
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
  #wait: Wait | null = null

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
    this.#stopWaiting()
    this.#talk()
  }

  /** Resolves when nothing is under way and nothing is left to be settled. */
  async idle(): Promise<void> {
    while (this.#isBusy()) await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  #isBusy(): boolean {
    return this.#scheduled || this.#calls > 0 || this.#holds > 0
  }

  #talk(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    // After everything that becomes ready in this tick, so that it goes together.
    process.nextTick(() => {
      this.#scheduled = false
      this.#callWhileWorthIt()
    })
  }

  #callWhileWorthIt(): void {
    while (this.#mayCall()) {
      const settlements = this.#settlements
      // Where two calls are worth it, each takes its half.
      const isHalf = this.#calls === 0 && settlements.length >= MAX_CALLS * WORTH_A_CALL
      const batch = settlements.take(isHalf ? Math.ceil(settlements.length / MAX_CALLS) : MAX_CALL_JOBS)
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

  #mayCall(): boolean {
    if (this.#holds > 0) return false
    return this.#calls === 0 || (this.#calls < MAX_CALLS && this.#settlements.length >= WORTH_A_CALL)
  }

  /** Never rejects. */
  async #call(batch: readonly PendingSettlement<Run>[], claim: SentClaim | null): Promise<void> {
    const sentAt = performance.now()
    try {
      const exchanged = this.#exchange(batch, claim)
      // Only now, so that the store hears of it from the claim and need not be told.
      claim?.wait?.abort.abort()
      await exchanged
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
    claimed(claims, claim.sentAt)
  }

  #nextClaim(settles: boolean): SentClaim | null {
    const { workerId, leaseMs } = this.#options
    const now = performance.now()
    const unanswered = this.#nextUnanswered(now)
    if (unanswered !== null) return unanswered
    if (this.#state.is === 'closing') return null
    const wait = this.#wait
    if (wait !== null && now - wait.sentAt > leaseMs * OVERSTAYED_LEASES) {
      this.#stopWaiting()
      this.#mayHaveWork = true
      return this.#nextUnanswered(now)
    }
    const room = this.#options.room()
    if (room.types.length === 0) return null
    if (wait !== null && !wait.isOver) {
      if (waitsFor(wait, room)) {
        // Whatever comes is handed over or told of; there is nothing else to be had.
        this.#mayHaveWork = false
        return null
      }
    } else if (!settles && !this.#mayHaveWork && wait === null) return null
    this.#options.holding(room)
    this.#wait = null
    const request = { claimId: wait?.claimId ?? randomUUID(), workerId, ...room, leaseMs }
    return { request, room, sentAt: wait?.sentAt ?? now, wait, again: false }
  }

  #nextUnanswered(now: number): SentClaim | null {
    const { leaseMs, answered } = this.#options
    for (;;) {
      const claim = this.#unanswered.shift()
      if (claim === undefined) return null
      const age = now - claim.sentAt
      if (age < leaseMs * OVERSTAYED_LEASES) return claim
      answered(claim.room)
      const isOpenWait = claim.wait !== null && this.#state.is === 'open'
      if (isOpenWait || age < leaseMs) return asksForNothing(claim)
    }
  }

  #keepClaim(claim: SentClaim, error: unknown): void {
    const again = claim.again || !(error instanceof Unavailable)
    // Where it takes the place of a wait, a job may have been handed over all the same; who closes asks for that once.
    if (again || (claim.wait !== null && this.#state.is === 'open'))
      this.#unanswered.push({ ...claim, again })
    else this.#options.answered(claim.room)
  }

  #waitWhileIdle(): void {
    const room = this.#state.is === 'closing' ? NO_ROOM : this.#options.room()
    if (this.#wait !== null) {
      // Its claim comes before another wait.
      if (!waitsFor(this.#wait, room)) this.#stopWaiting()
      return
    }
    if (room.types.length === 0) return
    const wait: Wait = {
      claimId: randomUUID(),
      types: room.types.map(({ type }) => type),
      sentAt: performance.now(),
      abort: new AbortController(),
      isOver: false,
    }
    this.#wait = wait
    void this.#waitForWork(wait)
  }

  /** Makes the claim of the wait, so that nothing is handed over any more, and asks for nothing new with it. */
  #stopWaiting(): void {
    const wait = this.#wait
    if (wait === null) return
    this.#wait = null
    const { claimId, sentAt } = wait
    const { workerId, leaseMs } = this.#options
    const types = wait.types.map((type) => ({ type, limit: 1 }))
    const request = { claimId, workerId, limit: 0, types, leaseMs }
    this.#unanswered.push({ request, room: NO_ROOM, sentAt, wait, again: false })
    this.#talk()
  }

  /** Never rejects. */
  async #waitForWork(wait: Wait): Promise<void> {
    const { engine, workerId, leaseMs, random, failure, claimed } = this.#options
    const { claimId, types } = wait
    const { signal } = wait.abort
    const startedAt = wait.sentAt
    const timeoutMs = Math.round(WAIT_MS * (0.75 + random() / 4))
    const renewMs = Math.min(RENEW_MS, Math.round(leaseMs * RENEW_LEASES))
    const renewed = (sentAt: number) => {
      wait.sentAt = sentAt
    }
    try {
      const claims = await engine.waitForWork({
        workerId,
        types,
        timeoutMs,
        signal,
        claim: { claimId, leaseMs, renewMs, renewed },
      })
      // Its claim is made already: what was handed over comes with the answer to that.
      if (this.#wait !== wait) return
      if (claims.length > 0) {
        this.#wait = null
        this.#quickWakes = 0
        claimed(claims, wait.sentAt)
        this.#talk()
        return
      }
      const inVain = performance.now() - startedAt < QUICK_MS
      this.#quickWakes = inVain ? this.#quickWakes + 1 : 0
      if (this.#quickWakes > MAX_QUICK_WAKES)
        await pause(Math.min(250, 5 * this.#quickWakes), undefined, { signal })
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof Unavailable)) failure('waiting for work', error)
      await pause(this.#backoff.next(), undefined, { signal }).catch(() => {})
    }
    if (this.#wait !== wait) return
    wait.isOver = true
    this.#talk()
  }
}
