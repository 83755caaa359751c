import type { WorkerInfo } from '../../shared/api.ts'
import type { TypePace } from '../../shared/pace.ts'
import {
  type Claim,
  type Engine,
  JsonText,
  type LeaseRef,
  MAX_CALL_JOBS,
  type Outcome,
  type RunEvent,
  type SettleVerdict,
} from '../engine/engine.ts'
import { isOutage } from '../engine/errors.ts'
import { MOST_CALLS } from '../engine/two-calls.ts'
import type { Events } from '../events.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import type { Thrown } from '../thrown.ts'
import { type After, Attempt, type AttemptHost, type Runnable } from './attempt.ts'
import { Exchange, WORTH_A_CALL } from './exchange.ts'
import { HungRuns, type HungSlots } from './hung.ts'
import { type Leased, LeaseKeeper } from './lease.ts'
import { Pace } from './pace.ts'
import { Prefetch } from './prefetch.ts'
import { NOTHING, Reporter, type Reporting, RunReports, type TakenEvents } from './reports.ts'
import { type Room, Slots } from './slots.ts'
import { Statistics } from './statistics.ts'

export interface RunnerOptions {
  readonly engine: Engine
  readonly definitions: readonly JobDefinition[]
  /** By type. */
  readonly runnables: ReadonlyMap<string, Runnable>
  readonly events: Events
  readonly workerId: string
  /** Runs at once. */
  readonly concurrency: number
  readonly leaseMs: number
  readonly cancelGraceMs: number
  readonly maxResultBytes: number
  readonly random: () => number
  readonly after: After
  readonly heard?: (jobId: string, event: RunEvent) => void
  readonly failure: (where: string, error: unknown) => void
}

/**
 * How jobs go back: as if they had not run, or as a stall, where one of them may be why the process ends. A run that sent
 * its own process a signal is always a stall: its job would end every process in turn.
 */
export type GiveBack = 'unspent' | 'stalled'

/** A claimed job in this process: what its lease, its reports and its attempt have in common. */
class Run implements Leased, Reporting {
  readonly claim: Claim
  readonly jobId: string
  readonly lease: string
  /** On `performance.now()`: its claim, then the start of its attempt. */
  startedAt = performance.now()
  /** On `performance.now()`: when its handler was found to go on after it was told to stop. */
  overstayedAt = 0
  #reports: RunReports | null = null
  deadline: number
  /** What is done with it: an attempt, or waiting for one. None where the job is only given back. */
  attempt: Pick<Attempt<Run>, 'cancel' | 'drain' | 'release' | 'lose'> | null = null
  /** The attempt is over and its outcome on its way to the store, whose answer to it is the last word. */
  isDecided = false
  /** It is not settled, so that it counts as a stall. */
  isAbandoned = false
  /** What its handler threw, for the log. */
  thrown: Thrown | null = null

  constructor(claim: Claim, deadline: number) {
    this.claim = claim
    this.jobId = claim.jobId
    this.lease = claim.lease
    this.deadline = deadline
  }

  /** Made for the first one: most runs report nothing. */
  get reports(): RunReports {
    this.#reports ??= new RunReports()
    return this.#reports
  }

  get hasReports(): boolean {
    return this.#reports !== null
  }

  cancel(): void {
    this.attempt?.cancel()
  }

  /** A settlement that has arrived also makes the lease stale, and only its own answer tells which it was. */
  stale(): void {
    if (!this.isDecided) this.attempt?.lose()
  }

  expire(): void {
    this.stale()
  }
}

/**
 * Runs what is claimed: the exchange takes claims, each becomes a run with an attempt, a lease that is kept and reports that
 * are sent, and its outcome goes back through the exchange. A run is known here from its claim until the store has answered
 * its settlement; its slot is taken until its handler has really ended.
 */
