/**
 * The checked border to what Redis answers: text, whole numbers and lists of them. Anything else is a mistake in a
 * script, and throws.
 */

export function text(reply: unknown): string {
  if (typeof reply === 'string') return reply
  if (typeof reply === 'number') return String(reply)
  throw new TypeError(`Redis answered ${reply === null ? 'null' : typeof reply} where text was expected`)
}

export function whole(reply: unknown): number {
  const number = Number(text(reply))
  if (Number.isSafeInteger(number)) return number
  throw new TypeError('Redis answered something else where a whole number was expected')
}

export function list(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply
  throw new TypeError(`Redis answered ${reply === null ? 'null' : typeof reply} where a list was expected`)
}

/** One of a script's own words. */
export function word<const W extends string>(reply: unknown, words: readonly W[]): W {
  const found = words.find((one) => one === reply)
  if (found !== undefined) return found
  throw new TypeError(`Redis answered something else than ${words.join(', ')}`)
}
