import type { Claim, Json, Outcome, RunEvent } from '../engine/engine.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import type { Thrown } from '../thrown.ts'
import { type AbortReason, RunAborted, type StopReason } from './aborted.ts'
import type { Execution, Executor } from './executor.ts'
import { afterFailure, checkPayload, checkResult, classifyThrown, type Failure, timedOut } from './steps.ts'

/** How long a run may take to reach its handler (a schema's own work, a thread's start), at the least, in ms. */
const PRELUDE_MS = 30_000

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
  readonly emit: (run: Run, event: RunEvent, bytes: number) => void
  /**
   * The one outcome of this attempt; null where it is not to be settled, since its lease was lost. `thrown` is why it
   * failed, where something was thrown.
   */
  readonly decided: (run: Run, outcome: Outcome | null, resultBytes: number, thrown: Thrown | null) => void
  /** The handler has really ended, and its slot is free. Never before `decided`. */
  readonly ended: (run: Run) => void
  /** The handler goes on after the outcome was decided without it, or had to be killed. */
  readonly overstayed: (run: Run, killed: boolean) => void
}

type State =
  /** The steps go on: payload, handler, result. */
  | { readonly is: 'running' }
  /** A cancel was requested and the signal has fired; the handler may end in its own way until the grace is over. */
  | { readonly is: 'cancelling'; readonly grace: NodeJS.Timeout }
  /** The outcome is known. The handler may still be running; what comes of it is discarded. */
  | { readonly is: 'decided' }

const RUNNING: State = { is: 'running' }
const DECIDED: State = { is: 'decided' }

/**
 * One attempt of a job: check the payload, run the handler, check the result. Ends in one outcome, decided by
 * whatever comes first: the end of the last step, the timeout, the end of a cancel's grace, or word that the lease
 * was lost or is given back. It is also what the executor is given to run the handler with.
 */
export class Attempt<Run extends { readonly claim: Claim }> implements Execution {
  readonly #run: Run
  readonly #runnable: Runnable
  readonly #host: AttemptHost<Run>
  #state: State = RUNNING
  #hasEnded = false
  #timer: NodeJS.Timeout | null = null
  #signal: LazySignal | null = null
  #draining: LazySignal | null = null
  #kill: LazySignal | null = null

  constructor(run: Run, runnable: Runnable, host: AttemptHost<Run>) {
    this.#run = run
    this.#runnable = runnable
    this.#host = host
  }

  get jobId(): string {
    return this.#run.claim.jobId
  }

  get type(): string {
    return this.#run.claim.type
  }

  get attempt(): number {
    return this.#run.claim.attempt
  }

  get submitted(): Json {
    return this.#run.claim.payload
  }

  get signal(): AbortSignal {
    this.#signal ??= new LazySignal()
    return this.#signal.signal
  }

  get draining(): AbortSignal {
    this.#draining ??= new LazySignal()
    return this.#draining.signal
  }

  get killed(): AbortSignal {
    this.#kill ??= new LazySignal()
    return this.#kill.signal
  }

