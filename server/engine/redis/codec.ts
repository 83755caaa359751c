import type { JobErrorCode } from '../../../shared/codes.ts'
import type { JobEvent } from '../../../shared/event.ts'
import type { Job, Progress, StatusChange } from '../../../shared/job.ts'
import type { Labels, RunPolicy } from '../../../shared/options.ts'
import { isTerminal, JOB_STATUSES, type JobStatus } from '../../../shared/status.ts'
import type { FeedMessage, Json, RunEvent } from '../engine.ts'
import {
  changeOf,
  type Details,
  type EventWord,
  eventOf,
  isEventWord,
  iso,
  type ReadDetails,
  stallError,
  statusEvent,
  TextEvent,
} from '../job/events.ts'
import { decodeLabels } from '../job/labels.ts'
import { decodeNamed } from '../job/named.ts'
import { type NewerWords, UNKNOWN_STATUS } from '../job/newer-words.ts'
import { completePolicy, encodeUnplaced, remembered } from '../job/policy.ts'
import { eventsInOrder, jobOf, type StoredJob } from '../job/stored-job.ts'
import { list, text } from './scripts.ts'

/**
 * How jobs and events stand in Redis.
 *
 * A job is a hash of few and short fields, so that Redis keeps it in one small block and finds each at once:
 *
 * | field | what |
 * |---|---|
 * | `state` | `<seq> <status> <detail>`: all that every change changes. Detail is the lease of a run, when a scheduled job is due or when a terminal one is forgotten. A run that is to be cancelled has the status `cancelling` |
 * | `kind` | what jobs have in common, so that it is parsed once for many: type and policy (`encodeKind`) |
 * | `born` | `<created> <score in its queue> <labels>` (labels.ts) |
 *
 * and where they say something `payload` and `result` (up to 64 bytes, else keys of their own), `attempt`, `stalls`,
 * `cancel` (of a job that completed all the same), `progress` (its latest event), `failure` (`[error, code]`, or
 * `stalled`; of no meaning once it is completed or cancelled), `retried` (by hand), `trimmed`, `bytes` (of log lines and
 * chunks). Times are ms.
 *
 * Its status events are fields as well, named by their seq. Each is `<at> <word> <details>`, the same text that is
 * published as `<seq> <at> <word> <details>`:
 *
 * | word | details |
 * |---|---|
 * | `scheduled` | due, and of a run that was put off the token of its lease |
 * | `promoted`, `claimed`, `retried`, `cancelling` | |
 * | `completed` | token of the lease, expires, and where published the result |
 * | `failed` | token, expires, failure |
 * | `rescheduled` | token, attempt, due, failure |
 * | `released` | token |
 * | `rescued` | stalls |
 * | `stalled` | expires, stalls |
 * | `cancelled` | token or `-`, expires |
 *
 * The first event of a job that was queued at once is left out: `created` says it all. Other events are
 * `<seq> <at> progress <percent> <note>`, `… log <data>` and `… chunk <data>`; `<seq> <at> advance <bytes>` stands
 * for one that is too large to publish. Readers know that there may be other words, fields, and more behind a known one: see
 * `NewerWords`.
 */

/** Takes `<created> <score> <labels>` apart. */
export function decodeBorn(stored: string): { created: string; labels: Labels } {
  const score = stored.indexOf(' ')
  const labels = stored.indexOf(' ', score + 1)
  return { created: stored.slice(0, score), labels: decodeLabels(labels < 0 ? '' : stored.slice(labels + 1)) }
}

export function encodeFailure(error: string, errorCode: JobErrorCode): string {
  return JSON.stringify([error, errorCode])
}

/** Kind and data of an event that a run reports, as scripts take them. */
export function encodeRunEvent(event: RunEvent): [kind: string, data: string] {
  if (event.kind !== 'progress') return [event.kind, JSON.stringify(event.data)]
  const { percent, note } = event.data
  return [event.kind, note === null ? `${percent}` : `${percent} ${JSON.stringify(note)}`]
}

