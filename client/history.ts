import { parseCursor } from '../shared/cursor.ts'
import type { JobEvent } from '../shared/event.ts'
import { RETAINED_EVENTS } from '../shared/limits.ts'

/** Stands among a job's events, in its place, where some are missing that will never come. */
export interface Missed {
  readonly kind: 'missed'
  /** The same as `to`. */
  readonly seq: number
  /**
   * The first and the last seq of what is missing. What is still there of it (changes of status) stands before; merged
   * progress counts as well, so that it may be fewer events than seqs. With `epoch`, `to` is 0 where nothing is missing.
   */
  readonly from: number
  readonly to: number
  /**
   * `trimmed` they are no longer kept: the server keeps the newest 1,000 lines and chunks, a watch's `events` the newest
   * 2,000. `epoch` the store has lost history: what was seen before may never have happened, and seqs count anew.
   */
  readonly reason: 'trimmed' | 'epoch'
}

export type Hole = Pick<Missed, 'from' | 'to' | 'reason'>

/** What a watch delivers. */
export type WatchEvent = JobEvent | Missed

/** A watch keeps as many status events as the server retains, and as many logs and chunks. */
const KEPT_EVENTS = 2 * RETAINED_EVENTS

export function missed(reason: Missed['reason'], from: number, to: number): Missed {
  return { kind: 'missed', seq: to, from, to, reason }
}

/**
 * Retained events from a seq on, with a mark where the server has trimmed some; `trimmed` is the seq of the last one.
 * What follows the mark is complete.
 */
export function marked(events: readonly JobEvent[], from: number, trimmed: number): readonly WatchEvent[] {
  let first = from
  for (const { seq } of events) {
    if (seq !== first) break
    first += 1
  }
  if (first > trimmed) return events
  const isComplete = ({ seq }: JobEvent) => seq > trimmed
  const before = events.filter((event) => !isComplete(event))
  return [...before, missed('trimmed', first, trimmed), ...events.filter(isComplete)]
}

/** All that is missing among the events: of several holes, from the first to the last. */
export function missedIn(events: readonly WatchEvent[]): Hole | null {
  const first = events.find((event) => event.kind === 'missed')
  if (first === undefined) return null
  const last = events.findLast((event) => event.kind === 'missed') ?? first
  return { from: first.from, to: last.to, reason: first.reason }
}

const BEGUN_ANEW = missed('epoch', 1, 0)

/** The events after a cursor; where they belong to another history, named by `current`, all of them, and a mark. */
export function after(cursor: string, events: readonly WatchEvent[], current: string): readonly WatchEvent[] {
  if (cursor === '') return events
  const { epoch, seq } = parseCursor(cursor)
  if (epoch !== parseCursor(current).epoch) {
    const [first] = events
    return first?.kind === 'missed' && first.reason === 'epoch' ? events : [BEGUN_ANEW, ...events]
  }
  return events.flatMap((event) => {
    if (event.seq <= seq) return []
    return event.kind === 'missed' && event.from <= seq ? missed(event.reason, seq + 1, event.to) : event
  })
}

/**
 * Progress is merged to the latest between other events. The list is bounded: of what is no change of status, the oldest
 * goes, and leaves a mark.
 */
export function appended(events: readonly WatchEvent[], fresh: readonly WatchEvent[]): readonly WatchEvent[] {
  if (fresh.length === 0) return events
  const list = [...events]
  for (const event of fresh) {
    if (event.kind === 'progress' && list.at(-1)?.kind === 'progress') list.pop()
    list.push(event)
  }
  return list.length > KEPT_EVENTS ? cut(list) : list
}

function cut(list: readonly WatchEvent[]): readonly WatchEvent[] {
  const kept: WatchEvent[] = []
  let hole: Missed | null = null
  let index = 0
  for (const event of list) {
    if (kept.length + list.length - index <= KEPT_EVENTS) break
    index += 1
    if (event.kind === 'status') kept.push(event)
    else if (event.kind === 'missed')
      hole = missed(hole?.reason ?? event.reason, hole?.from ?? event.from, event.to)
    else if (event.kind !== 'progress')
      hole = missed(hole?.reason ?? 'trimmed', hole?.from ?? event.seq, event.seq)
  }
  if (hole !== null) kept.push(hole)
  return kept.concat(list.slice(index))
}
