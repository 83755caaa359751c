import type { JobErrorCode } from '../../../shared/codes.ts'
import { formatCursor } from '../../../shared/cursor.ts'
import type { Job, Progress } from '../../../shared/job.ts'
import type { JobStatus } from '../../../shared/status.ts'
import { type NewerWords, UNKNOWN_STATUS } from '../job/newer-words.ts'
import { decodePolicy } from '../job/policy.ts'
import type { Row, Value } from './database.ts'
import { STATUS_CODES, statusOf } from './statuses.ts'
import { iso, isoOrNull } from './time-text.ts'

/** A job as its rows in `jobs` and `states` have it, decoded, and what is known of its run; times in ms since the epoch. */
export interface JobRow extends Submitted, State, Rarities {
  /** Null unless processing, and in a row that comes from the file. */
  run: Run | null
}

/** What never changes: a row in `jobs`. */
export interface Submitted {
  /** Order of submission. */
  readonly n: number
  readonly id: string
  readonly type: string
  /** The number of its type. */
  readonly kind: number
  /** As `encodePolicy` writes it; see `decodePolicy`. */
  readonly policy: string
  readonly createdAt: number
  /** JSON of the tags; null: it has none. */
  readonly tags: string | null
  /** JSON of the payload where it is small; null: it is in `payloads`. */
  readonly payload: string | null
}

/** What changes: a row in `states`, which is written when anything but a claim has happened to the job. */
interface State {
  status: JobStatus
  seq: number
  /** Recent status events, as `history.ts` writes them. */
  history: string
  attempt: number
  /** In the line of its type. */
  place: number
  /** Neither scheduled, retried nor stalled so far. */
  fresh: boolean
  scheduledFor: number | null
  startedAt: number | null
  completedAt: number | null
  expiresAt: number | null
  /** JSON of the result where it is small; null: there is none, or it is in `results`. */
  result: string | null
  /** The run that was settled last, and what the verdict was. */
  settledLease: string | null
  settledAs: JobStatus | null
}

/** What most jobs have no need of; kept as one JSON. */
interface Rarities {
  /** The highest seq that is no longer retained (merged progress apart). */
  trimmed: number
  /** Log lines and chunks that are retained, and the bytes of their data. */
  outputs: number
  outputBytes: number
  stalls: number
  cancelRequested: boolean
  progress: Progress | null
  /** Of the event that set the progress. */
  progressSeq: number | null
  progressAt: number | null
  error: string | null
  errorCode: JobErrorCode | null
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

/** What a step may change. */
export type Fields = Partial<State & Rarities>

/** The columns of a job in both tables, in the order in which `decodeRow` reads them. */
export const ROW = `
  jobs.n, id, jobs.kind, policy, created_at, tags, payload,
  status, seq, history, attempt, place, fresh, scheduled_for, started_at, completed_at, expires_at, result,
  settled_lease, settled_as, more`

/** Reads a row that was selected by `ROW`; the tables are strict, so each value has its column's type. */
export function decodeRow(row: Row, typeOf: (kind: number) => string, newer: NewerWords): JobRow {
  const kind = row[2] as number
  const job = untouchedRow({
    n: row[0] as number,
    id: row[1] as string,
    kind,
    type: typeOf(kind),
    policy: row[3] as string,
    createdAt: row[4] as number,
    tags: row[5] as string | null,
    payload: row[6] as string | null,
  })
  if (row[7] === null) return job
  job.status = statusOf(row[7] as number) ?? unknownStatus(row[7] as number, newer)
  job.seq = row[8] as number
  job.history = row[9] as string
  job.attempt = row[10] as number
  job.place = (row[11] as number | null) ?? job.n
  job.fresh = row[12] === 1
  job.scheduledFor = row[13] as number | null
  job.startedAt = row[14] as number | null
  job.completedAt = row[15] as number | null
  job.expiresAt = row[16] as number | null
  job.result = row[17] as string | null
  job.settledLease = row[18] as string | null
  job.settledAs = row[19] === null ? null : (statusOf(row[19] as number) ?? null)
  if (row[20] !== null) {
    Object.assign(job, JSON.parse(row[20] as string) as Partial<Rarities>)
    if (job.errorCode !== null) job.errorCode = newer.errorCode(job.errorCode)
  }
  return job
}

function unknownStatus(code: number, newer: NewerWords): JobStatus {
  newer.note('status', String(code))
  return UNKNOWN_STATUS
}

/** The columns of `jobs`, and what they hold of a job. */
export const SUBMITTED_COLUMNS = ['n', 'id', 'kind', 'policy', 'created_at', 'tags', 'payload'] as const

export function encodeSubmitted(job: Submitted): Value[] {
  return [job.n, job.id, job.kind, job.policy, job.createdAt, job.tags, job.payload]
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
    isInLine && job.place !== job.n ? job.place : null,
    job.fresh ? 1 : 0,
    job.scheduledFor,
    job.startedAt,
    job.completedAt,
    job.expiresAt,
    job.result,
    job.settledLease,
    job.settledAs === null ? null : STATUS_CODES[job.settledAs],
    encodeRarities(job),
  ]
}

