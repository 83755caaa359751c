import { inspect } from 'node:util'

/** Longest `error` of a job, in bytes of UTF-8. */
export const MAX_ERROR_BYTES = 8 * 1024
/** Of the frames of one error, in bytes. */
const MAX_STACK_BYTES = 8 * 1024
/** Of an error and its causes, as for a log. */
const MAX_TEXT_BYTES = 32 * 1024
/** Of all causes together. */
const MAX_CAUSES = 20
const MAX_NAME_BYTES = 256

/**
 * What was thrown, as plain data: it crosses threads, and none of its getters and traps is left. Holds texts that the
 * error itself holds, and nothing of what the process was working on.
 */
export interface Thrown {
  readonly name: string
  readonly message: string
  /** The message shows what an object holds that is no error, which may be anything: the job may have it, no log. */
  readonly showsContent: boolean
  /** As `ECONNREFUSED`, where there is one. */
  readonly code: string | null
  /** Its frames, a line each; empty where it has none. */
  readonly frames: string
  /** Its `cause`, then the errors of an `AggregateError`. */
  readonly causes: readonly Thrown[]
}

/**
 * Reads what was thrown. Anything can be thrown: nothing at all, a string, a revoked proxy, an object whose `message`
 * throws when it is read, an error that is its own cause; none of them may fail here. What is no error is told as what
 * `by` threw; without it, not what it holds but only what it is.
 */
export function readThrown(thrown: unknown, by: string | null = 'the handler'): Thrown {
  return readError(thrown, by, new Set(), { left: MAX_CAUSES })
}

/** The message and those of its causes, a line each, at most 8 KiB. */
export function errorText(thrown: Thrown): string {
  return cutText(lines(thrown, headline).join('\ncaused by: '), MAX_ERROR_BYTES)
}

/** What was thrown, with its frames and those of its causes, as for a log; `told` is what is told of each message. */
export function stackText(thrown: Thrown, told = (message: string) => message): string {
  const write = (one: Thrown) => `${one.name}: ${told(headline(one))}${one.frames && `\n${one.frames}`}`
  return cutText(lines(thrown, write).join('\ncaused by: '), MAX_TEXT_BYTES)
}

/** In one text, what `by` threw. */
export function describeThrown(thrown: unknown, by?: string): string {
  return errorText(readThrown(thrown, by))
}

/** `instanceof` for whatever was thrown: of a revoked proxy that cannot even be asked. */
export function isThrown<T>(thrown: unknown, kind: abstract new (...args: never[]) => T): thrown is T {
  try {
    return thrown instanceof kind
  } catch {
    return false
  }
}

function lines(thrown: Thrown, write: (one: Thrown) => string): string[] {
  return [write(thrown), ...thrown.causes.flatMap((cause) => lines(cause, write))]
}

function headline({ message, code }: Thrown): string {
  return code === null || message.includes(code) ? message : `${message} (${code})`
}

function readError(thrown: unknown, by: string | null, seen: Set<unknown>, budget: { left: number }): Thrown {
  seen.add(thrown)
  const name = textOf(thrown, 'name')
  const isError = isThrown(thrown, Error)
  const told = messageOf(thrown) ?? (isError ? name : null)
  return {
    name: cutText(name ?? (isError ? 'Error' : typeof thrown), MAX_NAME_BYTES),
    message: cutText(told ?? odd(thrown, by), MAX_ERROR_BYTES),
    showsContent: told === null && by !== null && typeof thrown === 'object' && thrown !== null,
    code: codeOf(thrown),
    frames: framesOf(thrown),
    causes: causesOf(thrown).flatMap((cause) => {
      // A cause that is no error says what it says: what else it holds may be anything.
      const tells = messageOf(cause) !== null || isThrown(cause, Error)
      if (!tells || seen.has(cause) || budget.left === 0) return []
      budget.left -= 1
      return [readError(cause, by, seen, budget)]
    }),
  }
}

function messageOf(thrown: unknown): string | null {
  return typeof thrown === 'string' && thrown !== '' ? thrown : textOf(thrown, 'message')
}

function odd(thrown: unknown, by: string | null): string {
  if (by === null) return `no error but ${thrown === null ? 'null' : typeof thrown}`
  try {
    // What cannot even be asked for its message is not looked at any closer.
    if (typeof thrown === 'object' && thrown !== null) Reflect.get(thrown, 'message')
    const shown = { depth: 2, maxStringLength: 1000, breakLength: 100, customInspect: false }
    return `${by} threw ${inspect(thrown, shown)}`
  } catch {
    return `${by} threw something that cannot be described`
  }
}

function codeOf(thrown: unknown): string | null {
  const code = read(thrown, 'code')
  if (typeof code === 'string' && code !== '') return cutText(code, MAX_NAME_BYTES)
  return typeof code === 'number' ? String(code) : null
}

/**
 * Without the message, which stands in front of them and may have lines that look like some; and without whatever else
 * somebody wrote into the stack.
 */
function framesOf(thrown: unknown): string {
  const stack = textOf(thrown, 'stack') ?? ''
  const message = textOf(thrown, 'message')
  const start = message === null ? -1 : stack.indexOf(message)
  const frames = stack.slice(start < 0 ? 0 : start + (message?.length ?? 0)).match(/^ {4}at .+$/gm) ?? []
  return cutText(frames.join('\n'), MAX_STACK_BYTES)
}

function causesOf(thrown: unknown): unknown[] {
  try {
    const isAggregate = isThrown(thrown, AggregateError) || textOf(thrown, 'name') === 'AggregateError'
    const errors = isAggregate ? read(thrown, 'errors') : null
    const count = Array.isArray(errors) ? Math.min(MAX_CAUSES, errors.length) : 0
    return [read(thrown, 'cause'), ...Array.from({ length: count }, (_, at) => read(errors, String(at)))]
  } catch {
    return []
  }
}

function textOf(thrown: unknown, key: string): string | null {
  const text = read(thrown, key)
  return typeof text === 'string' && text !== '' ? text : null
}

function read(thrown: unknown, key: string): unknown {
  if ((typeof thrown !== 'object' || thrown === null) && typeof thrown !== 'function') return undefined
  try {
    return Reflect.get(thrown, key)
  } catch {
    return undefined
  }
}

const encoder = new TextEncoder()

/** The text, or as many of its first characters as fit into `maxBytes` of UTF-8; never half a character. */
export function cutText(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes || Buffer.byteLength(text) <= maxBytes) return text
  const { read } = encoder.encodeInto(text, new Uint8Array(maxBytes))
  return text.slice(0, read)
}