export class Runner {
  readonly #options: RunnerOptions
  readonly #runs = new Map<string, Run>()
  readonly #host: AttemptHost<Run>
  readonly #slots: Slots
  readonly #hung = new HungRuns()
  /** Claimed, and waiting for a slot. */
  readonly #prefetch: Prefetch<{ readonly run: Run; readonly runnable: Runnable }>
  /** Jobs that claims under way may bring. */
  #expected = 0
  readonly #exchange: Exchange<Run>
  readonly #leases: LeaseKeeper
  readonly #reporter: Reporter
  readonly #statistics = new Statistics()
  readonly #pace = new Pace()
  /** Whether what is claimed is run, and not given back. */
  #isOpen = true
  #whenEmpty: (() => void) | null = null

  constructor(options: RunnerOptions) {
    const { engine, workerId, leaseMs, random, failure, heard } = options
    this.#options = options
    this.#host = {
      cancelGraceMs: options.cancelGraceMs,
      maxResultBytes: options.maxResultBytes,
      random,
      after: options.after,
      emit: (run, event, bytes) => {
        heard?.(run.jobId, event)
        run.reports.buffer.add(event, bytes)
        this.#reporter.wake(run)
        if (event.kind === 'log' && options.events.listenerCount('run.logged') > 0) {
          const { jobId, type } = run.claim
          options.events.emit('run.logged', { jobId, type, ...event.data })
        }
      },
      decided: (run, outcome, thrown) => {
        run.thrown = thrown
        this.#decided(run, outcome)
      },
      ended: (run) => this.#ended(run),
      overstayed: (run, killed) => this.#overstayed(run, killed),
      failure: (error) => failure('running a job', error),
    }
    this.#slots = new Slots(options.concurrency, options.definitions)
    this.#prefetch = new Prefetch({
      slots: options.concurrency,
      giveBack: (waiting) => {
        for (const { run } of waiting) this.#giveBack(run)
      },
    })
    this.#leases = new LeaseKeeper({
      engine,
      leaseMs,
      failure: (error) => failure('extending leases', error),
    })
    this.#reporter = new Reporter({
      engine,
      random,
      failure: (error) => failure('reporting progress', error),
    })
    this.#exchange = new Exchange({
      engine,
      workerId,
      leaseMs,
      room: (ahead) => this.#room(ahead),
      holding: (room) => this.#hold(room, 1),
      answered: (room) => this.#hold(room, -1),
      settled: ({ run, outcome }, verdict) => this.#finish(run, verdict, outcome),
      called: (ms) => this.#prefetch.called(ms),
      random,
      claimed: (claims) => this.#claimed(claims),
      failure,
    })
  }

  start(): void {
    this.#leases.start()
    this.#exchange.wake()
  }

  /** Claims nothing more, gives back what has not begun, and tells the runs that go on that the worker drains. */
  close(): void {
    this.#isOpen = false
    this.#exchange.close()
    this.#prefetch.clear()
    for (const run of this.#runs.values()) run.attempt?.drain()
  }

  /** Tells all that still run to stop, and gives their jobs back. Resolves when the store has answered every settlement. */
  async release(giveBack: GiveBack): Promise<void> {
    const letGo = this.#letGo(giveBack)
    for (const run of this.#runs.values()) run.attempt?.release()
    await this.empty()
    await Promise.all([letGo, this.#exchange.idle()])
  }

  /** Resolves when the store has answered every settlement there is. */
  empty(): Promise<void> {
    if (this.#runs.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#whenEmpty = resolve
    })
  }

  stop(): void {
    this.#leases.stop()
    this.#reporter.stop()
  }

  cancel({ lease }: LeaseRef): void {
    this.#runs.get(lease)?.cancel()
  }

  figures(): Pick<WorkerInfo, 'running' | 'ratePerSecond' | 'waitMs' | 'runMs'> {
    const { ratePerSecond, waitMs, runMs } = this.#statistics
    return { running: this.#slots.running, ratePerSecond, waitMs, runMs }
  }

  hung(): HungSlots {
    const slots = this.#slots.limit
    const types = this.#hung.types().map((one) => ({ ...one, limit: this.#slots.limitOf(one.type) }))
    return { slots, all: this.#hung.size >= slots, types }
  }

  pace(): TypePace[] {
    const running = [...this.#runs.values()].flatMap(({ attempt, isDecided, claim, startedAt }) =>
      attempt instanceof Attempt && !isDecided ? { type: claim.type, startedAt } : [],
    )
    const { free } = this.#slots
    const limit = this.#slots.limit - this.#hung.size
    if (limit === 0) return []
    const limitOf = (type: string) => this.#slots.limitOf(type)
    return this.#pace.describe(running, { limit, free, limitOf }, performance.now())
  }

  /**
   * Slots that are free and that no claim under way will fill, and what to have `ahead` of them. Where two calls are worth
   * it, each claims its share: while the jobs of one run here, the store hands out those of the other.
   */
  #room(ahead: boolean): Room {
    const depth = ahead ? this.#prefetch.depth() : 0
    const all = this.#slots.limit + depth
    const share = all < MOST_CALLS * WORTH_A_CALL ? all : Math.ceil(all / MOST_CALLS)
    const room = this.#slots.free + depth - this.#prefetch.waiting - this.#expected
    return this.#slots.room(Math.min(MAX_CALL_JOBS, share, room))
  }

  #hold(room: Room, times: 1 | -1): void {
    this.#expected += times * room.limit
    for (const { type, limit } of room.types) this.#slots.take(type, times * limit)
  }

  #claimed(claims: readonly Claim[]): void {
    const { events, leaseMs, runnables } = this.#options
    for (const claim of claims) {
      const { jobId, type, attempt, waitMs } = claim
      const run = new Run(claim, claim.leasedAt + leaseMs)
      const runnable = runnables.get(type)
      this.#slots.take(type)
      this.#runs.set(run.lease, run)
      this.#leases.add(run)
      if (!this.#isOpen || runnable === undefined) {
        this.#giveBack(run)
        continue
      }
      const delayMs = this.#hung.size === 0 ? null : this.#hung.delayOf(jobId)
      if (delayMs !== null) {
        this.#giveBack(run, { kind: 'later', delayMs })
        continue
      }
      // First of all the handler: who waits for it gains what the rest takes.
      if (this.#slots.free > 0) this.#begin(run, runnable)
      else this.#wait(run, runnable)
      this.#statistics.claimed(waitMs)
      events.emit('run.claimed', { jobId, type, attempt, waitMs })
    }
  }

  #wait(run: Run, runnable: Runnable): void {
    const giveBack = () => this.#giveBack(run)
    const lose = () => {
      run.isDecided = true
      this.#slots.give(run.claim.type)
      this.#finish(run, null, null)
    }
    run.attempt = { cancel: giveBack, drain: giveBack, release: giveBack, lose }
    this.#prefetch.add({ run, runnable })
  }

  #begin(run: Run, runnable: Runnable): void {
    this.#slots.start()
    run.startedAt = performance.now()
    const attempt = new Attempt(run, runnable, this.#host)
    run.attempt = attempt
    void attempt.run()
  }

  #beginNext(): void {
    for (;;) {
      const next = this.#prefetch.next()
      if (next === undefined) return
      // Cancelled or lost while it waited.
      if (next.run.isDecided) continue
      this.#begin(next.run, next.runnable)
      return
    }
  }

  #decided(run: Run, outcome: Outcome | null): void {
    run.isDecided = true
    const left = this.#reporter.close(run)
    if (outcome === null) this.#finish(run, null, null)
    else if (left instanceof Promise) void left.then((events) => this.#settle(run, outcome, events))
    else this.#settle(run, outcome, left)
  }

  /** The handler has ended: its slot is the next run's. */
  #ended(run: Run): void {
    if (this.#hung.size > 0) this.#returned(run)
    this.#slots.end()
    this.#slots.give(run.claim.type)
    const now = performance.now()
    this.#prefetch.ended(now - run.startedAt)
    this.#pace.ended(run.claim.type, now - run.startedAt, now)
    this.#beginNext()
    this.#exchange.wake()
  }

  /** A handler in a thread is being killed, and frees its slot; any other goes on as long as it likes. */
  #overstayed(run: Run, killed: boolean): void {
    const { events } = this.#options
    const { jobId, type, attempt } = run.claim
    events.emit('run.overstayed', { jobId, type, attempt, killed })
    if (killed) return
    run.overstayedAt = performance.now()
    this.#hung.add(run)
    const { all, slots, types } = this.hung()
    // Of a worker that stops nobody expects that it runs anything.
    if (all && this.#isOpen) events.emit('worker.stuck', { slots, types })
  }

  #returned(run: Run): void {
    const { events } = this.#options
    const { jobId, type, attempt } = run.claim
    const wasStuck = this.hung().all
    if (!this.#hung.remove(run)) return
    events.emit('run.returned', { jobId, type, attempt, lateMs: performance.now() - run.overstayedAt })
    if (wasStuck && this.#isOpen) events.emit('worker.unstuck')
  }

  /** A run that does not start here: nobody wants its job any more, it would wait too long, or beside itself. */
  #giveBack(run: Run, outcome: Outcome = { kind: 'released' }): void {
    if (run.isDecided) return
    run.isDecided = true
    this.#slots.give(run.claim.type)
    this.#settle(run, outcome, NOTHING)
  }

  #settle(run: Run, outcome: Outcome, { events, bytes }: TakenEvents): void {
    const { jobId, lease } = run
    const ofResult = outcome.kind === 'completed' && JsonText.is(outcome.result) ? outcome.result.bytes : 0
    this.#exchange.settle({ jobId, lease, outcome, events, bytes: ofResult + bytes, run })
  }

  /** The last of a run: the store's word on its settlement, or null where it was lost. */
  #finish(run: Run, verdict: SettleVerdict | null, outcome: Outcome | null): void {
    const { events } = this.#options
    const { jobId, type, attempt } = run.claim
    this.#leases.remove(run)
    this.#runs.delete(run.lease)
    if (run.isAbandoned) {
      events.emit('run.abandoned', { jobId, type, attempt })
    } else if (verdict === null || verdict === 'stale') {
      events.emit('run.lost', { jobId, type, attempt })
    } else if (outcome?.kind === 'later' && verdict === 'scheduled') {
      events.emit('run.put_off', { jobId, type, attempt, delayMs: outcome.delayMs })
    } else {
      const runMs = performance.now() - run.startedAt
      const errorCode = outcome !== null && 'errorCode' in outcome ? outcome.errorCode : null
      const error = outcome !== null && 'error' in outcome ? outcome.error : null
      const isCancelled = verdict === 'cancelled'
      this.#statistics.settled(runMs)
      events.emit('run.settled', {
        jobId,
        type,
        attempt,
        status: verdict,
        errorCode: isCancelled ? 'cancelled' : errorCode,
        error: isCancelled ? null : error,
        thrown: isCancelled ? null : run.thrown,
        runMs,
      })
    }
    if (this.#runs.size === 0) this.#whenEmpty?.()
  }

  /** Runs that are to count as stalls are not settled: their leases run out, now where the store can be told. */
  async #letGo(giveBack: GiveBack): Promise<void> {
    const leases: LeaseRef[] = []
    for (const run of [...this.#runs.values()]) {
      const { attempt, isDecided, jobId, lease } = run
      if (isDecided || !(attempt instanceof Attempt)) continue
      if (giveBack === 'unspent' && !attempt.hasSentSignal) continue
      run.isAbandoned = true
      attempt.abandon()
      leases.push({ jobId, lease })
    }
    try {
      for (let at = 0; at < leases.length; at += MAX_CALL_JOBS)
        await this.#options.engine.extend({ leases: leases.slice(at, at + MAX_CALL_JOBS), leaseMs: 1 })
    } catch (error) {
      if (!isOutage(error)) this.#options.failure('letting go of leases', error)
    }
  }
}
