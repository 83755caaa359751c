import { isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import { threadModule } from '../jobs/thread-module.ts'
import { describeThrown } from '../thrown.ts'
import { RunAborted } from './aborted.ts'
import type { Execution, Executor } from './executor.ts'
import { InvalidResult, ThrownInThread } from './steps.ts'
import type { AbortMessage, ThreadMessage, ThreadTask } from './thread-protocol.ts'

/** How long a thread without work is kept, in ms. */
const IDLE_MS = 10_000

const ENTRY = threadModule('./isolate-thread.js', import.meta.url)

/**
 * Runs handlers in worker threads, which can be killed: at a timeout, at the end of a cancel's grace, when the lease is
 * lost. A thread that dies on its own (its heap is full, it calls `process.exit`, an error or rejection is left
 * unhandled) takes only its run along. Threads are started when they are needed and used again.
 */
export class ThreadExecutors {
  readonly #options: { maxThreads: number; heapMb: number; failure: (error: unknown) => void }
  #pool: Promise<Piscina> | null = null

  constructor(options: { maxThreads: number; heapMb: number; failure: (error: unknown) => void }) {
    this.#options = options
  }

  /** `module`: URL, or path, of an ES module that exports `run(payload, context)`. */
  executor(module: URL | string): Executor {
    const href = hrefOf(module)
    return { kills: true, run: (payload, execution) => this.#run(href, payload, execution) }
  }

  async close(): Promise<void> {
    const pool = await this.#pool
    await pool?.destroy()
  }

  async #run(module: string, payload: unknown, execution: Execution): Promise<unknown> {
    const pool = await this.#open()
    const { port1, port2 } = new MessageChannel()
    const unread = new Int32Array(new SharedArrayBuffer(4))
    const { jobId, type, attempt } = execution
    const identity = { jobId, type, attempt }
    const task: ThreadTask = { module, payload, identity, port: port2, unread }
    const reading = new ThreadReading(port1, unread, execution)
    try {
      await pool.run(task, { filename: ENTRY.href, transferList: [port2], signal: execution.killed })
    } catch (error) {
      reading.drain()
      throw new Error(deathText(error))
    } finally {
      reading.close()
    }
    return reading.result()
  }

  #open(): Promise<Piscina> {
    this.#pool ??= this.#create()
    return this.#pool
  }

  async #create(): Promise<Piscina> {
    const { maxThreads, heapMb, failure } = this.#options
    const { Piscina } = await import('piscina')
    const pool = new Piscina({
      minThreads: 0,
      maxThreads,
      idleTimeout: IDLE_MS,
      // Between two runs a thread goes on with its event loop instead of sleeping in the middle of what was left behind.
      atomics: 'disabled',
      recordTiming: false,
      resourceLimits: { maxOldGenerationSizeMb: heapMb },
    })
    pool.on('error', failure)
    return pool
  }
}

/** Reads what a run in a thread says about itself, in order. */
class ThreadReading {
  readonly #port: MessagePort
  readonly #unread: Int32Array<SharedArrayBuffer>
  readonly #execution: Execution
  /** What is told of it when a signal of the run fires. */
  readonly #pass = ({ reason }: AbortSignal) => {
    const message: AbortMessage = { reason: reason instanceof RunAborted ? reason.reason : 'cancelled' }
    this.#port.postMessage(message)
  }
  readonly #unlisten: (() => void)[]
  #ending: Extract<ThreadMessage, { kind: 'returned' | 'invalid' | 'threw' }> | null = null

  constructor(port: MessagePort, unread: Int32Array<SharedArrayBuffer>, execution: Execution) {
    this.#port = port
    this.#unread = unread
    this.#execution = execution
    port.on('message', (message: ThreadMessage) => this.#read(message))
    this.#unlisten = [execution.draining, execution.signal].map((signal) => {
      const pass = () => this.#pass(signal)
      if (signal.aborted) pass()
      else signal.addEventListener('abort', pass, { once: true })
      return () => signal.removeEventListener('abort', pass)
    })
  }

  /** The thread's answer to the pool may overtake what it said before on this port. */
  drain(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port)
      if (received === undefined) return
      this.#read(received.message)
    }
  }

  /** What the handler returned, or throws what it threw. */
  result(): unknown {
    const ending = this.#ending
    if (ending === null) throw new Error('the thread ended without a word about its run')
    if (ending.kind === 'returned') return JSON.parse(ending.json)
    if (ending.kind === 'invalid') throw new InvalidResult(ending.problem)
    throw new ThrownInThread(ending.thrown, ending.unrecoverable)
  }

  close(): void {
    this.drain()
    for (const unlisten of this.#unlisten) unlisten()
    this.#port.close()
  }

  #read(message: ThreadMessage): void {
    if (message.kind === 'started') {
      this.#execution.started()
    } else if (message.kind === 'event') {
      this.#execution.emit(message.event, message.bytes)
      Atomics.sub(this.#unread, 0, message.bytes + 64)
      Atomics.notify(this.#unread, 0)
    } else {
      this.#ending = message
    }
  }
}

function hrefOf(module: URL | string): string {
  if (module instanceof URL) return module.href
  return !isAbsolute(module) && URL.canParse(module) ? module : pathToFileURL(resolve(module)).href
}

/** Why a thread died without an answer, for the job's `error`. */
function deathText(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  const text = describeThrown(error)
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return "the handler's thread ran out of memory"
  const exit = /^worker exited with code: (\d+)$/.exec(text)
  if (exit !== null) return `the handler's thread ended itself with exit code ${exit[1]}`
  return `uncaught in the handler's thread: ${text}`
}
