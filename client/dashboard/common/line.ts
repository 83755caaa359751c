import type { Held, QueuePlace } from '../../../shared/job.ts'
import { MAX_PLACE } from '../../../shared/limits.ts'
import { formatNumber, formatOrdinal, formatRough } from './format.ts'

/** `Next in line`, `3rd in line`. */
export function placeText({ place }: QueuePlace): string {
  if (place === null) return `${formatNumber(MAX_PLACE)}+ ahead in line`
  return place === 1 ? 'Next in line' : `${formatOrdinal(place)} in line`
}

const HELD: Readonly<Partial<Record<string, string>>> = {
  paused: 'its type is paused',
  no_worker: 'no worker runs its type',
} satisfies Record<Held, string>

/** `starts in about 20 s`, `any moment now`, `its type is paused`; null where nobody knows. `now` in ms. */
export function startText({ startsAt, held }: QueuePlace, now: number): string | null {
  if (held !== null) return HELD[held] ?? 'it is held'
  if (startsAt === null) return null
  const leftMs = Date.parse(startsAt) - now
  return leftMs < MOMENT_MS ? 'any moment now' : `starts in about ${formatRough(leftMs)}`
}

const MOMENT_MS = 1500
