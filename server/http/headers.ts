import { parseAccept } from 'hono/utils/accept'
import { MAX_WAIT_S } from '../../shared/limits.ts'
import { ProblemError } from './problem.ts'

/** What the headers of requests say. */

/** One preference: a name and, where it has one, a value; parameters after it are of no interest here. */
const PREFERENCE = /^\s*([\w!#$%&'*+.^`|~-]+)\s*(?:=\s*(?:"([^"]*)"|([^\s;,"]*)))?\s*(?:;.*)?$/

/**
 * The seconds of `Prefer: wait=N` (RFC 7240 section 4.3), at most 60; 0 where it is absent or malformed, since a
 * preference that is not understood is ignored. Of a repeated one the first counts (section 2).
 */
export function preferredWait(header: string | undefined): number {
  if (header === undefined) return 0
  for (const part of splitOutsideQuotes(header)) {
    const [, name, quoted, plain] = PREFERENCE.exec(part) ?? []
    if (name?.toLowerCase() !== 'wait') continue
    const value = quoted ?? plain ?? ''
    return /^\d{1,9}$/.test(value) ? Math.min(Number(value), MAX_WAIT_S) : 0
  }
  return 0
}

function splitOutsideQuotes(header: string): string[] {
  return header.match(/(?:[^,"]|"[^"]*"?)+/g) ?? []
}

const KEY = /^[\x20-\x7e]{1,255}$/

/** The key of the header, or undefined without one. Throws `invalid_idempotency_key`. */
export function idempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  if (typeof header === 'string' && KEY.test(header)) return header
  throw new ProblemError(
    'invalid_idempotency_key',
    'an Idempotency-Key has 1 to 255 printable ASCII characters',
  )
}

/**
 * What those who compress an answer on its way write into its tag: Apache and Caddy `-gzip`, Jetty `--gzip`, others `;gzip`.
 * Whoever asks with such a tag has the same content.
 */
const CODING = /(?:--?|;)(?:x-)?(?:gzip|br|deflate|zstd|compress)(?="$)/i

/**
 * Whether `If-None-Match` names this entity tag: weak comparison, a list, or `*` (RFC 9110 section 13.1.2), whatever
 * coding is named in the caller's.
 */
export function matchesEtag(header: string, etag: string): boolean {
  if (header.trim() === '*') return true
  const strong = (tag: string) => tag.replace(/^W\//, '')
  const wanted = strong(etag)
  return (header.match(/(?:W\/)?"[^"]*"/g) ?? []).some((tag) => {
    const given = strong(tag)
    return given === wanted || given.replace(CODING, '') === wanted
  })
}

/** By its name, as all do who read one as it is meant, and come back for the rest. */
export function asksForStream(accept: string | undefined): boolean {
  return qualities(accept)('text/event-stream') > 0 && !prefersJson(accept)
}

/** A stream goes to whoever takes both as gladly, and to whoever names neither. */
export function prefersJson(accept: string | undefined): boolean {
  const quality = qualities(accept)
  return quality('application/json') > quality('text/event-stream')
}

/** How gladly a media type is taken, by its name: 0 to 1. */
function qualities(accept = ''): (type: string) => number {
  const accepted = parseAccept(accept.toLowerCase())
  return (type) => accepted.find((one) => one.type === type)?.q ?? 0
}
