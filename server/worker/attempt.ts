import type { Claim, Outcome } from '../engine/engine.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import { RunAborted, type StopReason } from './aborted.ts'
import type { Emit } from './context.ts'
import type { Execution, Executor } from './executor.ts'
import { afterFailure, checkPayload, checkResult, classifyThrown, type Ending, timedOut } from './steps.ts'

/** How long a run may take to reach its handler (a schema's own work, a thread's start), at the least, in ms. */
const PRELUDE_MS = 30_000

export interface AttemptOptions {
  readonly claim: Claim
  readonly definition: JobDefinition
  readonly executor: Executor
  readonly cancelGraceMs: number
  readonly maxResultBytes: number
  readonly random: () => number
  readonly emit: Emit
  /** The one outcome of this attempt; null where it is not to be settled, since its lease was lost. */
  readonly decided: (outcome: Outcome | null, resultBytes: number) => void
  /** The handler has really ended, and its slot is free. Never before `decided`. */
  readonly ended: () => void
  /** The handler goes on after the outcome was decided without it, or had to be killed. */
  readonly overstayed: (killed: boolean) => void
}

type State =
  /** The steps go on: payload, handler, result. */
  | { readonly is: 'running' }
  /** A cancel was requested and the signal has fired; the handler may end in its own way until the grace is over. */
  | { readonly is: 'cancelling'; readonly grace: NodeJS.Timeout }
  /** The outcome is known. The handler may still be running; what comes of it is discarded. */
  | { readonly is: 'decided' }

/**
 * One attempt of a job: check the payload, run the handler, check the result. Ends in one outcome, decided by
 * whatever comes first: the end of the last step, the timeout, the end of a cancel's grace, or word that the lease
 * was lost or is given back.
 */
export class Attempt {
  readonly #options: AttemptOptions
  #state: State = { is: 'running' }
  #hasEnded = false
  #timer: NodeJS.Timeout | null = null
  readonly #signal = new LazySignal()
  readonly #kill = new LazySignal()

  constructor(options: AttemptOptions) {
    this.#options = options
  }

  /** Never rejects; resolves when the handler has ended. */
  async run(): Promise<void> {
    const { policy } = this.#options.claim
    this.#timer = setTimeout(() => this.#timeOut(), Math.max(policy.timeoutMs, PRELUDE_MS))
    const { outcome, bytes } = await this.#steps()
    this.#decide(outcome, bytes)
    this.#hasEnded = true
    this.#options.ended()
  }

  /** The job is to be cancelled: the handler is told and may still end in its own way. */
  cancel(): void {
    if (this.#state.is !== 'running') return
    const grace = setTimeout(
      () => this.#cutShort({ kind: 'cancelled' }, 'cancelled'),
      this.#options.cancelGraceMs,
    )
    this.#state = { is: 'cancelling', grace }
    this.#signal.abort('cancelled')
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
    const { claim, random } = this.#options
    this.#cutShort(
      this.#isCancelling
        ? { kind: 'cancelled' }
        : afterFailure(claim, timedOut(claim.policy.timeoutMs), random),
      'timeout',
    )
  }

  async #steps(): Promise<{ outcome: Outcome; bytes: number }> {
    const { claim, definition, random, maxResultBytes } = this.#options
    const payload = await checkPayload(definition, claim.payload)
    if (!payload.ok) return { outcome: afterFailure(claim, payload.failure, random), bytes: 0 }
    if (this.#state.is !== 'running') return { outcome: { kind: 'cancelled' }, bytes: 0 }

    const ending = await this.#handle(payload.value)
    this.#stopTimer()
    if (ending.how === 'threw') {
      const cancelled = this.#isCancelling
      const failure = classifyThrown(ending.thrown)
      return { outcome: cancelled ? { kind: 'cancelled' } : afterFailure(claim, failure, random), bytes: 0 }
    }

    const result = await checkResult(definition, ending.value, maxResultBytes)
    if (!result.ok) return { outcome: afterFailure(claim, result.failure, random), bytes: 0 }
    return { outcome: { kind: 'completed', result: result.value }, bytes: result.bytes }
  }

  /** Step 2: the handler, wherever it runs. */
  async #handle(payload: unknown): Promise<Ending> {
    try {
      return { how: 'returned', value: await this.#options.executor.run(payload, this.#execution()) }
    } catch (thrown) {
      return { how: 'threw', thrown }
    }
  }

  #execution(): Execution {
    const { claim, emit } = this.#options
    const [stop, kill] = [this.#signal, this.#kill]
    return {
      jobId: claim.jobId,
      type: claim.type,
      attempt: claim.attempt,
      get signal() {
        return stop.signal
      },
      get killed() {
        return kill.signal
      },
      emit: (event, bytes) => {
        if (this.#state.is !== 'decided') emit(event, bytes)
      },
      started: () => {
        this.#stopTimer()
        if (this.#state.is === 'decided') return
        this.#timer = setTimeout(() => this.#timeOut(), claim.policy.timeoutMs)
      },
    }
  }

  /** Decides without the handler, which is told to stop or killed. */
  #cutShort(outcome: Outcome | null, reason: StopReason): void {
    if (this.#state.is === 'decided') return
    this.#decide(outcome, 0)
    this.#signal.abort(reason)
    this.#kill.abort(reason)
    if (this.#hasEnded) return
    if (this.#options.executor.kills) this.#options.overstayed(true)
    // A handler that heeds its signal ends in this very tick.
    else setImmediate(() => this.#hasEnded || this.#options.overstayed(false))
  }

  #decide(outcome: Outcome | null, bytes: number): void {
    if (this.#state.is === 'decided') return
    if (this.#state.is === 'cancelling') clearTimeout(this.#state.grace)
    this.#stopTimer()
    this.#state = { is: 'decided' }
    this.#options.decided(outcome, bytes)
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}

/** Most handlers never look at their signal, so it is made when one does. */
class LazySignal {
  #controller: AbortController | null = null
  #aborted: RunAborted | null = null

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#aborted !== null) this.#controller.abort(this.#aborted)
    return this.#controller.signal
  }

  /** The first reason counts. */
  abort(reason: StopReason): void {
    if (this.#aborted !== null) return
    this.#aborted = new RunAborted(reason)
    this.#controller?.abort(this.#aborted)
  }
}
