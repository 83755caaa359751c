import { setImmediate } from 'node:timers'
import { JOB } from '../../shared/job.ts'
import { POLICY } from '../../shared/options.ts'
import { namesOf, pick, withMark } from '../../shared/table.ts'
import type { Claim, Json, Outcome, RunEvent } from '../engine/engine.ts'
import type { JobDefinition, ToldOfJob } from '../jobs/define-job.ts'
import type { Thrown } from '../thrown.ts'
import { type AbortReason, isAbort, RunAborted, type StopReason } from './context.ts'
import { type Execution, type Executor, inScope, outOfScope, RunScope, type ScopeOwner } from './execution.ts'
import {
  type AttemptStep,
  afterFailure,
  checkPayload,
  checkResult,
  classifyThrown,
  classifyUncaught,
  type Failure,
  tookTooLong,
} from './steps.ts'

/** What a payload's schema has to answer, and what a thread has to start, in ms. */
const SCHEMA_MS = 10_000
const START_MS = 30_000

/** Calls once so many ms are over, unless what it returns is called before. */
export type After = (ms: number, call: () => void) => () => void

/** By the machine's clock. */
export const after: After = (ms, call) => {
  const timer = setTimeout(call, ms)
  return () => clearTimeout(timer)
}

/** A job type as a worker runs it. */
export interface Runnable {
  readonly definition: JobDefinition
  readonly executor: Executor
}

/** What all attempts of a worker share: its rules, and who is told of what becomes of a run. */
export interface AttemptHost<Run> {
  readonly cancelGraceMs: number
  readonly maxResultBytes: number
  readonly random: () => number
  /** Of timeouts, and of what a cancel leaves. */
  readonly after: After
  readonly emit: (run: Run, event: RunEvent, bytes: number) => void
  /**
   * The one outcome of this attempt; null where it is not to be settled, since its lease was lost. `thrown` is why it
   * failed, where something was thrown.
   */
  readonly decided: (run: Run, outcome: Outcome | null, thrown: Thrown | null) => void
  /** The handler has really ended, and its slot is free. Never before `decided`. */
  readonly ended: (run: Run) => void
  /** The handler goes on after the outcome was decided without it, or had to be killed. */
  readonly overstayed: (run: Run, killed: boolean) => void
  /** Something here failed that should not be able to; the run has ended all the same. */
  readonly failure: (error: unknown) => void
}

type State =
  /** The steps go on: payload, handler, result. */
  | { readonly is: 'running' }
  /** A cancel was requested and the signal has fired; the handler may end in its own way until the grace is over. */
  | { readonly is: 'cancelling'; readonly endGrace: () => void }
  /** The outcome is known. The handler may still be running; what comes of it is discarded. */
  | { readonly is: 'decided' }

const TOLD = { inContext: true } as const
const FIELDS = namesOf(withMark(JOB, TOLD))
const OPTIONS = namesOf(withMark(POLICY, TOLD))

/** What a handler is told of its job, as the tables of fields and options say. */
export function toldOf(claim: Claim): ToldOfJob {
  return Object.assign(pick(claim, FIELDS), pick(claim.policy, OPTIONS))
}

const CANCELLED: Outcome = { kind: 'cancelled' }
const RUNNING: State = { is: 'running' }
const DECIDED: State = { is: 'decided' }

/**
 * One attempt of a job: check the payload, run the handler, check the result. Ends in one outcome, decided by
 * whatever comes first: the end of the last step, the timeout, the end of a cancel's grace, or word that the lease
 * was lost or is given back. It is also what the executor is given to run the handler with.
 */
export class Attempt<Run extends { readonly claim: Claim }> implements Execution, ScopeOwner {
  readonly scope: RunScope
  readonly #run: Run
  readonly #runnable: Runnable
  readonly #host: AttemptHost<Run>
  #state: State = RUNNING
  #step: AttemptStep | 'ended' = 'payload'
  #stopTimer: (() => void) | null = null
  #signal: LazySignal | null = null
  #draining: LazySignal | null = null
  #kill: LazySignal | null = null
  #hasSentSignal = false
  /** Of the handler, on `performance.now()`. */
  #startedAt = 0

  constructor(run: Run, runnable: Runnable, host: AttemptHost<Run>) {
    this.#run = run
    this.#runnable = runnable
    this.#host = host
    this.scope = new RunScope(run.claim, this)
  }

