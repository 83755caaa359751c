import { inspect } from 'node:util'
import { LOG_LEVELS } from '../../shared/codes.ts'
import { MAX_CHUNK_BYTES, MAX_LINE_BYTES } from '../../shared/limits.ts'
import type { RunEvent } from '../engine/engine.ts'
import type { JobContext, ToldOfJob } from '../jobs/define-job.ts'
import { checkJson } from './json.ts'
import { cutText } from './text.ts'

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

/**
 * The `ctx` of a handler, in this process as in a thread. Its functions may be taken apart from it. What is wrong
 * with an event is thrown at the call, as a `TypeError`; what is right is passed on, cut to size.
 */
export function createContext(source: ContextSource): JobContext {
  return {
    ...source.told,
    get signal() {
      return source.signal
    },
    get draining() {
      return source.draining
    },
    // Named, so that each can say that it was called wrongly.
    progress: function progress(percent, note) {
      if (typeof percent !== 'number' || Number.isNaN(percent)) {
        const shown = inspect(percent, { depth: 0 })
        throw misuse(`progress: percent must be a number from 0 to 100, not ${shown}`, progress)
      }
      if (note != null && typeof note !== 'string') throw misuse('progress: note must be a string', progress)
      const cut = note == null ? null : cutText(note, MAX_LINE_BYTES)
      const data = { percent: Math.min(100, Math.max(0, percent)), note: cut }
      source.emit({ kind: 'progress', data }, 32 + (cut?.length ?? 0))
    },
    log: function log(line, level = 'info') {
      if (!LEVELS.includes(level)) throw misuse(`log: level must be one of ${LEVELS.join(', ')}`, log)
      const cut = cutText(typeof line === 'string' ? line : inspect(line), MAX_LINE_BYTES)
      source.emit({ kind: 'log', data: { level, line: cut } }, 32 + Buffer.byteLength(cut))
    },
    chunk: function chunk(data) {
      const checked = checkJson(data)
      if (!checked.ok) throw misuse(`chunk: data ${checked.problem}`, chunk)
      if (checked.bytes > MAX_CHUNK_BYTES) {
        const problem = `chunk: data has ${checked.bytes} bytes of JSON, more than ${MAX_CHUNK_BYTES}`
        throw misuse(problem, chunk)
      }
      source.emit({ kind: 'chunk', data: checked.json }, checked.bytes)
    },
  }
}

/** Its stack begins where `call` was called: it is the fault of that place, and is told of as such where nobody catches it. */
function misuse(problem: string, call: (...args: never[]) => void): TypeError {
  const error = new TypeError(problem)
  Error.captureStackTrace(error, call)
  return error
}
