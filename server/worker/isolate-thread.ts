import { setImmediate as turn } from 'node:timers/promises'
import type { Handler } from '../jobs/define-job.ts'
import { readThrown } from '../thrown.ts'
import { RunAborted } from './aborted.ts'
import { createContext, type Emit } from './context.ts'
import { checkJson } from './json.ts'
import { isUnrecoverable } from './steps.ts'
import {
  type AbortMessage,
  MAX_UNREAD_BYTES,
  type ThreadMessage,
  type ThreadTask,
} from './thread-protocol.ts'

/**
 * Runs one isolated job: what piscina calls in a worker thread. How the run ended goes over the run's own port, behind
 * everything that it reported.
 */
export default async function runTask({
  module,
  payload,
  identity,
  port,
  unread,
}: ThreadTask): Promise<void> {
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
  try {
    const handler = await load(module)
    const context = createContext({
      ...identity,
      signal: stop.signal,
      draining: draining.signal,
      emit,
    })
    send({ kind: 'started' })
    send(ending(await handler(payload, context)))
  } catch (thrown) {
    send({ kind: 'threw', thrown: readThrown(thrown), unrecoverable: isUnrecoverable(thrown) })
  } finally {
    // A rejection that the handler left behind ends the thread here, while it still counts as this run's.
    await turn()
    port.close()
  }
}

function ending(result: unknown): ThreadMessage {
  const checked = checkJson(result === undefined ? null : result)
  if (!checked.ok) return { kind: 'invalid', problem: checked.problem }
  return { kind: 'returned', json: JSON.stringify(checked.json) }
}

function waitForReader(unread: Int32Array<SharedArrayBuffer>): void {
  for (let now = Atomics.load(unread, 0); now > MAX_UNREAD_BYTES; now = Atomics.load(unread, 0)) {
    Atomics.wait(unread, 0, now)
  }
}

async function load(module: string): Promise<Handler<unknown, unknown>> {
  const loaded: { run?: unknown } = await import(module)
  if (typeof loaded.run === 'function') return loaded.run as Handler<unknown, unknown>
  throw new TypeError(`the isolated module ${module} exports no function "run"`)
}
