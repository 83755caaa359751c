/**
 * A cursor names the last event that a subscriber has applied: `<epoch>.<seq>`.
 * The epoch may itself contain dots; the seq is what follows the last one. Imports nothing.
 */
export interface Cursor {
  /** One unbroken life of the store's history; no white space. */
  readonly epoch: string
  /** Sequence number of the last applied event of the job; 0 before the first. */
  readonly seq: number
}

export function formatCursor(epoch: string, seq: number): string {
  return `${epoch}.${seq}`
}

const CURSOR = /^(\S{1,64})\.(0|[1-9]\d{0,14})$/

/**
 * Reads a cursor. One that cannot be read comes back with an epoch that no store has (the empty string),
 * so that it is treated as one of another history wherever it turns up.
 */
export function parseCursor(text: string): Cursor {
  const match = CURSOR.exec(text)
  if (match?.[1] === undefined || match[2] === undefined) return { epoch: '', seq: 0 }
  return { epoch: match[1], seq: Number(match[2]) }
}

/** The cursor after an event, given any earlier cursor of the same subscription. */
export function advanceCursor(cursor: string, seq: number): string {
  return cursor.slice(0, cursor.lastIndexOf('.') + 1) + String(seq)
}

export function isSameHistory(one: string, other: string): boolean {
  return parseCursor(one).epoch === parseCursor(other).epoch
}

/** The later one of two cursors of a job; the second where they are of different histories. */
export function laterCursor(one: string, other: string): string {
  const [a, b] = [parseCursor(one), parseCursor(other)]
  return a.epoch === b.epoch && a.seq >= b.seq ? one : other
}
