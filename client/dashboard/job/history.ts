import type { JobEvent } from '../../../shared/event.ts'
import type { JobStatus } from '../../../shared/status.ts'
import type { Missed, WatchEvent } from '../../index.ts'
import { formatNumber } from '../common/format.ts'
import type { Json } from '../common/shorten.ts'

type StatusEvent = Extract<JobEvent, { kind: 'status' }>
type LogEvent = Extract<JobEvent, { kind: 'log' }>
type ChunkEvent = Extract<JobEvent, { kind: 'chunk' }>

/** One row of the timeline. */
export interface Moment {
  readonly seq: number
  readonly at: string
  readonly label: string
  /** What it says besides: an error, the time of the next attempt. */
  readonly detail: string | null
  readonly status: JobStatus | null
}

export interface LogEntry {
  readonly event: LogEvent
  /** Set at the first line of each run but the first: `Attempt 2`, or `Attempt 1, again` after a worker was lost. */
  readonly heading: string | null
}

/** The changes of status, in words, and what is missing among all events. */
export function momentsOf(events: readonly WatchEvent[]): readonly (Moment | Missed)[] {
  const moments: (Moment | Missed)[] = []
  let attempt = 1
  let before: JobStatus | null = null
  for (const event of events) {
    if (event.kind === 'missed') moments.push(event)
    if (event.kind !== 'status') continue
    attempt = event.data.attempt ?? attempt
    moments.push({ seq: event.seq, at: event.at, ...inWords(event, before, attempt) })
    before = event.data.status ?? before
  }
  return moments
}

function inWords({ data }: StatusEvent, before: JobStatus | null, attempt: number) {
  const status = data.status ?? null
  const error = data.error ?? null
  switch (status) {
    case 'scheduled':
      return before === 'processing'
        ? { label: `Attempt ${attempt - 1} failed`, detail: error, status }
        : { label: 'Scheduled', detail: null, status }
    case 'queued':
      return { label: queuedFrom(before, attempt), detail: null, status }
    case 'processing':
      return { label: attempt > 1 ? `Attempt ${attempt} started` : 'Started', detail: null, status }
    case 'completed':
      return { label: 'Completed', detail: null, status }
    case 'failed':
      return { label: 'Failed', detail: error, status }
    case 'cancelled':
      return { label: 'Cancelled', detail: null, status }
    case null:
      return { label: data.cancelRequested === true ? 'Cancel requested' : 'Changed', detail: null, status }
  }
}

function queuedFrom(before: JobStatus | null, attempt: number): string {
  if (before === 'processing') return 'Back in the queue'
  if (before === 'scheduled') return attempt > 1 ? 'Queued again' : 'Due'
  if (before === 'failed' || before === 'cancelled') return 'Retried by hand'
  return 'Queued'
}

/** In words of the reader, who knows no seqs but those of what is missing. */
export function inWordsMissed({ from, to, reason }: Missed): string {
  const count = to - from + 1
  const which =
    count === 1 ? `Event ${formatNumber(to)} is` : `Events ${formatNumber(from)} to ${formatNumber(to)} are`
  if (reason === 'trimmed') return `${which} no longer kept`
  const lost = 'The server lost part of its history: what was shown before may have changed'
  return count < 1 ? lost : `${lost}. ${which} no longer kept`
}

/** The log of all attempts; in between, what is missing among all events, some of which may have been lines. */
export function logOf(events: readonly WatchEvent[]): readonly (LogEntry | Missed)[] {
  const entries: (LogEntry | Missed)[] = []
  let attempt = 1
  let lastRun: number | null = null
  let heading: string | null = null
  for (const event of events) {
    if (event.kind === 'status') {
      attempt = event.data.attempt ?? attempt
      if (event.data.status === 'processing') {
        if (lastRun !== null) heading = `Attempt ${attempt}${attempt === lastRun ? ', again' : ''}`
        lastRun = attempt
      }
    }
    if (event.kind === 'missed') entries.push(event)
    if (event.kind !== 'log') continue
    entries.push({ event, heading })
    heading = null
  }
  return entries
}

/** What the latest run has sent so far; in between, what is missing among all events. */
export function outputOf(events: readonly WatchEvent[]): readonly (ChunkEvent | Missed)[] {
  const claim = events.findLastIndex((event) => event.kind === 'status' && event.data.status === 'processing')
  return events.slice(claim + 1).filter((event) => event.kind === 'chunk' || event.kind === 'missed')
}

/** A piece of a picture, as the `render` type sends it; positions and sizes in pixels. */
export interface Tile {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly dataUrl: string
}

/** The chunk as a tile, or null where it is something else. */
export function asTile(data: Json): Tile | null {
  if (!isRecord(data)) return null
  const { x, y, width, height, dataUrl } = data
  if (typeof x !== 'number' || typeof y !== 'number') return null
  if (typeof width !== 'number' || typeof height !== 'number' || !isPictureUrl(dataUrl)) return null
  return { x, y, width, height, dataUrl }
}

export function isRecord(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isPictureUrl(value: Json | undefined): value is string {
  return typeof value === 'string' && /^data:image\/(png|jpeg|webp|avif|gif);base64,/.test(value)
}