/** A job's hash and what belongs to it, as a script describes them (lua/lib/read.lua, lua/read.lua). */
export class JobHash {
  readonly #fields = new Map<string, string>()
  readonly #payload: string
  readonly #result: string
  readonly #lines: readonly unknown[]
  readonly mode: 'snapshot' | 'resume'
  readonly seq: number
  readonly status: JobStatus
  readonly #cancelling: boolean
  /** With the status: see `state` above. */
  readonly #detail: string
  /** Highest seq of a status event, log line or chunk that is no longer retained, or counts as such. */
  readonly trimmed: number
  readonly #newer: NewerWords

  constructor(reply: unknown, newer: NewerWords) {
    this.#newer = newer
    const [fields, payload, result, lines, mode] = list(reply)
    const pairs = list(fields)
    for (let at = 0; at < pairs.length; at += 2) this.#fields.set(text(pairs[at]), text(pairs[at + 1]))
    this.#payload = text(payload)
    this.#result = text(result)
    this.#lines = lines === undefined ? [] : list(lines)
    this.mode = mode === 'resume' ? 'resume' : 'snapshot'
    const [seq, state] = splitSeq(this.#get('state'))
    const [status, detail] = cut(state)
    this.seq = seq
    this.#cancelling = status === 'cancelling'
    this.status = this.#cancelling ? 'processing' : knownStatus(status, newer)
    this.#detail = detail
    this.trimmed = Math.max(this.#number('trimmed', 0), this.#lastUnknown())
  }

  /** Of its status events the last with a word of a newer version: what it changed is not known. 0 where there is none. */
  #lastUnknown(): number {
    let last = 0
    for (const [field, stored] of this.#fields) {
      const seq = Number(field)
      if (!Number.isInteger(seq) || stored === '') continue
      const [kind] = cut(cut(stored)[1])
      if (isEventWord(kind)) continue
      this.#newer.note('event', kind)
      last = Math.max(last, seq)
    }
    return last
  }

  job(jobId: string, epoch: string): Job {
    const payload = this.#fields.get('payload') ?? this.#payload
    const result = this.status === 'completed' ? this.#resultText() : null
    return jobOf(this.#stored(jobId), { payload, result }, epoch)
  }

  #stored(jobId: string): StoredJob {
    const { type, policy } = decodeKind(this.#get('kind'))
    const { created, labels } = decodeBorn(this.#get('born'))
    const { seq, status } = this
    const expiresAt = isTerminal(status) ? Number(this.#detail) : null
    return {
      ...{ jobId, type, policy, labels, createdAt: Number(created), seq, status },
      attempt: this.#number('attempt', 1),
      stalls: this.#number('stalls', 0),
      cancelRequested: this.#cancelling || status === 'cancelled' || this.#fields.has('cancel'),
      progress: this.#progress(),
      ...this.#failure(),
      scheduledFor: status === 'scheduled' ? Number(this.#detail) : null,
      startedAt: this.#started(),
      completedAt: expiresAt === null ? null : expiresAt - policy.retainMs,
      expiresAt,
    }
  }

  /** The retained events after a seq, in order. */
  events(after: number): JobEvent[] {
    const kept: JobEvent[] = []
    const result = () => JSON.parse(this.#resultText() ?? 'null')
    for (const [field, stored] of this.#fields) {
      const seq = Number(field)
      if (!Number.isInteger(seq) || seq <= after || stored === '') continue
      const event = decodeStored(seq, stored, result, this.#newer)
      if (event !== null) kept.push(event)
    }
    for (const line of this.#lines) {
      const [seq, stored] = splitSeq(text(line))
      const event = seq > after ? decodeStored(seq, stored, () => null, this.#newer) : null
      if (event !== null) kept.push(event)
    }
    const [created] = cut(this.#get('born'))
    const job = { createdAt: Number(created), progress: this.#progress() }
    // Where it was forgotten there is an empty one.
    return eventsInOrder(job, after, kept, !this.#fields.has('1'))
  }

  /** When the last run was claimed, unless the job was retried by hand since: its events know. */
  #started(): number | null {
    let last = 0
    let started: number | null = null
    for (const [field, stored] of this.#fields) {
      const seq = Number(field)
      if (!(seq > last)) continue
      const [at, rest] = cut(stored)
      const [kind] = cut(rest)
      if (kind !== 'claimed' && kind !== 'retried') continue
      last = seq
      started = kind === 'claimed' ? Number(at) : null
    }
    return started
  }

  #progress(): StoredJob['progress'] {
    const stored = this.#fields.get('progress')
    if (stored === undefined) return null
    const [seq, rest] = splitSeq(stored)
    const [at, data] = cut(rest)
    return { seq, at: Number(at), data: decodeProgress(data) }
  }

  /** Null where there is none. */
  #resultText(): string | null {
    return (this.#fields.get('result') ?? this.#result) || null
  }

  #failure(): Pick<StoredJob, 'error' | 'errorCode'> {
    if (this.status === 'cancelled') return { error: null, errorCode: 'cancelled' }
    if (this.status === 'completed') return { error: null, errorCode: null }
    const stored = this.#fields.get('failure')
    if (stored === undefined) return { error: null, errorCode: null }
    if (stored === 'stalled') return { error: stallError(this.#number('stalls', 0)), errorCode: 'stalled' }
    return decodeFailure(stored, this.#newer)
  }

  #get(field: string): string {
    return text(this.#fields.get(field))
  }

  #number(field: string, otherwise: number): number {
    const stored = this.#fields.get(field)
    return stored === undefined ? otherwise : Number(stored)
  }
}

export function knownStatus(stored: string, newer: NewerWords): JobStatus {
  const known = JOB_STATUSES.find((status) => status === stored)
  if (known === undefined) newer.note('status', stored)
  return known ?? UNKNOWN_STATUS
}

/** What was published on a job's channel. What a newer version publishes is to be read. */
export function decodeMessage(message: string, newer: NewerWords): FeedMessage {
  if (message.startsWith('gone ')) {
    return { kind: 'gone', reason: message === 'gone removed' ? 'removed' : 'expired' }
  }
  const [seq, stored] = splitSeq(message)
  const [time, rest] = cut(stored)
  const [kind, details] = cut(rest)
  const at = Number(time)
  switch (kind) {
    case 'advance':
      return { kind, seq, bytes: Number(details) }
    case 'progress':
      return { kind: 'event', event: new TextEvent(seq, iso(at), kind, progressText(details)) }
    case 'log':
      return { kind: 'event', event: new TextEvent(seq, iso(at), kind, details) }
    case 'chunk':
      return { kind: 'event', event: new TextEvent(seq, iso(at), kind, details) }
    case 'completed': {
      const [, afterLease] = cut(details)
      const [expiresAt, result] = cut(afterLease)
      const completed = { word: kind, expiresAt: Number(expiresAt) } as const
      return { kind: 'event', event: statusEvent(seq, completed, at, result || 'null') }
    }
    default: {
      const event = decodeStored(seq, stored, () => null, newer)
      return event === null ? { kind: 'advance', seq, bytes: 0 } : { kind: 'event', event }
    }
  }
}

/**
 * Of `<at> <word> <details>`; a completion that does not carry its result takes it from the job. Null where the word is of a
 * newer version.
 */
function decodeStored(seq: number, stored: string, result: () => Json, newer: NewerWords): JobEvent | null {
  const [time, rest] = cut(stored)
  const [kind, details] = cut(rest)
  const at = iso(Number(time))
  if (kind === 'progress') return { seq, at, kind, data: decodeProgress(details) }
  if (kind === 'log' || kind === 'chunk') return { seq, at, kind, data: JSON.parse(details) }
  const data = decodeChange(kind, Number(time), details, result, newer)
  return data === null ? null : { seq, at, kind: 'status', data }
}

/** What the text of a status event has behind its word: details, and what is Redis' own. The last one has all that is left. */
type Part = Exclude<keyof Details, 'error' | 'errorCode'> | 'lease' | 'failure' | 'result'

const PARTS: Readonly<Record<EventWord, readonly Part[]>> = {
  queued: [],
  scheduled: ['scheduledFor', 'lease'],
  promoted: [],
  claimed: [],
  completed: ['lease', 'expiresAt', 'result'],
  failed: ['lease', 'expiresAt', 'failure'],
  rescheduled: ['lease', 'attempt', 'scheduledFor', 'failure'],
  released: ['lease'],
  rescued: ['stalls'],
  stalled: ['expiresAt', 'stalls'],
  cancelled: ['lease', 'expiresAt'],
  cancelling: [],
  retried: [],
}

/** The data of a status event; null where its word is of a newer version. */
function decodeChange(
  word: string,
  at: number,
  text: string,
  result: () => Json,
  newer: NewerWords,
): StatusChange | null {
  const details: ReadDetails = {}
  let own = result
  let left = text
  for (const part of isEventWord(word) ? PARTS[word] : []) {
    const [first, others] = cut(left)
    if (part === 'failure') Object.assign(details, decodeFailure(left, newer))
    else if (part === 'result') {
      const published = left
      if (published !== '') own = () => JSON.parse(published)
    } else if (part !== 'lease') details[part] = Number(first)
    left = others
  }
  if (word === 'stalled') details.error = stallError(details.stalls ?? 0)
  const event = eventOf(word, details, newer)
  return event === null ? null : changeOf(event, at, own)
}

function decodeProgress(data: string): Progress {
  const [percent, note] = cut(data)
  return { percent: Number(percent), note: note === '' ? null : JSON.parse(note) }
}

/** The same as JSON. */
function progressText(data: string): string {
  const [percent, note] = cut(data)
  return `{"percent":${percent},"note":${note === '' ? 'null' : note}}`
}

function decodeFailure(stored: string, newer: NewerWords): { error: string; errorCode: JobErrorCode } {
  const [error, errorCode] = list(JSON.parse(stored))
  return { error: text(error), errorCode: newer.errorCode(text(errorCode)) }
}

/** Splits at the first space. */
function cut(stored: string): [head: string, tail: string] {
  const space = stored.indexOf(' ')
  return space < 0 ? [stored, ''] : [stored.slice(0, space), stored.slice(space + 1)]
}

function splitSeq(stored: string): [seq: number, rest: string] {
  const [seq, rest] = cut(stored)
  return [Number(seq), rest]
}

/** What many jobs have in common. */
interface Kind {
  readonly type: string
  readonly policy: RunPolicy
}

/** How runs go where a kind does not say it, as most do not, to be short. It stays so, whatever the defaults become. */
const USUAL_RUNS = '3 e 1000 60000 0.5 600000'
const RUNS = /^\d+ [a-z] \d+ \d+ [\d.e-]+ \d+(?![^ ])/
const kindTexts = new WeakMap<RunPolicy, { readonly type: string; readonly text: string }>()

/**
 * `<type> <priority> <maxStalls> <retainMs>`, which scripts read, how runs go where that is unusual, and behind it JSON of
 * the options that are named.
 */
export function encodeKind(type: string, policy: RunPolicy): string {
  const known = kindTexts.get(policy)
  if (known?.type === type) return known.text
  const { priority, maxStalls, retainMs } = policy
  const runs = encodeRuns(policy)
  const named = encodeUnplaced(policy)
  const text = `${type} ${priority} ${maxStalls} ${retainMs}${runs === USUAL_RUNS ? '' : ` ${runs}`}${named && ` ${named}`}`
  kindTexts.set(policy, { type, text })
  return text
}

function encodeRuns({ maxAttempts, backoff, timeoutMs }: RunPolicy): string {
  const { kind, delayMs, maxMs, jitter } = backoff
  return `${maxAttempts} ${kind === 'fixed' ? 'f' : 'e'} ${delayMs} ${maxMs} ${jitter} ${timeoutMs}`
}

export const decodeKind = remembered((stored): Kind => {
  const [type = '', priority, maxStalls, retainMs, ...own] = stored.split(' ')
  const rest = own.join(' ')
  const runs = RUNS.exec(rest)?.[0]
  const [maxAttempts, word, delayMs, maxMs, jitter, timeoutMs] = (runs ?? USUAL_RUNS).split(' ')
  const policy = completePolicy({
    ...decodeNamed(rest.slice(runs?.length ?? 0).trimStart()),
    priority: Number(priority),
    maxAttempts: Number(maxAttempts),
    maxStalls: Number(maxStalls),
    backoff: {
      kind: word === 'f' ? 'fixed' : 'exponential',
      delayMs: Number(delayMs),
      maxMs: Number(maxMs),
      jitter: Number(jitter),
    },
    timeoutMs: Number(timeoutMs),
    retainMs: Number(retainMs),
  })
  return { type, policy }
})
