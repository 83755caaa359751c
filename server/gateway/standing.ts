import type { Held, QueuePlace } from '../../shared/job.ts'

/** Where a queued job stands, with its time in ms since the epoch. */
export interface Standing {
  readonly place: number | null
  readonly startsAtMs: number | null
  readonly held: Held | null
}

export function toQueuePlace({ place, startsAtMs, held }: Standing): QueuePlace {
  return { place, startsAt: startsAtMs === null ? null : new Date(startsAtMs).toISOString(), held }
}

/** Further back than this place, steps of a hundredth are told, and not every one. */
const EXACT_PLACES = 100
/** An estimate is told anew when it has moved by more than this, and by more than a fifth of what was left. */
const MIN_SHIFT_MS = 1000
const MIN_SHIFT_SHARE = 1 / 5

/** Whether who was told the one should be told the other; `nowMs` on the same clock as they. */
export function isNews(told: Standing | null, is: Standing, nowMs: number): boolean {
  if (told === null || told.held !== is.held) return true
  return isAnotherPlace(told.place, is.place) || isAnotherTime(told.startsAtMs, is.startsAtMs, nowMs)
}

function isAnotherPlace(told: number | null, is: number | null): boolean {
  if (told === null || is === null) return told !== is
  return Math.abs(is - told) >= Math.max(1, Math.min(told, is) / EXACT_PLACES)
}

/** Whatever is past is "at any moment". */
function isAnotherTime(told: number | null, is: number | null, nowMs: number): boolean {
  if (told === null || is === null) return told !== is
  const leftMs = Math.max(0, told - nowMs)
  const shiftMs = Math.abs(Math.max(0, is - nowMs) - leftMs)
  return shiftMs >= MIN_SHIFT_MS && shiftMs > leftMs * MIN_SHIFT_SHARE
}
