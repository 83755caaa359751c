import type { StatusChange } from '../../../shared/job.ts'
import { JOB_STATUSES, type JobStatus, perStatus } from '../../../shared/status.ts'
import type { Json } from '../engine.ts'
import { changeOf, detailsOf, EVENTS, eventOf, isEventWord, type StatusEvent } from '../job/events.ts'
import { decodeLabels, encodeLabels } from '../job/labels.ts'
import { type NewerWords, UNKNOWN_STATUS } from '../job/newer-words.ts'
import { decodePolicy, encodePolicy } from '../job/policy.ts'
import { advance, type StoredJob } from '../job/stored-job.ts'
import type { Row, Value } from './database.ts'

/** A job as its rows in `jobs` and `states` have it, decoded, and what is known of its run; times in ms since the epoch. */
export interface JobRow extends StoredJob {
  /** Order of submission. */
  readonly n: number
  /** The number of its type. */
  readonly kind: number
  /** JSON of the payload where it is small; null: it is in `payloads`. */
  readonly payload: string | null
  /** Recent status events, as `takeEvent` writes them. */
  history: string
  /** In the line of its type and priority the lowest comes first. The file calls it `place`. */
  spot: number
  /** Neither scheduled, retried nor stalled so far. */
  fresh: boolean
  /** JSON of the result where it is small; null: there is none, or it is in `results`. */
  result: string | null
  /** The run that was settled last, and what the verdict was. */
  settledLease: string | null
  settledAs: JobStatus | null
  /** The highest seq that is no longer retained (merged progress apart). */
  trimmed: number
  /** Log lines and chunks that are retained, and the bytes of their data. */
  outputs: number
  outputBytes: number
  /** Null unless processing, and in a row that comes from the file. */
  run: Run | null
}

/**
 * A run that goes on. It is kept in memory only: whoever runs a job lives in the process that owns the file, and ends
 * with it.
 */
export interface Run {
  readonly lease: string
  /** The id of the worker. */
  readonly worker: string
  /** On `performance.now()`. */
  readonly leasedUntil: number
  /** The number of the last event that it has reported. */
  readonly reported: number
}

/** What a job is submitted with, and never changes. */
export type Submitted = Pick<
  JobRow,
  'n' | 'jobId' | 'type' | 'kind' | 'policy' | 'createdAt' | 'labels' | 'payload'
>

/** Characters of JSON up to which a payload or result is kept in the job's row: every change writes the row anew. */
export const SMALL_BODY = 256

/** A job that was queued at once, and to which nothing has happened since. */
export function untouchedRow(own: Submitted): JobRow {
  return {
    // Field by field: a spread takes several times as long, and this is made for every job, twice.
    n: own.n,
    jobId: own.jobId,
    type: own.type,
    kind: own.kind,
    policy: own.policy,
    createdAt: own.createdAt,
    labels: own.labels,
    payload: own.payload,
    status: 'queued',
    seq: 1,
    history: '',
    attempt: 1,
    spot: own.n,
    fresh: true,
    scheduledFor: null,
    startedAt: null,
    completedAt: null,
    expiresAt: null,
    result: null,
    settledLease: null,
    settledAs: null,
    trimmed: 0,
    outputs: 0,
    outputBytes: 0,
    stalls: 0,
    cancelRequested: false,
    progress: null,
    error: null,
    errorCode: null,
    run: null,
  }
}

/** Statuses as the file has them. */
export const STATUS_CODES = perStatus((_status, index) => index)

/** Undefined where a newer version has put it there. */
export function statusOf(code: number): JobStatus | undefined {
  return JOB_STATUSES[code]
}

/** The columns of `jobs`, and what they hold of a job. */
export const SUBMITTED_COLUMNS = ['n', 'id', 'kind', 'policy', 'created_at', 'tags', 'payload'] as const

export function encodeSubmitted({ n, jobId, kind, policy, createdAt, labels, payload }: Submitted): Value[] {
  return [n, jobId, kind, encodePolicy(policy), createdAt, encodeLabels(labels) || null, payload]
}

/** Reads the columns of `jobs`. The tables are strict, so each value has its column's type. */
export function decodeSubmitted(row: Row, typeOf: (kind: number) => string): JobRow {
  const kind = row[2] as number
  return untouchedRow({
    n: row[0] as number,
    jobId: row[1] as string,
    kind,
    type: typeOf(kind),
    policy: decodePolicy(row[3] as string),
    createdAt: row[4] as number,
    labels: decodeLabels((row[5] as string | null) ?? ''),
    payload: row[6] as string | null,
  })
}

/** The columns of `states`, and what they hold of a job. */
export const STATE_COLUMNS = [
  ...(['n', 'kind', 'status', 'seq', 'history', 'attempt', 'place', 'fresh', 'scheduled_for'] as const),
  ...(['started_at', 'completed_at', 'expires_at', 'result', 'settled_lease', 'settled_as', 'more'] as const),
] as const

export function encodeState(job: JobRow): Value[] {
  const isInLine = job.status === 'queued' || job.status === 'processing'
  return [
    job.n,
    job.kind,
    STATUS_CODES[job.status],
    job.seq,
    job.history,
    job.attempt,
    isInLine && job.spot !== job.n ? job.spot : null,
    job.fresh ? 1 : 0,
    job.scheduledFor,
    job.startedAt,
    job.completedAt,
    job.expiresAt,
    job.result,
    job.settledLease,
    job.settledAs === null ? null : STATUS_CODES[job.settledAs],
    encodeMore(job),
  ]
}

/** The columns of a job in both tables, in the order in which `decodeRow` reads them. */
export const ROW = `
  jobs.n, id, jobs.kind, policy, created_at, tags, payload,
  status, seq, history, attempt, place, fresh, scheduled_for, started_at, completed_at, expires_at, result,
  settled_lease, settled_as, more`