function encodeRarities(job: JobRow): string | null {
  const { trimmed, outputs, outputBytes, stalls, cancelRequested } = job
  const { progress, progressSeq, progressAt, error, errorCode } = job
  const isPlain =
    trimmed === 0 &&
    outputs === 0 &&
    stalls === 0 &&
    !cancelRequested &&
    progressSeq === null &&
    error === null &&
    errorCode === null
  if (isPlain) return null
  const rarities: Rarities = {
    ...{ trimmed, outputs, outputBytes, stalls, cancelRequested },
    ...{ progress, progressSeq, progressAt, error, errorCode },
  }
  return JSON.stringify(rarities)
}

/** A job that was queued at once, and to which nothing has happened since. */
export function untouchedRow(own: Submitted): JobRow {
  return {
    // Field by field: a spread takes several times as long, and this is made for every job, twice.
    n: own.n,
    id: own.id,
    type: own.type,
    kind: own.kind,
    policy: own.policy,
    createdAt: own.createdAt,
    tags: own.tags,
    payload: own.payload,
    status: 'queued',
    seq: 1,
    history: '',
    attempt: 1,
    place: own.n,
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
    progressSeq: null,
    progressAt: null,
    error: null,
    errorCode: null,
    run: null,
  }
}

/** Characters of JSON up to which a payload or result is kept in the job's row: every change writes the row anew. */
export const SMALL_BODY = 256

/** The job as everyone sees it. `payload` and `result` are their JSON; no result is null. */
export function jobOf(row: JobRow, bodies: { payload: string; result: string | null }, epoch: string): Job {
  const policy = decodePolicy(row.policy)
  return {
    jobId: row.id,
    type: row.type,
    status: row.status,
    payload: JSON.parse(bodies.payload),
    progress: row.progress,
    result: bodies.result === null ? null : JSON.parse(bodies.result),
    error: row.error,
    errorCode: row.errorCode,
    attempt: row.attempt,
    maxAttempts: policy.maxAttempts,
    stalls: row.stalls,
    priority: policy.priority,
    tags: tagsOf(row),
    createdAt: iso(row.createdAt),
    scheduledFor: isoOrNull(row.scheduledFor),
    startedAt: isoOrNull(row.startedAt),
    completedAt: isoOrNull(row.completedAt),
    expiresAt: isoOrNull(row.expiresAt),
    cancelRequested: row.cancelRequested,
    cursor: formatCursor(epoch, row.seq),
  }
}

export function tagsOf({ tags }: Pick<JobRow, 'tags'>): string[] {
  return tags === null ? [] : JSON.parse(tags)
}

export function isExpired(row: JobRow, now: number): boolean {
  return row.expiresAt !== null && row.expiresAt <= now
}
