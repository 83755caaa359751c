import { hostname } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import type { WorkerInfo } from '../../shared/api.ts'
import type { TypePace } from '../../shared/pace.ts'
import {
  type Claim,
  type Engine,
  JsonText,
  type LeaseRef,
  MAX_CALL_JOBS,
  type Outcome,
  type SettleVerdict,
  type Unsubscribe,
} from '../engine/engine.ts'
import { isOutage, Unavailable } from '../engine/errors.ts'
import type { Events } from '../events.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import { Attempt, type AttemptHost, type Runnable } from './attempt.ts'
import { StoreBackoff } from './backoff.ts'
import { Exchange, MAX_CALLS, WORTH_A_CALL } from './exchange.ts'
import { type Executor, inProcess } from './execution.ts'
import { HungRuns, type HungSlots } from './hung.ts'
import { ThreadExecutors } from './isolate.ts'
import { LeaseKeeper } from './lease.ts'
import { Pace } from './pace.ts'
import { Prefetch } from './prefetch.ts'
import { NOTHING, Reporter, type TakenEvents } from './reports.ts'
import { Run } from './run.ts'
import { type Room, Slots } from './slots.ts'
import { Statistics } from './statistics.ts'

export interface WorkerOptions {
  readonly engine: Engine
  readonly definitions: readonly JobDefinition[]
  readonly events: Events
  /** Names this worker among all that share the store. */
  readonly workerId: string
  /** Runs at once. */
  readonly concurrency: number
  readonly leaseMs: number
  /** What a cancelled handler gets to stop, in ms. */
  readonly cancelGraceMs: number
  /** Of a result, in bytes of JSON. */
  readonly maxResultBytes: number
  /** JavaScript heap of a thread, in MiB; 512 where left out. */
  readonly threadHeapMb?: number
  /** The module that the definitions are from, where threads can load it too. */
  readonly jobsModule?: URL | null
  /** For jitter: 0 up to 1. */
  readonly random?: () => number
}

export interface Worker {
  /** Starts to claim; also while the store is away, which it then waits for. */
  start(): Promise<void>
  /**
   * Claims nothing more. Running jobs are told (`ctx.draining`) and get `timeoutMs` to end; those that do not are told
   * so through their signal and given back. Resolves when every outcome is with the store, or its lease is over.
   */
  drain(timeoutMs: number, giveBack?: GiveBack): Promise<void>
  /** Ends everything; a worker that was not drained gives its jobs back at once. It cannot be started again. */
  stop(): Promise<void>
  info(): WorkerInfo
  /** What of its slots is held by handlers that go on after they were told to stop. */
  hung(): HungSlots
  /** How fast it runs what it ran lately. */
  pace(): TypePace[]
}

/**
 * How jobs go back: as if they had not run, or as a stall, where one of them may be why the process ends. A run that sent
 * its own process a signal is always a stall: its job would end every process in turn.
 */
export type GiveBack = 'unspent' | 'stalled'

export function createWorker(options: WorkerOptions): Worker {
  return new JobWorker(options)
}

type State =
  | { readonly is: 'new' }
  | { readonly is: 'running' }
  /** No new claims; what runs may end until its time is over. */
  | { readonly is: 'draining'; readonly drained: Promise<void> }
  | { readonly is: 'stopped'; readonly stopped: Promise<void> }

/**
 * Brings the parts together: the exchange takes claims, each becomes a run with an attempt, a lease that is kept and
 * reports that are sent, and its outcome goes back through the exchange. A run is known here from its claim until the
 * store has answered its settlement; its slot is taken until its handler has really ended.
 */
class JobWorker implements Worker {
  readonly #options: WorkerOptions
  readonly #random: () => number
  readonly #startedAt = new Date().toISOString()
  readonly #runnables: ReadonlyMap<string, Runnable>
  readonly #runs = new Map<string, Run>()
  readonly #host: AttemptHost<Run>
  readonly #slots: Slots
  readonly #hung = new HungRuns()
  /** Claimed, and waiting for a slot. */
  readonly #prefetch: Prefetch<{ readonly run: Run; readonly runnable: Runnable }>
  /** Jobs that claims under way may bring. */
  #expected = 0
  readonly #threads: ThreadExecutors
  readonly #exchange: Exchange<Run>
  readonly #leases: LeaseKeeper
  readonly #reporter: Reporter
  readonly #statistics = new Statistics()
  readonly #pace = new Pace()
  readonly #stopping = new AbortController()
  #state: State = { is: 'new' }
  #unsubscribe: Unsubscribe | null = null
  #whenEmpty: (() => void) | null = null