  get told(): ToldOfJob {
    return toldOf(this.#run.claim)
  }

  get submitted(): Json {
    return this.#run.claim.payload
  }

  get signal(): AbortSignal {
    this.#signal ??= new LazySignal(this.scope)
    return this.#signal.signal
  }

  get draining(): AbortSignal {
    this.#draining ??= new LazySignal(this.scope)
    return this.#draining.signal
  }

  get killed(): AbortSignal {
    this.#kill ??= new LazySignal(this.scope)
    return this.#kill.signal
  }

  /** Never rejects, whatever the handler or a schema threw or returned; resolves when they have ended. */
  async run(): Promise<void> {
    try {
      const { executor } = this.#runnable
      // Awaited only where there is something to wait for: runs are many, and most are short.
      const checked = this.#checkPayload()
      if (checked instanceof Promise) this.#timeOutIn(SCHEMA_MS)
      const payload = checked instanceof Promise ? await checked : checked
      if (!payload.ok) return this.#fail(payload.failure)
      if (this.#state.is !== 'running') return this.#end(CANCELLED)

      this.#step = 'start'
      if (executor.kills) this.#timeOutIn(START_MS)
      let returned: unknown
      try {
        returned = await executor.run(payload.value, this)
      } catch (thrown) {
        if (this.#isCancelling) return this.#end(CANCELLED)
        return this.#fail(classifyThrown(thrown))
      }
      if (this.#isDecided) return this.#end(CANCELLED)

      this.#step = 'result'
      const checking = this.#checkResult(returned)
      const result = checking instanceof Promise ? await checking : checking
      if (!result.ok) return this.#fail(result.failure)
      this.#end({ kind: 'completed', result: result.value })
    } catch (error) {
      this.#host.failure(error)
      this.#fail(classifyThrown(error))
    }
  }

  emit(event: RunEvent, bytes: number): void {
    if (this.#state.is !== 'decided') outOfScope(() => this.#host.emit(this.#run, event, bytes))
  }

  started(): void {
    if (this.#step === 'ended') return
    this.#step = 'handler'
    this.#endTimer()
    this.#startedAt = performance.now()
    afterThisTurn(this)
  }

  /** Lets the handler's time run out, in a later turn than the one in which it began. */
  watch(): void {
    if (this.#step === 'ended') return
    const { timeoutMs } = this.#run.claim.policy
    this.#timeOutIn(timeoutMs, Math.max(0, this.#startedAt + timeoutMs - performance.now()))
  }

  /**
   * What the handler left to a timer, a socket, an emitter or a forgotten promise has thrown, which would end a process
   * of its own: so it ends the run, whose handler most likely waits for what will never be. What it may still be doing
   * is told to stop. False where the run's outcome is another one.
   */
  uncaught(error: unknown): boolean {
    if (this.#step === 'ended') return false
    const counts = this.#state.is === 'running'
    // The signal itself has come to a promise that nobody waits for.
    if (!counts && isAbort(error)) return false
    const failure = classifyUncaught(error)
    const outcome = counts ? afterFailure(this.#run.claim, failure, this.#host.random) : CANCELLED
    // A thread goes on, whatever the schema that runs here has left behind: it is killed.
    if (this.#runnable.executor.kills) {
      this.#cutShort(outcome, counts ? 'uncaught' : 'cancelled', failure.thrown)
    } else {
      if (counts) this.#abort('uncaught')
      this.#end(outcome, failure.thrown)
    }
    return counts
  }

  endsProcess(): void {
    this.#hasSentSignal = true
  }

  /** The job is to be cancelled: the handler is told and may still end in its own way. */
  cancel(): void {
    if (this.#state.is !== 'running') return
    const { after, cancelGraceMs } = this.#host
    const endGrace = after(cancelGraceMs, () => this.#cutShort(CANCELLED, 'cancelled'))
    this.#state = { is: 'cancelling', endGrace }
    this.#abort('cancelled')
  }

  /** The worker is about to stop: the handler is told, and what it reports and returns from now on counts as before. */
  drain(): void {
    if (this.#state.is === 'decided') return
    this.#draining ??= new LazySignal(this.scope)
    this.#draining.abort('draining')
  }

  /** The worker stops: the job goes back to its queue. */
  release(): void {
    this.#cutShort({ kind: 'released' }, 'released')
  }

  /** The worker stops, and leaves the job to whoever takes back what stalled. */
  abandon(): void {
    this.#cutShort(null, 'released')
  }

  /** The lease is gone: nothing that this run does counts any more. */
  lose(): void {
    this.#cutShort(null, 'lost')
  }

  /** Whether it is this run's doing that the process stops. */
  get hasSentSignal(): boolean {
    return this.#hasSentSignal
  }

  get #hasEnded(): boolean {
    return this.#step === 'ended'
  }

  get #isCancelling(): boolean {
    return this.#state.is === 'cancelling'
  }

  get #isDecided(): boolean {
    return this.#state.is === 'decided'
  }

  #checkPayload(): ReturnType<typeof checkPayload> {
    const { definition } = this.#runnable
    const { payload } = this.#run.claim
    if (definition.payload === undefined) return checkPayload(definition, payload)
    return inScope(this.scope, () => checkPayload(definition, payload))
  }

  #checkResult(returned: unknown): ReturnType<typeof checkResult> {
    const { definition } = this.#runnable
    const { maxResultBytes } = this.#host
    if (definition.result === undefined) return checkResult(definition, returned, maxResultBytes)
    return inScope(this.scope, () => checkResult(definition, returned, maxResultBytes))
  }

  #timeOut(ms: number): void {
    const { claim } = this.#run
    if (this.#step === 'ended') return
    this.#cutShort(
      this.#isCancelling ? CANCELLED : afterFailure(claim, tookTooLong(this.#step, ms), this.#host.random),
      'timeout',
    )
  }

  #fail(failure: Failure): void {
    this.#end(afterFailure(this.#run.claim, failure, this.#host.random), failure.thrown)
  }

  /** The handler has ended; its outcome counts unless another one was decided before. */
  #end(outcome: Outcome, thrown: Thrown | null = null): void {
    if (this.#step === 'ended') return
    this.#step = 'ended'
    this.scope.close()
    try {
      this.#decide(outcome, thrown)
    } finally {
      this.#host.ended(this.#run)
    }
  }

  /** Decides without the handler, which is told to stop or killed. */
  #cutShort(outcome: Outcome | null, reason: StopReason, thrown: Thrown | null = null): void {
    if (this.#state.is === 'decided') return
    this.#decide(outcome, thrown)
    this.#abort(reason)
    this.#kill ??= new LazySignal(this.scope)
    this.#kill.abort(reason)
    if (this.#step === 'ended') return
    // A schema that never answers holds nothing.
    if (this.#step === 'payload' || this.#step === 'result') this.#end(CANCELLED)
    else if (this.#runnable.executor.kills) this.#host.overstayed(this.#run, true)
    // A handler that heeds its signal ends in this very tick.
    else setImmediate(() => this.#hasEnded || this.#host.overstayed(this.#run, false))
  }

  #abort(reason: StopReason): void {
    this.#signal ??= new LazySignal(this.scope)
    this.#signal.abort(reason)
  }

  #decide(outcome: Outcome | null, thrown: Thrown | null): void {
    if (this.#state.is === 'decided') return
    if (this.#state.is === 'cancelling') this.#state.endGrace()
    this.#endTimer()
    this.#state = DECIDED
    this.#host.decided(this.#run, outcome, thrown)
  }

  /** `inMs`: where some of it is over already. */
  #timeOutIn(ms: number, inMs = ms): void {
    this.#endTimer()
    if (this.#state.is !== 'decided') this.#stopTimer = this.#host.after(inMs, () => this.#timeOut(ms))
  }

  #endTimer(): void {
    this.#stopTimer?.()
    this.#stopTimer = null
  }
}

interface Watched {
  watch(): void
}

let begun: Watched[] = []

/** Most handlers end in the turn of the event loop in which they begin, and need no timer. */
function afterThisTurn(attempt: Watched): void {
  if (begun.push(attempt) > 1) return
  setImmediate(() => {
    const attempts = begun
    begun = []
    for (const one of attempts) one.watch()
  })
}

/** Most handlers never look at their signals, so each is made when one does. */
class LazySignal {
  readonly #scope: RunScope
  #controller: AbortController | null = null
  #aborted: RunAborted | null = null

  constructor(scope: RunScope) {
    this.#scope = scope
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#aborted !== null) this.#controller.abort(this.#aborted)
    return this.#controller.signal
  }

  /** The first reason counts. What listeners throw is the run's. */
  abort(reason: AbortReason): void {
    if (this.#aborted !== null) return
    const aborted = new RunAborted(reason)
    this.#aborted = aborted
    inScope(this.#scope, () => this.#controller?.abort(aborted))
  }
}
