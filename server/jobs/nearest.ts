/** Names that differ by more are no slip of the fingers. */
const MAX_SLIPS = 3
const MAX_NAME = 64
const MOST_NEAREST = 3

/** Known names that are like this one, as after a slip of the fingers: up to three, the most like it first. */
export function nearestNames(name: string, known: readonly string[]): string[] {
  if (name.length > MAX_NAME) return []
  const most = Math.max(1, Math.min(MAX_SLIPS, Math.floor(name.length / 3)))
  return [...new Set(known)]
    .map((one) => ({ one, slips: slipsBetween(name.toLowerCase(), one) }))
    .filter(({ slips }) => slips <= most)
    .sort((one, other) => one.slips - other.slips || (one.one < other.one ? -1 : 1))
    .slice(0, MOST_NEAREST)
    .map(({ one }) => one)
}

/** Characters to be added, left out or replaced to make the one name of the other (Levenshtein's distance). */
function slipsBetween(one: string, other: string): number {
  let last = Array.from({ length: other.length + 1 }, (_, at) => at)
  for (let row = 1; row <= one.length; row += 1) {
    const next = [row]
    for (let at = 1; at <= other.length; at += 1) {
      const replaced = (last[at - 1] ?? 0) + (one[row - 1] === other[at - 1] ? 0 : 1)
      next.push(Math.min(replaced, (last[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1))
    }
    last = next
  }
  return last[other.length] ?? 0
}
