/** What the server, a job and its history say, in words for people. */

import type { Held, QueuePlace } from '../../../shared/job.ts'
import { MAX_PLACE } from '../../../shared/limits.ts'
import { JobcastError, type Missed } from '../../index.ts'
import { formatNumber, formatOrdinal, formatRough } from './format.ts'

interface Explanation {
  readonly title: string
  readonly text: string
}

const TITLES: Readonly<Record<string, string>> = {
  network: 'The server cannot be reached',
  timeout: 'The server does not answer',
  http_error: 'Something between here and the server answered',
  barred: 'The server closed the connection for good',
  unavailable: 'The store is away',
  outcome_unknown: 'The answer was lost',
  unauthorized: 'An API key is needed',
  forbidden: 'Not allowed',
  not_found: 'Not found',
  removed: 'It was deleted',
  expired: 'It is no longer kept',
  rate_limited: 'Too many requests',
  payload_too_large: 'Too large',
  already_finished: 'Already finished',
  not_retryable: 'Nothing to retry',
  not_finished: 'Not finished yet',
}

/** A refused or failed call in words for people. */
export function explain(error: unknown): Explanation {
  if (!(error instanceof JobcastError)) {
    return { title: 'Something went wrong', text: error instanceof Error ? error.message : String(error) }
  }
  return { title: TITLES[error.code] ?? 'The server refused this', text: error.message }
}

/** `Next in line`, `3rd in line`. */
export function placeText({ place }: QueuePlace): string {
  if (place === null) return `${formatNumber(MAX_PLACE)}+ ahead in line`
  return place === 1 ? 'Next in line' : `${formatOrdinal(place)} in line`
}

const MOMENT_MS = 1500

const HELD: Readonly<Partial<Record<string, string>>> = {
  paused: 'its type is paused',
  no_worker: 'no worker runs its type',
} satisfies Record<Held, string>

/** `starts in about 20 s`, `any moment now`, `its type is paused`; null where nobody knows. `now` in ms. */
export function startText({ startsAt, held }: QueuePlace, now: number): string | null {
  if (held !== null) return HELD[held] ?? 'it is held'
  if (startsAt === null) return null
  const leftMs = Date.parse(startsAt) - now
  return leftMs < MOMENT_MS ? 'any moment now' : `starts in about ${formatRough(leftMs)}`
}

/** The text with control characters (but tab and line feed) written out: escape as `\x1b`. */
export function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(2, '0')
    return `\\x${code}`
  })
}

/** What is missing, in words for the reader, who knows no seqs but these. */
export function missedText({ from, to, reason }: Missed): string {
  const count = to - from + 1
  const which =
    count === 1 ? `Event ${formatNumber(to)} is` : `Events ${formatNumber(from)} to ${formatNumber(to)} are`
  if (reason === 'trimmed') return `${which} no longer kept`
  const lost = 'The server lost part of its history: what was shown before may have changed'
  return count < 1 ? lost : `${lost}. ${which} no longer kept`
}