  constructor(options: WorkerOptions) {
    const { engine, definitions, workerId, concurrency, leaseMs, random = Math.random } = options
    this.#options = options
    this.#random = random
    this.#host = {
      cancelGraceMs: options.cancelGraceMs,
      maxResultBytes: options.maxResultBytes,
      random,
      emit: (run, event, bytes) => {
        run.reports.buffer.add(event, bytes)
        this.#reporter.wake(run)
      },
      decided: (run, outcome, thrown) => {
        run.thrown = thrown
        this.#decided(run, outcome)
      },
      ended: (run) => this.#ended(run),
      overstayed: (run, killed) => this.#overstayed(run, killed),
      failure: (error) => this.#fail('running a job', error),
    }
    this.#slots = new Slots(concurrency, definitions)
    this.#prefetch = new Prefetch({
      slots: concurrency,
      giveBack: (waiting) => {
        for (const { run } of waiting) this.#giveBack(run)
      },
    })
    this.#threads = new ThreadExecutors({
      maxThreads: concurrency,
      heapMb: options.threadHeapMb ?? 512,
      jobsModule: options.jobsModule ?? null,
      failure: (where, error) => this.#fail(where, error),
    })
    this.#runnables = new Map(
      definitions.map((definition) => [
        definition.type,
        { definition, executor: this.#executorOf(definition) },
      ]),
    )
    this.#leases = new LeaseKeeper({
      engine,
      leaseMs,
      failure: (error) => this.#fail('extending leases', error),
    })
    this.#reporter = new Reporter({
      engine,
      random,
      failure: (error) => this.#fail('reporting progress', error),
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
      failure: (where, error) => this.#fail(where, error),
    })
  }

  async start(): Promise<void> {
    if (this.#state.is !== 'new') return
    this.#state = { is: 'running' }
    this.#leases.start()
    this.#exchange.wake()
    void this.#listenForCancels()
  }

  drain(timeoutMs: number, giveBack: GiveBack = 'unspent'): Promise<void> {
    if (this.#state.is === 'new') return Promise.resolve()
    if (this.#state.is === 'running')
      this.#state = { is: 'draining', drained: this.#drain(timeoutMs, giveBack) }
    return this.#state.is === 'draining' ? this.#state.drained : this.#state.stopped
  }

  stop(): Promise<void> {
    if (this.#state.is !== 'stopped') this.#state = { is: 'stopped', stopped: this.#stop() }
    return this.#state.stopped
  }

  info(): WorkerInfo {
    const { workerId, concurrency, definitions } = this.#options
    return {
      id: workerId,
      host: hostname(),
      pid: process.pid,
      startedAt: this.#startedAt,
      types: definitions.map(({ type }) => type),
      concurrency,
      running: this.#slots.running,
      ratePerSecond: this.#statistics.ratePerSecond,
      waitMs: this.#statistics.waitMs,
      runMs: this.#statistics.runMs,
    }
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

  async #drain(timeoutMs: number, giveBack: GiveBack): Promise<void> {
    this.#exchange.close()
    this.#prefetch.clear()
    for (const run of this.#runs.values()) run.attempt?.drain()
    if (timeoutMs > 0) await this.#emptyWithin(timeoutMs)
    const letGo = this.#letGo(giveBack)
    for (const run of this.#runs.values()) run.attempt?.release()
    await this.#empty()
    await Promise.all([letGo, this.#exchange.idle()])
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
      if (!isOutage(error)) this.#fail('letting go of leases', error)
    }
  }

  async #stop(): Promise<void> {
    this.#stopping.abort()
    await this.drain(0)
    this.#unsubscribe?.()
    this.#leases.stop()
    this.#reporter.stop()
    await this.#threads.close()
  }

  /** Resolves when the store has answered every settlement. */
  #empty(): Promise<void> {
    if (this.#runs.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#whenEmpty = resolve
    })
  }

  async #emptyWithin(timeoutMs: number): Promise<void> {
    const enough = new AbortController()
    const signal = AbortSignal.any([enough.signal, this.#stopping.signal])
    const timer = pause(timeoutMs, undefined, { signal }).catch(() => {})
    await Promise.race([this.#empty(), timer])
    enough.abort()
  }

  #claimed(claims: readonly Claim[]): void {
    const { events, leaseMs } = this.#options
    for (const claim of claims) {
      const { jobId, type, attempt, waitMs } = claim
      const run = new Run(claim, claim.leasedAt + leaseMs)
      const runnable = this.#runnables.get(type)
      this.#slots.take(type)
      this.#runs.set(run.lease, run)
      this.#leases.add(run)
      if (this.#state.is !== 'running' || runnable === undefined) {
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

  /**
   * Slots that are free and that no claim under way will fill, and what to have `ahead` of them. Where two calls are worth
   * it, each claims its share: while the jobs of one run here, the store hands out those of the other.
   */
  #room(ahead: boolean): Room {
    const depth = ahead ? this.#prefetch.depth() : 0
    const all = this.#slots.limit + depth
    const share = all < MAX_CALLS * WORTH_A_CALL ? all : Math.ceil(all / MAX_CALLS)
    const room = this.#slots.free + depth - this.#prefetch.waiting - this.#expected
    return this.#slots.room(Math.min(MAX_CALL_JOBS, share, room))
  }

  #hold(room: Room, times: 1 | -1): void {
    this.#expected += times * room.limit
    for (const { type, limit } of room.types) this.#slots.take(type, times * limit)
  }

  #begin(run: Run, runnable: Runnable): void {
    this.#slots.start()
    run.startedAt = performance.now()
    const attempt = new Attempt(run, runnable, this.#host)
    run.attempt = attempt
    void attempt.run()
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
    if (all && this.#state.is === 'running') events.emit('worker.stuck', { slots, types })
  }

  #returned(run: Run): void {
    const { events } = this.#options
    const { jobId, type, attempt } = run.claim
    const wasStuck = this.hung().all
    if (!this.#hung.remove(run)) return
    events.emit('run.returned', { jobId, type, attempt, lateMs: performance.now() - run.overstayedAt })
    if (wasStuck && this.#state.is === 'running') events.emit('worker.unstuck')
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

  /** A run that does not start here: nobody wants its job any more, it would wait too long, or beside itself. */
  #giveBack(run: Run, outcome: Outcome = { kind: 'released' }): void {
    if (run.isDecided) return
    run.isDecided = true
    this.#slots.give(run.claim.type)
    this.#settle(run, outcome, NOTHING)
  }

  #decided(run: Run, outcome: Outcome | null): void {
    run.isDecided = true
    const left = this.#reporter.close(run)
    if (outcome === null) this.#finish(run, null, null)
    else if (left instanceof Promise) void left.then((events) => this.#settle(run, outcome, events))
    else this.#settle(run, outcome, left)
  }

  #settle(run: Run, outcome: Outcome, { events, bytes }: TakenEvents): void {
    const { jobId, lease } = run
    const of = outcome.kind === 'completed' && JsonText.is(outcome.result) ? outcome.result.bytes : 0
    this.#exchange.settle({ jobId, lease, outcome, events, bytes: of + bytes, run })
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
      this.#statistics.settled(runMs)
      events.emit('run.settled', {
        jobId,
        type,
        attempt,
        status: verdict,
        errorCode: verdict === 'cancelled' ? 'cancelled' : errorCode,
        error: verdict === 'cancelled' ? null : error,
        thrown: verdict === 'cancelled' ? null : run.thrown,
        runMs,
      })
    }
    if (this.#runs.size === 0) this.#whenEmpty?.()
  }

  /** Cancels come through here at once; where they do not, the next extension of the lease brings them. */
  async #listenForCancels(): Promise<void> {
    const { engine, workerId } = this.#options
    const backoff = new StoreBackoff(this.#random)
    const { signal } = this.#stopping
    const cancel = ({ lease }: LeaseRef) => this.#runs.get(lease)?.cancel()
    while (!signal.aborted) {
      try {
        const unsubscribe = await engine.onCancel(workerId, cancel)
        if (signal.aborted) unsubscribe()
        else this.#unsubscribe = unsubscribe
        return
      } catch (error) {
        if (!(error instanceof Unavailable)) this.#fail('listening for cancels', error)
        await pause(backoff.next(), undefined, { signal }).catch(() => {})
      }
    }
  }

  #executorOf(definition: JobDefinition): Executor {
    const { type, run, isolate } = definition
    if (isolate !== undefined) return this.#threads.executor(definition, isolate)
    if (run === undefined) throw new TypeError(`job type "${type}" has neither run nor isolate`)
    return inProcess((payload, context) => run.call(definition, payload, context))
  }

  #fail(where: string, error: unknown): void {
    this.#options.events.emit('failure', { where, error })
  }
}