/** Reads a row that was selected by `ROW`; the tables are strict, so each value has its column's type. */
export function decodeRow(row: Row, typeOf: (kind: number) => string, newer: NewerWords): JobRow {
  const job = decodeSubmitted(row, typeOf)
  if (row[7] === null) return job
  job.status = statusOf(row[7] as number) ?? unknownStatus(row[7] as number, newer)
  job.seq = row[8] as number
  job.history = row[9] as string
  job.attempt = row[10] as number
  job.spot = (row[11] as number | null) ?? job.n
  job.fresh = row[12] === 1
  job.scheduledFor = row[13] as number | null
  job.startedAt = row[14] as number | null
  job.completedAt = row[15] as number | null
  job.expiresAt = row[16] as number | null
  job.result = row[17] as string | null
  job.settledLease = row[18] as string | null
  job.settledAs = row[19] === null ? null : (statusOf(row[19] as number) ?? null)
  if (row[20] !== null) decodeMore(job, JSON.parse(row[20] as string), newer)
  return job
}

function unknownStatus(code: number, newer: NewerWords): JobStatus {
  newer.note('status', String(code))
  return UNKNOWN_STATUS
}

/** What most jobs have no need of, as one JSON: these, and the latest progress. */
const RARE = ['trimmed', 'outputs', 'outputBytes', 'stalls', 'cancelRequested', 'error', 'errorCode'] as const

type More = Partial<Pick<JobRow, (typeof RARE)[number]>> & {
  readonly progress?: NonNullable<JobRow['progress']>['data'] | null
  readonly progressSeq?: number | null
  readonly progressAt?: number | null
}

function encodeMore(job: JobRow): string | null {
  const { trimmed, outputs, outputBytes, stalls, cancelRequested, progress, error, errorCode } = job
  const isPlain =
    trimmed === 0 &&
    outputs === 0 &&
    stalls === 0 &&
    !cancelRequested &&
    progress === null &&
    error === null &&
    errorCode === null
  if (isPlain) return null
  const more: More = {
    ...{ trimmed, outputs, outputBytes, stalls, cancelRequested },
    ...{
      progress: progress?.data ?? null,
      progressSeq: progress?.seq ?? null,
      progressAt: progress?.at ?? null,
    },
    ...{ error, errorCode },
  }
  return JSON.stringify(more)
}

function decodeMore(job: JobRow, more: More, newer: NewerWords): void {
  job.trimmed = more.trimmed ?? 0
  job.outputs = more.outputs ?? 0
  job.outputBytes = more.outputBytes ?? 0
  job.stalls = more.stalls ?? 0
  job.cancelRequested = more.cancelRequested ?? false
  job.error = more.error ?? null
  job.errorCode = more.errorCode == null ? null : newer.errorCode(more.errorCode)
  const { progress, progressSeq, progressAt } = more
  if (progress != null) job.progress = { seq: progressSeq ?? 0, at: progressAt ?? 0, data: progress }
}

/** A status event as the file has it: behind its word what the table of events says that it carries. */
export type EventCells = readonly [seq: number, at: number, word: string, ...details: Json[]]

/** The histories that were made last: jobs that are claimed and settled together have the same, and a text that is the same is quickly compared. */
let last = { before: '', text: '', after: '' }

/** Changes the job by an event, which it keeps. */
export function takeEvent(job: JobRow, event: StatusEvent, at: number): void {
  advance(job, event, at)
  if (EVENTS[event.word].breaksWait === true) job.fresh = false
  // What a first event mostly says, the job says as well (`eventsInOrder`).
  if (job.seq === 1 && job.status === 'queued') return
  job.history = withEvent(job.history, job.seq, at, event)
}

function withEvent(history: string, seq: number, at: number, event: StatusEvent): string {
  const text = eventText(seq, at, event)
  if (history !== last.before || text !== last.text) {
    last = { before: history, text, after: history === '' ? text : `${history},${text}` }
  }
  return last.after
}

function eventText(seq: number, at: number, event: StatusEvent): string {
  const start = `[${seq},${at},"${event.word}"`
  const { carries } = EVENTS[event.word]
  if (carries.length === 0) return `${start}]`
  const details = detailsOf(event)
  return `${start},${carries.map((name) => JSON.stringify(details[name])).join()}]`
}

/** The events of a history, which is the same as JSON without its brackets. */
export function eventsIn(history: string): EventCells[] {
  return JSON.parse(`[${history}]`)
}

/** What a row of the table `history` has of an event: all but its seq and time. */
export function olderText([_seq, _at, ...event]: EventCells): string {
  return JSON.stringify(event)
}

/** As `changeIn`, of such a row. Files of the first version keep just what everyone is told. */
export function olderChange(
  text: string,
  at: number,
  result: () => Json,
  newer: NewerWords,
): StatusChange | null {
  const kept: [word: string, ...details: Json[]] | StatusChange = JSON.parse(text)
  if (Array.isArray(kept)) return changeIn([0, at, ...kept], result, newer)
  return kept.status === 'completed' ? { ...kept, result: result() } : kept
}

/** What everyone is told of an event; null where its word is of a newer version. */
export function changeIn(cells: EventCells, result: () => Json, newer: NewerWords): StatusChange | null {
  const [, at, word] = cells
  const details: Record<string, Json | undefined> = {}
  if (isEventWord(word)) {
    let cell = FIRST_DETAIL
    for (const name of EVENTS[word].carries) details[name] = cells[cell++]
  }
  const event = eventOf(word, details, newer)
  return event === null ? null : changeOf(event, at, result)
}

const FIRST_DETAIL = 3
