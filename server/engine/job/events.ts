import type { JobErrorCode } from '../../../shared/codes.ts'
import type { JobEvent } from '../../../shared/event.ts'
import type { StatusChange } from '../../../shared/job.ts'
import type { JobStatus } from '../../../shared/status.ts'
import type { Json } from '../engine.ts'
import type { NewerWords } from './newer-words.ts'

/** What an event says beside its word and its time: each a field of the job, to be assigned as it stands. Times in ms. */
export interface Details {
  readonly scheduledFor: number
  readonly expiresAt: number
  readonly attempt: number
  readonly stalls: number
  readonly errorCode: JobErrorCode
  readonly error: string
}

/** One kind of status event: what it says, and what it changes. */
export interface EventKind {
  /** The statuses in which it may happen; null: there was no such job. */
  readonly from: readonly (JobStatus | null)[]
  /** The status that the job takes; null: it keeps its own. */
  readonly to: JobStatus | null
  /** What the event says of its own, in the order in which stores keep it. */
  readonly carries: readonly (keyof Details)[]
  /** Fields that become its time. */
  readonly stamps: readonly ('startedAt' | 'completedAt')[]
  /** Fields that it sets to the same every time. */
  readonly sets: StatusChange
  /** It brings the job's result, which is stored once, beside the job. */
  readonly withResult?: true
  /** The job goes to the end of its line; else it comes back to where it stood. */
  readonly toEndOfLine?: true
  /** From now on the job has not simply waited since its submission: its claims have no `waitMs`. */
  readonly breaksWait?: true
}

const ENDED = { error: null, errorCode: null } as const

const TABLE = {
  queued: { from: [null], to: 'queued', carries: [], stamps: [], sets: {}, toEndOfLine: true },
  scheduled: {
    from: [null, 'processing'],
    to: 'scheduled',
    carries: ['scheduledFor'],
    stamps: [],
    sets: {},
    breaksWait: true,
  },
  promoted: {
    from: ['scheduled'],
    to: 'queued',
    carries: [],
    stamps: [],
    sets: { scheduledFor: null },
    toEndOfLine: true,
  },
  claimed: {
    from: ['queued'],
    to: 'processing',
    carries: [],
    stamps: ['startedAt'],
    sets: { progress: null },
  },
  completed: {
    from: ['processing'],
    to: 'completed',
    carries: ['expiresAt'],
    stamps: ['completedAt'],
    sets: ENDED,
    withResult: true,
  },
  failed: {
    from: ['processing'],
    to: 'failed',
    carries: ['expiresAt', 'errorCode', 'error'],
    stamps: ['completedAt'],
    sets: {},
  },
  /** A run failed, and there is to be another attempt. */
  rescheduled: {
    from: ['processing'],
    to: 'scheduled',
    carries: ['scheduledFor', 'attempt', 'errorCode', 'error'],
    stamps: [],
    sets: {},
    breaksWait: true,
  },
  /** A run was given back unspent. */
  released: { from: ['processing'], to: 'queued', carries: [], stamps: [], sets: {} },
  /** The lease of a run ran out. */
  rescued: {
    from: ['processing'],
    to: 'queued',
    carries: ['stalls'],
    stamps: [],
    sets: {},
    breaksWait: true,
  },
  /** The lease of a run ran out once too often. */
  stalled: {
    from: ['processing'],
    to: 'failed',
    carries: ['expiresAt', 'stalls', 'error'],
    stamps: ['completedAt'],
    sets: { errorCode: 'stalled' },
  },
  cancelled: {
    from: ['scheduled', 'queued', 'processing'],
    to: 'cancelled',
    carries: ['expiresAt'],
    stamps: ['completedAt'],
    sets: { cancelRequested: true, error: null, errorCode: 'cancelled', scheduledFor: null },
  },
  /** A cancel of a running job was requested. */
  cancelling: {
    from: ['processing'],
    to: null,
    carries: [],
    stamps: [],
    sets: { cancelRequested: true },
  },
  /** By hand: as if new. */
  retried: {
    from: ['failed', 'cancelled'],
    to: 'queued',
    carries: [],
    stamps: [],
    sets: {
      ...{ attempt: 1, stalls: 0, cancelRequested: false, progress: null, result: null },
      ...{ ...ENDED, startedAt: null, completedAt: null, expiresAt: null },
    },
    toEndOfLine: true,
    breaksWait: true,
  },
} as const satisfies Record<string, EventKind>

export type EventWord = keyof typeof TABLE

/**
 * Every status event that there is, by the word that stores have for it. A transition is such an event
 * (transitions.ts), and whatever it changes follows from this table: the stored job (`stored-job.ts`), what readers are
 * told (`changeOf`), and the status words of Redis' scripts.
 */
export const EVENTS: Readonly<Record<EventWord, EventKind>> = TABLE

