import { setTimeout as pause } from 'node:timers/promises'
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { JsonText } from '../engine/engine.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import { moduleHref, moduleOf } from '../jobs/module.ts'
import { errorText, readThrown } from '../thrown.ts'
import { lostOnTheWay } from './cloneable.ts'
import { RunAborted } from './context.ts'
import type { Execution, Executor } from './execution.ts'
import type { AbortMessage, Ending, ThreadMessage, ThreadPayload, ThreadTask } from './isolate-thread.ts'
import { type Failure, failureOf, RunFailed } from './steps.ts'
import { threadModule } from './thread-module.ts'

/** How long a thread is kept ready for the next run, in ms. */
const SPARE_MS = 10_000
/** How long threads are waited for that should be gone, in ms: native code that they are inside of is not cut short. */
const LEAVE_MS = 1000

const ENTRY = threadModule('./isolate-thread.js', import.meta.url)

interface ThreadOptions {
  /** Runs at once. */
  readonly maxThreads: number
  /** JavaScript heap of a thread, in MiB. */
  readonly heapMb: number
  readonly failure: (where: string, error: unknown) => void
}

/**
 * Runs handlers in worker threads, which can be killed: at a timeout, at the end of a cancel's grace, when the lease is
 * lost. Every run has a thread of its own that ends with it, so that nothing that a handler leaves behind (timers,
 * rejections, memory, globals it replaced) meets another run. Since starting one takes longer than many a handler, a
 * spare one is ready before the next run needs it, once there has been a first; it knows nothing of any handler yet.
 */
export class ThreadExecutors {
  readonly #options: ThreadOptions
  readonly #alive = new Set<HandlerThread>()
  #spare: HandlerThread | null = null
  /** Their runs are over. */
  readonly #leaving = new Set<HandlerThread>()
  #expiry: NodeJS.Timeout | null = null
  #isClosed = false

  constructor(options: ThreadOptions) {
    this.#options = options
  }

