export const QUOTE = 0x22
const BACKSLASH = 0x5c
export const OPEN_BRACKET = 0x5b
export const CLOSE_BRACKET = 0x5d
export const OPEN_BRACE = 0x7b
export const CLOSE_BRACE = 0x7d

/** Where the quote stands that ends a string; `from` is behind the one that begins it. */
export function endOfString(text: Buffer, from: number): number {
  for (let quote = text.indexOf(QUOTE, from); quote !== -1; quote = text.indexOf(QUOTE, quote + 1)) {
    let backslashes = 0
    while (quote - 1 - backslashes >= from && text[quote - 1 - backslashes] === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return quote
  }
  return text.length
}
