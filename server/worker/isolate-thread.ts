import { setImmediate as turn } from 'node:timers/promises'
import { type MessagePort, parentPort } from 'node:worker_threads'
import type { Json, RunEvent } from '../engine/engine.ts'
import type { Handler, JobDefinition, ToldOfJob } from '../jobs/define-job.ts'
import { definitionsIn, importModule } from '../jobs/module.ts'
import { type AbortReason, createContext, type Emit, RunAborted } from './context.ts'
import { checkPayload, checkReturned, classifyThrown, type Failure, failureOf, RunFailed } from './steps.ts'

/** What a thread is asked to run. The port is the run's own, and no handler can reach it. */
export interface ThreadTask {
  /** URL of the module that exports `run`. */
  readonly module: string
  readonly payload: ThreadPayload
  readonly told: ToldOfJob
  readonly port: MessagePort
  /** Bytes of messages under way to the process; see `MAX_UNREAD_BYTES`. */
  readonly unread: Int32Array<SharedArrayBuffer>
}

/** A payload on its way into a thread: what the type's schema made of it, or what it is to make it of there. */
export type ThreadPayload =
  | { readonly kind: 'made'; readonly value: unknown }
  | {
      readonly kind: 'submitted'
      readonly json: Json
      /** URL of the module that has the definition. */
      readonly jobsFile: string
      /** Why it does not come as it was made; ends the sentence "the schema makes something that …". */
      readonly lost: string
    }

/** A thread that reports faster than the process reads waits once this much is under way, so that memory is bounded. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024

export type ThreadMessage =
  | { readonly kind: 'started' }
  | { readonly kind: 'event'; readonly event: RunEvent; readonly bytes: number }
  | Ending

/** The last word of a thread. */
export type Ending =
  /** The handler returned: its result as JSON text. */
  | { readonly kind: 'returned'; readonly text: string; readonly bytes: number }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** The other way there is one message: why one of the run's signals fires. */
export interface AbortMessage {
  readonly reason: AbortReason
}

// As they are before a handler could replace them.
const { kill, pid } = process
const prints = [process.stdout, process.stderr].map((stream) => ({
  stream,
  write: stream.write.bind(stream),
}))

/** Signals go to all threads of a process, which a handler may not end. */
process.kill = (target, signal) => {
  if (signal !== 0 && [pid, -pid, 0].includes(Number(target)))
    throw new Error('a handler in a thread may not send a signal to the process that it runs in')
  return kill.call(process, target, signal)
}

parentPort?.once('message', (task: ThreadTask) => void runTask(task))

/** The one run of this thread. How it ended is the last that is said on its port; the process then ends the thread. */
async function runTask(task: ThreadTask): Promise<void> {
  const { port, unread, told } = task
  const stop = new AbortController()
  const draining = new AbortController()
  const send = (message: ThreadMessage) => port.postMessage(message)
  const emit: Emit = (event, bytes) => {
    const weight = bytes + 64
    Atomics.add(unread, 0, weight)
    send({ kind: 'event', event, bytes })
    waitForReader(unread)
  }
  port.on('message', ({ reason }: AbortMessage) =>
    (reason === 'draining' ? draining : stop).abort(new RunAborted(reason)),
  )
  const context = createContext({ told, signal: stop.signal, draining: draining.signal, emit })
  const ending = await run(task, (handler, payload) => {
    send({ kind: 'started' })
    return handler(payload, context)
  })
  // Lines that were printed go through the process, which throws away what is under way when it ends a thread.
  await printed()
  send(ending)
}

async function run(
  { module, payload, told }: ThreadTask,
  call: (handler: Handler<unknown, unknown>, payload: unknown) => unknown,
): Promise<Ending> {
  try {
    const made = payload.kind === 'made' ? payload.value : await make(told.type, payload)
    const returned = checkReturned(await call(await load(module), made))
    if (!returned.ok) return { kind: 'failed', failure: returned.failure }
    // A rejection that the handler left behind ends the thread here, while it still counts as this run's.
    await turn()
    return { kind: 'returned', ...returned.value }
  } catch (thrown) {
    return { kind: 'failed', failure: classifyThrown(thrown) }
  }
}

/** What the type's schema makes of a payload, where that could not be handed over. */
async function make(
  type: string,
  { json, jobsFile, lost }: Extract<ThreadPayload, { kind: 'submitted' }>,
): Promise<unknown> {
  // They were checked when the process loaded them.
  const definitions = definitionsIn(await importModule(jobsFile)) as readonly JobDefinition[] | null
  const definition = definitions?.find((one) => one.type === type)
  if (definition?.payload === undefined) {
    const error = `the payload's schema makes something that ${lost}, which no thread can be handed, and ${jobsFile} has no schema of type "${type}" when a thread loads it`
    throw new RunFailed(failureOf('unrecoverable', error, true))
  }
  const made = await checkPayload(definition, json)
  if (!made.ok) throw new RunFailed(made.failure)
  return made.value
}

async function load(module: string): Promise<Handler<unknown, unknown>> {
  const { run } = await importModule(module)
  if (typeof run === 'function') return run as Handler<unknown, unknown>
  throw new TypeError(`the isolated module ${module} exports no function "run"`)
}

function waitForReader(unread: Int32Array<SharedArrayBuffer>): void {
  for (let now = Atomics.load(unread, 0); now > MAX_UNREAD_BYTES; now = Atomics.load(unread, 0)) {
    Atomics.wait(unread, 0, now)
  }
}

async function printed(): Promise<void> {
  for (const { stream, write } of prints)
    if (stream.writableLength > 0) await new Promise<void>((resolve) => write('', () => resolve()))
}