  /** Never rejects; resolves when the handler has ended. */
  async run(): Promise<void> {
    const { timeoutMs } = this.#run.claim.policy
    this.#timer = setTimeout(() => this.#timeOut(), Math.max(timeoutMs, PRELUDE_MS))
    const { definition, executor } = this.#runnable
    // Awaited only where there is something to wait for: runs are many, and most are short.
    const checked = checkPayload(definition, this.#run.claim.payload)
    const payload = checked instanceof Promise ? await checked : checked
    if (!payload.ok) return this.#fail(payload.failure)
    if (this.#state.is !== 'running') return this.#end({ kind: 'cancelled' })

    let returned: unknown
    try {
      returned = await executor.run(payload.value, this)
    } catch (thrown) {
      this.#stopTimer()
      if (this.#isCancelling) return this.#end({ kind: 'cancelled' })
      return this.#fail(classifyThrown(thrown))
    }
    this.#stopTimer()

    const checking = checkResult(definition, returned, this.#host.maxResultBytes)
    const result = checking instanceof Promise ? await checking : checking
    if (!result.ok) return this.#fail(result.failure)
    this.#end({ kind: 'completed', result: result.value }, result.bytes)
  }

  emit(event: RunEvent, bytes: number): void {
    if (this.#state.is !== 'decided') this.#host.emit(this.#run, event, bytes)
  }

  started(): void {
    if (this.#state.is === 'decided') return
    const { timeoutMs } = this.#run.claim.policy
    if (this.#timer !== null && timeoutMs >= PRELUDE_MS) {
      this.#timer.refresh()
      return
    }
    this.#stopTimer()
    this.#timer = setTimeout(() => this.#timeOut(), timeoutMs)
  }

  /** The job is to be cancelled: the handler is told and may still end in its own way. */
  cancel(): void {
    if (this.#state.is !== 'running') return
    const grace = setTimeout(
      () => this.#cutShort({ kind: 'cancelled' }, 'cancelled'),
      this.#host.cancelGraceMs,
    )
    this.#state = { is: 'cancelling', grace }
    this.#abort('cancelled')
  }

  /** The worker is about to stop: the handler is told, and what it reports and returns from now on counts as before. */
  drain(): void {
    if (this.#state.is === 'decided') return
    this.#draining ??= new LazySignal()
    this.#draining.abort('draining')
  }

  /** The worker stops: the job goes back to its queue. */
  release(): void {
    this.#cutShort({ kind: 'released' }, 'released')
  }

  /** The lease is gone: nothing that this run does counts any more. */
  lose(): void {
    this.#cutShort(null, 'lost')
  }

  get #isCancelling(): boolean {
    return this.#state.is === 'cancelling'
  }

  #timeOut(): void {
    const { claim } = this.#run
    this.#cutShort(
      this.#isCancelling
        ? { kind: 'cancelled' }
        : afterFailure(claim, timedOut(claim.policy.timeoutMs), this.#host.random),
      'timeout',
    )
  }

  #fail(failure: Failure): void {
    this.#end(afterFailure(this.#run.claim, failure, this.#host.random), 0, failure.thrown)
  }

  /** The handler has ended; its outcome counts unless another one was decided before. */
  #end(outcome: Outcome, bytes = 0, thrown: Thrown | null = null): void {
    this.#decide(outcome, bytes, thrown)
    this.#hasEnded = true
    this.#host.ended(this.#run)
  }

  /** Decides without the handler, which is told to stop or killed. */
  #cutShort(outcome: Outcome | null, reason: StopReason): void {
    if (this.#state.is === 'decided') return
    this.#decide(outcome)
    this.#abort(reason)
    this.#kill ??= new LazySignal()
    this.#kill.abort(reason)
    if (this.#hasEnded) return
    if (this.#runnable.executor.kills) this.#host.overstayed(this.#run, true)
    // A handler that heeds its signal ends in this very tick.
    else setImmediate(() => this.#hasEnded || this.#host.overstayed(this.#run, false))
  }

  #abort(reason: StopReason): void {
    this.#signal ??= new LazySignal()
    this.#signal.abort(reason)
  }

  #decide(outcome: Outcome | null, bytes = 0, thrown: Thrown | null = null): void {
    if (this.#state.is === 'decided') return
    if (this.#state.is === 'cancelling') clearTimeout(this.#state.grace)
    this.#stopTimer()
    this.#state = DECIDED
    this.#host.decided(this.#run, outcome, bytes, thrown)
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}

/** Most handlers never look at their signals, so each is made when one does. */
class LazySignal {
  #controller: AbortController | null = null
  #aborted: RunAborted | null = null

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#aborted !== null) this.#controller.abort(this.#aborted)
    return this.#controller.signal
  }

  /** The first reason counts. */
  abort(reason: AbortReason): void {
    if (this.#aborted !== null) return
    this.#aborted = new RunAborted(reason)
    this.#controller?.abort(this.#aborted)
  }
}
