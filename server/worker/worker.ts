import { hostname } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import type { WorkerInfo } from '../../shared/api.ts'
import type { TypePace } from '../../shared/pace.ts'
import type { Engine, LeaseRef, RunEvent, Unsubscribe } from '../engine/engine.ts'
import { Unavailable } from '../engine/errors.ts'
import type { Events } from '../events.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import { type After, after } from './attempt.ts'
import { StoreBackoff } from './backoff.ts'
import { type Executor, inProcess } from './execution.ts'
import type { HungSlots } from './hung.ts'
import { ThreadExecutors } from './isolate.ts'
import { type GiveBack, Runner } from './runner.ts'

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
  /** For jitter: 0 up to 1. */
  readonly random?: () => number
  /** By the machine's clock where it is left out. */
  readonly after?: After
  /** Hears all that handlers report, before any of it is merged. */
  readonly heard?: (jobId: string, event: RunEvent) => void
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

export function createWorker(options: WorkerOptions): Worker {
  return new JobWorker(options)
}

type State =
  | { readonly is: 'new' }
  | { readonly is: 'running' }
  /** No new claims; what runs may end until its time is over. */
  | { readonly is: 'draining'; readonly drained: Promise<void> }
  | { readonly is: 'stopped'; readonly stopped: Promise<void> }

/** A worker from its start to its end; what it claims and runs meanwhile is the runner's. */
class JobWorker implements Worker {
  readonly #options: WorkerOptions
  readonly #random: () => number
  readonly #startedAt = new Date().toISOString()
  readonly #threads: ThreadExecutors
  readonly #runner: Runner
  readonly #stopping = new AbortController()
  #state: State = { is: 'new' }
  #unsubscribe: Unsubscribe | null = null

  constructor(options: WorkerOptions) {
    const { definitions, concurrency, random = Math.random } = options
    this.#options = options
    this.#random = random
    const failure = (where: string, error: unknown) => this.#fail(where, error)
    this.#threads = new ThreadExecutors({
      maxThreads: concurrency,
      heapMb: options.threadHeapMb ?? 512,
      failure,
    })
    const runnables = definitions.map(
      (definition) => [definition.type, { definition, executor: this.#executorOf(definition) }] as const,
    )
    this.#runner = new Runner({ after, ...options, random, failure, runnables: new Map(runnables) })
  }

  async start(): Promise<void> {
    if (this.#state.is !== 'new') return
    this.#state = { is: 'running' }
    this.#runner.start()
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
    const { running, ratePerSecond, waitMs, runMs } = this.#runner.figures()
    return {
      id: workerId,
      host: hostname(),
      pid: process.pid,
      startedAt: this.#startedAt,
      types: definitions.map(({ type }) => type),
      concurrency,
      running,
      ratePerSecond,
      waitMs,
      runMs,
    }
  }

  hung(): HungSlots {
    return this.#runner.hung()
  }

  pace(): TypePace[] {
    return this.#runner.pace()
  }

  async #drain(timeoutMs: number, giveBack: GiveBack): Promise<void> {
    this.#runner.close()
    if (timeoutMs > 0) await this.#emptyWithin(timeoutMs)
    await this.#runner.release(giveBack)
  }

  async #stop(): Promise<void> {
    this.#stopping.abort()
    await this.drain(0)
    this.#unsubscribe?.()
    this.#runner.stop()
    await this.#threads.close()
  }

  async #emptyWithin(timeoutMs: number): Promise<void> {
    const enough = new AbortController()
    const signal = AbortSignal.any([enough.signal, this.#stopping.signal])
    const timer = pause(timeoutMs, undefined, { signal }).catch(() => {})
    await Promise.race([this.#runner.empty(), timer])
    enough.abort()
  }

  /** Cancels come through here at once; where they do not, the next extension of the lease brings them. */
  async #listenForCancels(): Promise<void> {
    const { engine, workerId } = this.#options
    const backoff = new StoreBackoff(this.#random)
    const { signal } = this.#stopping
    const cancel = (lease: LeaseRef) => this.#runner.cancel(lease)
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
