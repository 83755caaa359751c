import { inspect } from 'node:util'

/** Longest `error` of a job, in bytes of UTF-8. */
export const MAX_ERROR_BYTES = 8 * 1024

const encoder = new TextEncoder()

/** The text, or as many of its first characters as fit into `maxBytes` of UTF-8; never half a character. */
export function cutText(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes || Buffer.byteLength(text) <= maxBytes) return text
  const { read } = encoder.encodeInto(text, new Uint8Array(maxBytes))
  return text.slice(0, read)
}

/**
 * What a handler threw, as one clear text. Anything can be thrown: nothing at all, a string, an object whose
 * `message` throws when it is read; none of them may fail here.
 */
export function describeThrown(thrown: unknown): string {
  return cutText(described(thrown), MAX_ERROR_BYTES)
}

function described(thrown: unknown): string {
  try {
    if (typeof thrown === 'string' && thrown !== '') return thrown
    if (typeof thrown === 'object' && thrown !== null) {
      const { message, name } = thrown as { message?: unknown; name?: unknown }
      if (typeof message === 'string' && message !== '') return message
      if (thrown instanceof Error && typeof name === 'string' && name !== '') return name
    }
    return `the handler threw ${inspect(thrown, { depth: 2, maxStringLength: 1000, breakLength: 100 })}`
  } catch {
    return 'the handler threw something that cannot be described'
  }
}
