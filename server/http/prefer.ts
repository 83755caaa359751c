import { MAX_WAIT_S } from '../../shared/limits.ts'

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
