import type { QueuePlace } from '../../../shared/job.ts'
import { MAX_PLACE } from '../../../shared/limits.ts'
import { formatNumber, formatOrdinal, formatRough } from './format.ts'

/** `Next in line`, `3rd in line`. */
export function placeText({ place }: QueuePlace): string {
  if (place === null) return `${formatNumber(MAX_PLACE)}+ ahead in line`
  return place === 1 ? 'Next in line' : `${formatOrdinal(place)} in line`
}

/** `starts in about 20 s`, `any moment now`; null where nobody knows. `now` in ms. */
export function startText({ startsAt }: QueuePlace, now: number): string | null {
  if (startsAt === null) return null
  const leftMs = Date.parse(startsAt) - now
  return leftMs < MOMENT_MS ? 'any moment now' : `starts in about ${formatRough(leftMs)}`
}

const MOMENT_MS = 1500
