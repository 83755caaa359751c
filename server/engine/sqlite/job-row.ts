import type { RunPolicy } from '../../../shared/api.ts'
import type { JobErrorCode } from '../../../shared/codes.ts'
import { formatCursor } from '../../../shared/cursor.ts'
import type { Progress } from '../../../shared/event.ts'
import type { Job } from '../../../shared/job.ts'
import type { JobStatus } from '../../../shared/status.ts'
import type { Row, Value } from './database.ts'

/** A job's row in `jobs`, decoded; times in ms since the epoch. Its payload and result are kept apart. */
export interface JobRow {
  readonly n: number
  readonly id: string
  readonly type: string
  readonly priority: number
  /** JSON of a `RunPolicy`; see `policyOf`. */
  readonly policy: string
  /** JSON of the tags. */
  readonly tags: string
  readonly createdAt: number
  status: JobStatus
  seq: number
  /** The highest seq that is no longer retained (merged progress apart). */
  trimmed: number
  /** Status events that are retained. */
  statuses: number
  /** Log lines and chunks that are retained, and the bytes of their data. */
  outputs: number
  outputBytes: number
  /** In the line of its type. */
  place: number
  /** Neither scheduled, retried nor stalled so far. */
  fresh: boolean
  attempt: number
  stalls: number
  cancelRequested: boolean
  progress: Progress | null
  /** Of the event that set the progress. */
  progressSeq: number | null
  progressAt: number | null
  error: string | null
  errorCode: JobErrorCode | null
  scheduledFor: number | null
  startedAt: number | null
  completedAt: number | null
  expiresAt: number | null
  lease: string | null
  /** Who runs it; null unless processing. */
  worker: string | null
  leasedUntil: number | null
  /** The run that was settled last, and what the verdict was. */
  settledLease: string | null
  settledAs: JobStatus | null
}

/** In the order in which `decodeRow` reads them. */
export const ROW_COLUMNS = [
  ...['n', 'id', 'type', 'status', 'priority', 'policy', 'tags', 'created_at', 'seq', 'trimmed', 'statuses'],
  ...['outputs', 'output_bytes', 'place', 'fresh', 'attempt', 'stalls', 'cancel_requested', 'progress'],
  ...['progress_seq', 'progress_at', 'error', 'error_code', 'scheduled_for', 'started_at', 'completed_at'],
  ...['expires_at', 'lease', 'worker', 'leased_until', 'settled_lease', 'settled_as'],
]

/** Reads a row that was selected by `ROW_COLUMNS`; the tables are strict, so each value has its column's type. */
export function decodeRow(row: Row): JobRow {
  return {
    n: row[0] as number,
    id: row[1] as string,
    type: row[2] as string,
    status: row[3] as JobStatus,
    priority: row[4] as number,
    policy: row[5] as string,
    tags: row[6] as string,
    createdAt: row[7] as number,
    seq: row[8] as number,
    trimmed: row[9] as number,
    statuses: row[10] as number,
    outputs: row[11] as number,
    outputBytes: row[12] as number,
    place: row[13] as number,
    fresh: row[14] === 1,
    attempt: row[15] as number,
    stalls: row[16] as number,
    cancelRequested: row[17] === 1,
    progress: fromJson(row[18] as string | null),
    progressSeq: row[19] as number | null,
    progressAt: row[20] as number | null,
    error: fromJson(row[21] as string | null),
    errorCode: row[22] as JobErrorCode | null,
    scheduledFor: row[23] as number | null,
    startedAt: row[24] as number | null,
    completedAt: row[25] as number | null,
    expiresAt: row[26] as number | null,
    lease: row[27] as string | null,
    worker: fromJson(row[28] as string | null),
    leasedUntil: row[29] as number | null,
    settledLease: row[30] as string | null,
    settledAs: row[31] as JobStatus | null,
  }
}

/** The row as `ROW_COLUMNS` wants it. */
export function encodeRow(row: JobRow): Value[] {
  const { n, id, type, status, priority, policy, tags, createdAt } = row
  return [n, id, type, status, priority, policy, tags, createdAt, ...encodeChanges(row)]
}

/** The columns of `ROW_COLUMNS` after `created_at`: what can change, apart from the status. */
export const CHANGING_COLUMNS = ROW_COLUMNS.slice(8)

export function encodeChanges(row: JobRow): Value[] {
  return [
    row.seq,
    row.trimmed,
    row.statuses,
    row.outputs,
    row.outputBytes,
    row.place,
    row.fresh ? 1 : 0,
    row.attempt,
    row.stalls,
    row.cancelRequested ? 1 : 0,
    toJson(row.progress),
    row.progressSeq,
    row.progressAt,
    toJson(row.error),
    row.errorCode,
    row.scheduledFor,
    row.startedAt,
    row.completedAt,
    row.expiresAt,
    row.lease,
    toJson(row.worker),
    row.leasedUntil,
    row.settledLease,
    row.settledAs,
  ]
}

/** The job as everyone sees it. `payload` and `result` are their JSON; no result is null. */
export function jobOf(row: JobRow, bodies: { payload: string; result: string | null }, epoch: string): Job {
  const policy = policyOf(row.policy)
  return {
    jobId: row.id,
    type: row.type,
    status: row.status,
    payload: JSON.parse(bodies.payload),
    progress: row.progress,
    result: fromJson(bodies.result),
    error: row.error,
    errorCode: row.errorCode,
    attempt: row.attempt,
    maxAttempts: policy.maxAttempts,
    stalls: row.stalls,
    priority: row.priority,
    tags: JSON.parse(row.tags),
    createdAt: iso(row.createdAt),
    scheduledFor: isoOrNull(row.scheduledFor),
    startedAt: isoOrNull(row.startedAt),
    completedAt: isoOrNull(row.completedAt),
    expiresAt: isoOrNull(row.expiresAt),
    cancelRequested: row.cancelRequested,
    cursor: formatCursor(epoch, row.seq),
  }
}

export function isExpired(row: JobRow, now: number): boolean {
  return row.expiresAt !== null && row.expiresAt <= now
}

/** Policies by their text: most jobs share a few, and every claim and settle needs one. */
const policies = new Map<string, RunPolicy>()
const MAX_POLICIES = 1000

export function policyOf(text: string): RunPolicy {
  const known = policies.get(text)
  if (known !== undefined) return known
  const policy = JSON.parse(text) as RunPolicy
  if (policies.size >= MAX_POLICIES) policies.clear()
  policies.set(text, policy)
  return policy
}

export function iso(time: number): string {
  return new Date(time).toISOString()
}

function isoOrNull(time: number | null): string | null {
  return time === null ? null : iso(time)
}

function fromJson<T>(text: string | null): T | null {
  return text === null ? null : JSON.parse(text)
}

function toJson(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value)
}
