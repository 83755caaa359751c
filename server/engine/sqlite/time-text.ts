/** The times that were asked for last: a transaction's events share a few. */
const times = new Map<number, string>()
const MAX_TIMES = 100

/** A time as everyone sees it. */
export function iso(time: number): string {
  const known = times.get(time)
  if (known !== undefined) return known
  const text = new Date(time).toISOString()
  if (times.size >= MAX_TIMES) times.clear()
  times.set(time, text)
  return text
}

export function isoOrNull(time: number | null): string | null {
  return time === null ? null : iso(time)
}
