/**
 * Numbers and times as the reader's browser writes them; the words and units around them are the page's.
 */

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 })
const compact = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 })
const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 })
const exactTime = new Intl.DateTimeFormat(undefined, {
  hourCycle: 'h23',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
})
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

export function formatNumber(value: number): string {
  return whole.format(value)
}

/** A number where there is little room: 12 K. */
export function formatCompact(value: number): string {
  return compact.format(value)
}

export function formatDecimal(value: number): string {
  return tenths.format(value)
}

/** 0–100. */
export function formatPercent(percent: number): string {
  return `${whole.format(Math.floor(percent))} %`
}

/** A measured length of time: `8 ms`, `4.2 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  const value = Math.max(0, ms)
  if (value < SECOND) return `${whole.format(value)} ms`
  if (value < MINUTE) return `${tenths.format(Math.floor(value / 100) / 10)} s`
  return inTwoUnits(value)
}

/** A length of time that grows while one looks at it: whole seconds, so that it ticks evenly. */
export function formatTicking(ms: number): string {
  const value = Math.max(0, ms)
  return value < MINUTE ? `${whole.format(Math.floor(value / SECOND))} s` : inTwoUnits(value)
}

/** A length of time that nobody knows exactly, in steps that say so: `9 s`, `25 s`, `3 min`, `2 h`. */
export function formatRough(ms: number): string {
  if (ms < 10 * SECOND) return `${whole.format(Math.ceil(ms / SECOND))} s`
  if (ms < 57.5 * SECOND) return `${whole.format(Math.round(ms / (5 * SECOND)) * 5)} s`
  if (ms < 59.5 * MINUTE) return `${whole.format(Math.round(ms / MINUTE))} min`
  if (ms < DAY) return `${whole.format(Math.round(ms / HOUR))} h`
  return `${whole.format(Math.round(ms / DAY))} d`
}

const ordinals = new Intl.PluralRules('en', { type: 'ordinal' })
const ORDINAL_ENDINGS: Readonly<Record<string, string>> = { one: 'st', two: 'nd', few: 'rd', other: 'th' }

/** 1st, 2nd, 3rd, 4th. */
export function formatOrdinal(value: number): string {
  return `${whole.format(value)}${ORDINAL_ENDINGS[ordinals.select(value)]}`
}

function inTwoUnits(ms: number): string {
  if (ms < HOUR) return pair(ms, MINUTE, 'min', SECOND, 's')
  if (ms < DAY) return pair(ms, HOUR, 'h', MINUTE, 'min')
  return pair(ms, DAY, 'd', HOUR, 'h')
}

function pair(ms: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((ms % large) / small)
  const head = `${whole.format(Math.floor(ms / large))} ${largeUnit}`
  return rest === 0 ? head : `${head} ${whole.format(rest)} ${smallUnit}`
}

/** How long ago, coarsely: `now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 d ago`. */
export function formatAge(ms: number): string {
  if (ms < 2 * SECOND) return 'now'
  if (ms < MINUTE) return `${whole.format(Math.floor(ms / SECOND))} s ago`
  if (ms < HOUR) return `${whole.format(Math.floor(ms / MINUTE))} min ago`
  if (ms < DAY) return `${whole.format(Math.floor(ms / HOUR))} h ago`
  return `${whole.format(Math.floor(ms / DAY))} d ago`
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${whole.format(bytes)} B`
  if (bytes < 1_000_000) return `${tenths.format(bytes / 1000)} kB`
  return `${tenths.format(bytes / 1_000_000)} MB`
}

/** A time of day with milliseconds, around the clock, for the timeline and the log. */
export function formatExact(at: string): string {
  return exactTime.format(new Date(at))
}

export function formatDateTime(at: string): string {
  return dateTime.format(new Date(at))
}

/** The time from one point to another, in ms. */
export function between(from: string, to: string | number): number {
  return (typeof to === 'string' ? Date.parse(to) : to) - Date.parse(from)
}
