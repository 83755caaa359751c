import { inSource, withoutOwn } from './source-maps.ts'
import { readThrown, stackText, type Thrown } from './thrown.ts'

/** What the log may say of an error. */
export interface LoggedError {
  readonly type: string
  readonly message: string
  readonly code?: string
  /** Name, message and frames, and those of its causes. */
  readonly stack: string
}

/**
 * An error as it goes into the log: what it is, what it says, where it was made and what caused it, and nothing else that
 * hangs on it. Libraries hang a command with its arguments, a request with its headers, a buffer that could not be parsed
 * on theirs, and so a payload or a key would be written down.
 */
export function loggedError(error: unknown): LoggedError {
  return logged(readThrown(error, null), inSource)
}

/** What a handler threw; where its own code is to be seen, ours, which had called it, is left out. */
export function loggedThrown(thrown: Thrown): LoggedError {
  return logged({ ...thrown, message: loggedMessage(thrown) }, (stack) => inSource(withoutOwn(stack)))
}

/** What a log may say of the message. */
function loggedMessage({ message, showsContent }: Thrown): string {
  return showsContent ? 'an object that is no error: the job says which' : message
}

function logged(thrown: Thrown, shown: (stack: string) => string): LoggedError {
  const { name, message, code } = thrown
  return {
    type: name,
    message: withoutValues(message),
    ...(code !== null && { code }),
    stack: shown(stackText(thrown, withoutValues)),
  }
}

/**
 * Without what two messages quote that are not ours to word: Redis repeats the arguments of a command it does not know,
 * and V8 the text that is not JSON.
 */
export function withoutValues(message: string): string {
  return message
    .replace(/,? with args beginning with:[\s\S]*/, '')
    .replace(/(?:, )?(?:\.\.\.)?"[\s\S]*"(?:\.\.\.)? is not valid JSON/, ': the text is not valid JSON')
}
