/** What the log may say of an error. */
export interface LoggedError {
  readonly type: string
  readonly message: string
  /** Its frames alone, one a line. */
  readonly stack?: string
  readonly code?: string
  readonly cause?: LoggedError
  readonly errors?: readonly LoggedError[]
}

const LONGEST_MESSAGE = 2000
/** Causes of causes, and errors within an `AggregateError`. */
const DEEPEST = 5
const MOST_ERRORS = 10
const FRAME = /^\s+at .*$/gm

/**
 * An error as it goes into the log: what it is, what it says, where it was made and what caused it, and nothing else that
 * hangs on it. Libraries hang a command with its arguments, a request with its headers, a buffer that could not be parsed
 * on theirs, and so a payload or a key would be written down.
 */
export function loggedError(error: unknown, depth = 0): LoggedError {
  try {
    if (error instanceof Error) return describe(error, depth)
    const message =
      typeof error === 'string' ? error : `no Error but ${error === null ? 'null' : typeof error}`
    return { type: typeof error, message: message.slice(0, LONGEST_MESSAGE) }
  } catch {
    return { type: 'unknown', message: 'an error that cannot be read' }
  }
}

function describe(error: Error, depth: number): LoggedError {
  const { name, message, stack, cause } = error
  const code = 'code' in error ? error.code : undefined
  const inner = error instanceof AggregateError ? error.errors.slice(0, MOST_ERRORS) : []
  const deeper = depth < DEEPEST
  return {
    type: name,
    message: withoutValues(message).slice(0, LONGEST_MESSAGE),
    ...(typeof stack === 'string' && { stack: framesOf(stack, message) }),
    ...((typeof code === 'string' || typeof code === 'number') && { code: String(code) }),
    ...(deeper && cause !== undefined && { cause: loggedError(cause, depth + 1) }),
    ...(deeper && inner.length > 0 && { errors: inner.map((one) => loggedError(one, depth + 1)) }),
  }
}

/** A stack begins with the message, whose lines may look like frames. */
function framesOf(stack: string, message: string): string {
  const start = message === '' ? -1 : stack.indexOf(message)
  return (stack.slice(start < 0 ? 0 : start + message.length).match(FRAME) ?? []).join('\n')
}

/**
 * Without what two messages quote that are not ours to word: Redis repeats the arguments of a command it does not know,
 * and V8 the text that is not JSON.
 */
function withoutValues(message: string): string {
  return message
    .replace(/,? with args beginning with:[\s\S]*/, '')
    .replace(/(?:, )?(?:\.\.\.)?"[\s\S]*"(?:\.\.\.)? is not valid JSON/, ': the text is not valid JSON')
}
