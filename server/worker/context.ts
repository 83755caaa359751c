import { inspect } from 'node:util'
import { LOG_LEVELS } from '../../shared/codes.ts'
import { MAX_CHUNK_BYTES, MAX_LINE_BYTES } from '../../shared/limits.ts'
import type { RunEvent } from '../engine/engine.ts'
import type { JobContext, ToldOfJob } from '../jobs/define-job.ts'
import { cutText, readThrown } from '../thrown.ts'
import { checkJson } from './json.ts'

/** Takes an event of a run; `bytes` is about what it weighs in memory and on the wire. */
export type Emit = (event: RunEvent, bytes: number) => void

const LEVELS: readonly string[] = LOG_LEVELS

/** A run as its handler's `ctx` reaches it. */
export interface ContextSource {
  readonly told: ToldOfJob
  readonly signal: AbortSignal
  readonly draining: AbortSignal
  readonly emit: Emit
}

const SOURCE = Symbol('source')

/** Made for every run: what all of them share stands here once, and what each has of its own is little. */
const SIGNALS = {
  signal: {
    get(this: HandlerContext) {
      return this[SOURCE].signal
    },
    enumerable: true,
    configurable: true,
  },
  draining: {
    get(this: HandlerContext) {
      return this[SOURCE].draining
    },
    enumerable: true,
    configurable: true,
  },
}

class HandlerContext {
  declare readonly [SOURCE]: ContextSource
  declare readonly signal: AbortSignal
  declare readonly draining: AbortSignal
  readonly progress: JobContext['progress']
  readonly log: JobContext['log']
  readonly chunk: JobContext['chunk']

  constructor(source: ContextSource) {
    Object.defineProperty(this, SOURCE, { value: source })
    // Of its own, so that they are there also in a copy.
    Object.defineProperty(this, 'signal', SIGNALS.signal)
    Object.defineProperty(this, 'draining', SIGNALS.draining)
    // Named, so that each can say that it was called wrongly.
    this.progress = function progress(percent, note) {
      if (typeof percent !== 'number' || Number.isNaN(percent)) {
        const shown = inspect(percent, { depth: 0 })
        throw misuse(`progress: percent must be a number from 0 to 100, not ${shown}`, progress)
      }
      if (note != null && typeof note !== 'string') throw misuse('progress: note must be a string', progress)
      const cut = note == null ? null : cutText(note, MAX_LINE_BYTES)
      const data = { percent: Math.min(100, Math.max(0, percent)), note: cut }
      source.emit({ kind: 'progress', data }, 32 + (cut?.length ?? 0))
    }
    this.log = function log(line, level = 'info') {
      if (!LEVELS.includes(level)) throw misuse(`log: level must be one of ${LEVELS.join(', ')}`, log)
      const cut = cutText(typeof line === 'string' ? line : inspect(line), MAX_LINE_BYTES)
      source.emit({ kind: 'log', data: { level, line: cut } }, 32 + Buffer.byteLength(cut))
    }
    this.chunk = function chunk(data) {
      const checked = checkJson(data)
      if (!checked.ok) throw misuse(`chunk: data ${checked.problem}`, chunk)
      const { text, bytes } = checked.json
      if (bytes > MAX_CHUNK_BYTES)
        throw misuse(`chunk: data has ${bytes} bytes of JSON, more than ${MAX_CHUNK_BYTES}`, chunk)
      source.emit({ kind: 'chunk', data: JSON.parse(text) }, bytes)
    }
  }
}

/**
 * The `ctx` of a handler, in this process as in a thread. Its functions may be taken apart from it. What is wrong
 * with an event is thrown at the call, as a `TypeError`; what is right is passed on, cut to size.
 */
export function createContext(source: ContextSource): JobContext {
  return Object.assign(new HandlerContext(source), source.told)
}

/** Its stack begins where `call` was called: it is the fault of that place, and is told of as such where nobody catches it. */
function misuse(problem: string, call: (...args: never[]) => void): TypeError {
  const error = new TypeError(problem)
  Error.captureStackTrace(error, call)
  return error
}

/** Why a run was told to stop. */
export type StopReason = 'cancelled' | 'timeout' | 'lost' | 'released' | 'uncaught'
/** Why a run is told anything: it is to stop, or may go on for a while. */
export type AbortReason = StopReason | 'draining'

const MESSAGES: Record<AbortReason, string> = {
  cancelled: 'the job was cancelled',
  timeout: 'the attempt took longer than its timeout',
  lost: 'the lease was lost: another worker may run this job now',
  released: 'the worker is stopping and gives the job back',
  uncaught: 'something that the handler had begun threw an exception that nobody caught',
  draining: 'the worker is stopping: what does not end soon is given back',
}

/** Whether an error says no more than that a signal has fired. */
export function isAbort(error: unknown): boolean {
  return readThrown(error).name === 'AbortError'
}

/** `reason` of the signals of a run that was told to stop or to hurry; named like what aborted calls of Node itself throw. */
export class RunAborted extends Error {
  override readonly name = 'AbortError'
  readonly reason: AbortReason

  constructor(reason: AbortReason) {
    super(MESSAGES[reason])
    this.reason = reason
  }
}