  /** `module`: URL, or path, of an ES module that exports `run(payload, context)`. */
  executor(definition: JobDefinition, module: URL | string): Executor {
    const href = moduleHref(module)
    return { kills: true, run: (payload, execution) => this.#run(href, definition, payload, execution) }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#expiry !== null) clearTimeout(this.#expiry)
    const gone = Promise.all([...this.#alive].map((thread) => thread.end()))
    await Promise.race([gone, aMoment()])
  }

  /** Settles when the thread has said its last word; where it was killed or died, when it is gone. */
  async #run(
    module: string,
    definition: JobDefinition,
    payload: unknown,
    execution: Execution,
  ): Promise<unknown> {
    const passed = this.#pass(definition, payload, execution)
    // Until they are gone they take up the memory that their runs did.
    if (this.#leaving.size >= this.#options.maxThreads)
      await Promise.race([...[...this.#leaving].map(({ gone }) => gone), aMoment()])
    const thread = this.#take()
    const run = new ThreadRun(thread, execution, this.#options.failure)
    try {
      const result = run.result(module, passed)
      this.#prepare()
      return await result
    } finally {
      if (this.#alive.has(thread)) this.#leaving.add(thread)
      void thread.end()
    }
  }

  #take(): HandlerThread {
    const thread = this.#spare ?? this.#start()
    this.#spare = null
    return thread
  }

  #prepare(): void {
    if (this.#isClosed || this.#spare !== null) return
    this.#expiry ??= setTimeout(() => this.#endSpare(), SPARE_MS).unref()
    this.#expiry.refresh()
    try {
      this.#spare = this.#start()
    } catch (error) {
      this.#options.failure('starting a thread', error)
    }
  }

  #endSpare(): void {
    void this.#spare?.end()
    this.#spare = null
  }

  #start(): HandlerThread {
    const thread = new HandlerThread(this.#options.heapMb)
    this.#alive.add(thread)
    void thread.gone.then(({ thrown }) => {
      this.#alive.delete(thread)
      this.#leaving.delete(thread)
      if (this.#spare !== thread) return
      this.#spare = null
      if (thrown !== null) this.#options.failure('starting a thread', thrown.error)
    })
    return thread
  }

  #pass(
    definition: JobDefinition,
    payload: unknown,
    { told: { type }, submitted }: Execution,
  ): ThreadPayload {
    const lost = definition.payload === undefined ? null : lostOnTheWay(payload)
    if (lost === null) return { kind: 'made', value: payload }
    const jobsFile = moduleOf(definition)
    if (jobsFile !== null) return { kind: 'submitted', json: submitted, jobsFile, lost }
    const error = `the payload's schema makes something that ${lost}, which no thread can be handed: define type "${type}" in a jobs file (JOBCAST_JOBS, jobcast start), where a thread can run the schema itself`
    throw new RunFailed(failureOf('unrecoverable', error, true))
  }
}

/** How a thread ended: by what nobody caught in it, or with its exit code. */
interface Death {
  readonly thrown: { readonly error: unknown } | null
  readonly exitCode: number
}

/** A thread for one run. */
class HandlerThread {
  readonly gone: Promise<Death>
  readonly #worker: Worker

  constructor(heapMb: number) {
    this.#worker = new Worker(ENTRY, { resourceLimits: { maxOldGenerationSizeMb: heapMb } })
    let thrown: Death['thrown'] = null
    this.#worker.on('error', (error) => {
      thrown = { error }
    })
    this.gone = new Promise((resolve) => {
      this.#worker.once('exit', (exitCode) => resolve({ thrown, exitCode }))
    })
  }

  begin(task: ThreadTask): void {
    this.#worker.postMessage(task, [task.port])
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}

/** One run in its thread: passes on what it is told, and reads what it says, in order. */
class ThreadRun {
  readonly #thread: HandlerThread
  readonly #execution: Execution
  readonly #failure: ThreadOptions['failure']
  readonly #unread = new Int32Array(new SharedArrayBuffer(4))
  readonly #channel = new MessageChannel()
  #end: ((ending: Ending) => void) | null = null

  constructor(thread: HandlerThread, execution: Execution, failure: ThreadOptions['failure']) {
    this.#thread = thread
    this.#execution = execution
    this.#failure = failure
  }

  /** What the handler returned; throws `RunFailed`. */
  async result(module: string, payload: ThreadPayload): Promise<JsonText> {
    const { port1, port2 } = this.#channel
    const { told, signal, draining, killed } = this.#execution
    const ended = new Promise<Ending>((resolve) => {
      this.#end = resolve
    })
    port1.on('message', (message: ThreadMessage) => this.#read(message))
    void this.#thread.gone.then((death) => this.#died(death))
    this.#thread.begin({ module, payload, told, port: port2, unread: this.#unread })
    const unlisten = [
      whenAborted(killed, () => void this.#thread.end()),
      whenAborted(draining, () => this.#tell(draining)),
      whenAborted(signal, () => this.#tell(signal)),
    ]
    const ending = await ended
    for (const stop of unlisten) stop()
    port1.close()
    if (ending.kind === 'failed') throw new RunFailed(ending.failure)
    return new JsonText(ending.text, ending.bytes)
  }

  #tell({ reason }: AbortSignal): void {
    const message: AbortMessage = { reason: reason instanceof RunAborted ? reason.reason : 'cancelled' }
    this.#channel.port1.postMessage(message)
  }

  #read(message: ThreadMessage): void {
    if (message.kind === 'started') {
      this.#execution.started()
    } else if (message.kind === 'event') {
      this.#execution.emit(message.event, message.bytes)
      Atomics.sub(this.#unread, 0, message.bytes + 64)
      Atomics.notify(this.#unread, 0)
    } else {
      this.#end?.(message)
      this.#end = null
    }
  }

  #died(death: Death): void {
    // What it said may still be on its way.
    while (this.#end !== null) {
      const received = receiveMessageOnPort(this.#channel.port1)
      this.#read(received?.message ?? { kind: 'failed', failure: failureOfDeath(death) })
      if (received === undefined) return
    }
    const { jobId, type } = this.#execution.told
    if (death.thrown !== null)
      this.#failure(`the thread of job ${jobId} (${type}), after its end`, death.thrown.error)
  }
}

function aMoment(): Promise<void> {
  return pause(LEAVE_MS, undefined, { ref: false })
}

/** Calls back when the signal fires, at once where it has; what it returns forgets it. */
function whenAborted(signal: AbortSignal, fired: () => void): () => void {
  if (signal.aborted) fired()
  else signal.addEventListener('abort', fired, { once: true })
  return () => signal.removeEventListener('abort', fired)
}

function failureOfDeath({ thrown, exitCode }: Death): Failure {
  if (thrown === null)
    return failureOf('handler_error', `the handler's thread ended itself with exit code ${exitCode}`, false)
  const { error } = thrown
  if (error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY')
    return failureOf('handler_error', "the handler's thread ran out of memory", false)
  const read = readThrown(error)
  return failureOf('uncaught', errorText(read), false, read)
}