/** A status event as stores know it, by its word. */
export type StatusEvent<Word extends EventWord = EventWord> = {
  [One in Word]: { readonly word: One } & Pick<Details, (typeof TABLE)[One]['carries'][number]>
}[Word]

/** What it says, whichever it is. */
export function detailsOf(event: { readonly word: EventWord } & Partial<Details>): Partial<Details> {
  return event
}

const TIMES: ReadonlySet<keyof Details> = new Set(['scheduledFor', 'expiresAt'])

export function isEventWord(word: string): word is EventWord {
  return Object.hasOwn(EVENTS, word)
}

/** Details as they are read. */
export type ReadDetails = { -readonly [Name in keyof Details]?: Details[Name] }

/** An event of a store's own words. Null where the word is of a newer version, which is noted. */
export function eventOf(word: string, details: ReadDetails, newer: NewerWords): StatusEvent | null {
  if (!isEventWord(word)) {
    newer.note('event', word)
    return null
  }
  if (details.errorCode !== undefined) details.errorCode = newer.errorCode(details.errorCode)
  // Stores write of each word what the table says.
  return { word, ...details } as StatusEvent
}

/** Of a job whose runs stalled too often. */
export function stallError(stalls: number): string {
  return `the lease ran out ${stalls} times`
}

/** The data of a status event as everyone sees it. `result` is asked where the event brings one. */
export function changeOf(event: StatusEvent, at: number, result: () => Json): StatusChange {
  const { to, sets, stamps, carries, withResult } = EVENTS[event.word]
  const details = detailsOf(event)
  // Not spread: a literal that begins with a spread of objects that differ in their fields takes V8 some microseconds.
  const change: Record<string, unknown> = to === null ? {} : { status: to }
  Object.assign(change, sets)
  for (const field of stamps) change[field] = iso(at)
  for (const field of carries) {
    const detail = details[field]
    change[field] = TIMES.has(field) && typeof detail === 'number' ? iso(detail) : detail
  }
  if (withResult === true) change.result = result()
  return change
}

/** Seconds that times fell into lately, and their texts up to the fraction: formatting a date is what costs. */
const SECONDS_KNOWN = 64
const seconds: number[] = Array(SECONDS_KNOWN).fill(Number.NaN)
const texts: string[] = Array(SECONDS_KNOWN).fill('')
const FRACTIONS = Array.from({ length: 1000 }, (_, ms) => `${String(ms).padStart(3, '0')}Z`)

/** A time as everyone sees it. */
export function iso(ms: number): string {
  const second = Math.floor(ms / 1000)
  const slot = second & (SECONDS_KNOWN - 1)
  if (seconds[slot] !== second) {
    texts[slot] = new Date(second * 1000).toISOString().slice(0, -4)
    seconds[slot] = second
  }
  return `${texts[slot]}${FRACTIONS[ms - second * 1000]}`
}

export function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms)
}

type DataOf<Kind extends JobEvent['kind']> = Extract<JobEvent, { kind: Kind }>['data']

/**
 * An event whose data is still the JSON that it is stored as. Nearly always it passes a gateway as text: it is parsed for
 * whoever asks, anew each time.
 */
export class TextEvent<Kind extends JobEvent['kind'] = JobEvent['kind']> {
  readonly seq: number
  readonly at: string
  readonly kind: Kind
  /** What the job becomes by it; undefined where it stays what it is. */
  readonly status: JobStatus | undefined
  readonly #data: string

  constructor(seq: number, at: string, kind: Kind, data: string, status?: JobStatus) {
    this.seq = seq
    this.at = at
    this.kind = kind
    this.status = status
    this.#data = data
  }

  get data(): DataOf<Kind> {
    return JSON.parse(this.#data)
  }

  toJSON(): { seq: number; at: string; kind: Kind; data: DataOf<Kind> } {
    const { seq, at, kind, data } = this
    return { seq, at, kind, data }
  }

  /** The same as `JSON.stringify` of it. */
  toText(): string {
    return `{"seq":${this.seq},"at":"${this.at}","kind":"${this.kind}","data":${this.#data}}`
  }
}

/**
 * A status event as everyone sees it. The result, where it brings one, is at hand as JSON and may be large: so it is passed on
 * as it is.
 */
export function statusEvent(seq: number, event: StatusEvent, at: number, result: string): JobEvent {
  const change = changeOf(event, at, () => null)
  if (EVENTS[event.word].withResult !== true) return { seq, at: iso(at), kind: 'status', data: change }
  const { result: _none, ...others } = change
  const data = `${JSON.stringify(others).slice(0, -1)},"result":${result}}`
  return new TextEvent(seq, iso(at), 'status', data, change.status)
}

/** The status that a job takes by an event; undefined where it keeps its own. */
export function statusOf(event: JobEvent): JobStatus | undefined {
  if (event instanceof TextEvent) return event.status
  return event.kind === 'status' ? event.data.status : undefined
}
