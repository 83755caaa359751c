import { parseCursor } from '../shared/cursor.ts'
import type { Replay } from '../shared/protocol.ts'

/** The later one of two cursors of a job; the second where they are of different histories. */
export function later(one: string, other: string): string {
  const [a, b] = [parseCursor(one), parseCursor(other)]
  return a.epoch === b.epoch && a.seq >= b.seq ? one : other
}

export function isSameHistory(one: string, other: string): boolean {
  return parseCursor(one).epoch === parseCursor(other).epoch
}

/** A snapshot of this same history that is older than the cursor: from a link that lags behind another. */
export function isBehind(replay: Replay & { mode: 'snapshot' }, cursor: string): boolean {
  if (replay.reason === 'ahead' || replay.reason === 'epoch') return false
  return later(cursor, replay.cursor) === cursor && cursor !== replay.cursor
}
