import { JOB_ERROR_CODES, type JobErrorCode } from '../../../shared/codes.ts'

/** A job is shown as this while it has a status that a newer version gave it. */
export const UNKNOWN_STATUS = 'queued'

type What = 'event' | 'status' | 'error code'

/** A store that holds more than these is not of a newer version, but damaged. */
const MOST_WORDS = 100
const WORD = /^[\w.-]{1,40}$/

/**
 * What a newer version of Jobcast has written into a store that this one shares with it, or has taken over: words that this one
 * does not know. It goes on without them and tells of each once:
 *
 * - an event is passed over. One that may have changed the job counts as no longer retained, so that whoever stands before it is given the
 *   job as it is now (`trimmed`); another is as progress that was merged;
 * - a job with such a status has not ended, as far as can be known: it is shown as queued;
 * - an error code is shown as `handler_error`, with the error's own text.
 */
export class NewerWords {
  readonly #tell: (what: string) => void
  readonly #told = new Set<string>()

  constructor(tell: (what: string) => void = () => undefined) {
    this.#tell = tell
  }

  note(what: What, word: string): void {
    const text = `${what} ${WORD.test(word) ? word : 'of no name'}`
    if (this.#told.has(text) || this.#told.size >= MOST_WORDS) return
    this.#told.add(text)
    this.#tell(text)
  }

  errorCode(stored: string): JobErrorCode {
    const known = JOB_ERROR_CODES.find((code) => code === stored)
    if (known === undefined) this.note('error code', stored)
    return known ?? 'handler_error'
  }
}
