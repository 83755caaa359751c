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
  /** The number of the last event that the run has reported. */
  reported: number
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

/** Field -> its column, in the order in which `decodeRow` reads them. */
export const COLUMNS = {
  n: 'n',
  id: 'id',
  type: 'type',
  status: 'status',
  priority: 'priority',
  policy: 'policy',
  tags: 'tags',
  createdAt: 'created_at',
  seq: 'seq',
  trimmed: 'trimmed',
  statuses: 'statuses',
  outputs: 'outputs',
  outputBytes: 'output_bytes',
  reported: 'reported',
  place: 'place',
  fresh: 'fresh',
  attempt: 'attempt',
  stalls: 'stalls',
  cancelRequested: 'cancel_requested',
  progress: 'progress',
  progressSeq: 'progress_seq',
  progressAt: 'progress_at',
  error: 'error',
  errorCode: 'error_code',
  scheduledFor: 'scheduled_for',
  startedAt: 'started_at',
  completedAt: 'completed_at',
  expiresAt: 'expires_at',
  lease: 'lease',
  worker: 'worker',
  leasedUntil: 'leased_until',
  settledLease: 'settled_lease',
  settledAs: 'settled_as',
} as const satisfies Record<keyof JobRow, string>

export const FIELDS = Object.keys(COLUMNS) as (keyof JobRow)[]

/** What is written of a new job; the columns' defaults say the rest. */
export const NEW_FIELDS = [
  ...(['n', 'id', 'type', 'status', 'priority', 'policy', 'tags', 'createdAt'] as const),
  ...(['place', 'fresh', 'scheduledFor'] as const),
]

/** Reads a row that was selected by `COLUMNS`; the tables are strict, so each value has its column's type. */
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
    reported: row[13] as number,
    place: row[14] as number,
    fresh: row[15] === 1,
    attempt: row[16] as number,
    stalls: row[17] as number,
    cancelRequested: row[18] === 1,
    progress: fromJson(row[19] as string | null),
    progressSeq: row[20] as number | null,
    progressAt: row[21] as number | null,
    error: fromJson(row[22] as string | null),
    errorCode: row[23] as JobErrorCode | null,
    scheduledFor: row[24] as number | null,
    startedAt: row[25] as number | null,
    completedAt: row[26] as number | null,
    expiresAt: row[27] as number | null,
    lease: row[28] as string | null,
    worker: fromJson(row[29] as string | null),
    leasedUntil: row[30] as number | null,
    settledLease: row[31] as string | null,
    settledAs: row[32] as JobStatus | null,
  }
}

/** What a field's column holds. */
export function encodeField(row: JobRow, field: keyof JobRow): Value {
  switch (field) {
    case 'progress':
    case 'error':
    case 'worker':
      return row[field] === null ? null : JSON.stringify(row[field])
    case 'fresh':
    case 'cancelRequested':
      return row[field] ? 1 : 0
    default:
      return row[field]
  }
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

/** The times that were asked for last: a transaction's events share a few. */
const times = new Map<number, string>()
const MAX_TIMES = 100

/** A time as everyone sees it. */
export function iso(time: number): string {
  const known = times.get(time)
  if (known !== undefined) return known
  const text = new Date(time).toISOString()
  if (times.size >= MAX_TIMES) times.clear()
  times.set(time, text)
  return text
}

function isoOrNull(time: number | null): string | null {
  return time === null ? null : iso(time)
}

function fromJson<T>(text: string | null): T | null {
  return text === null ? null : JSON.parse(text)
}
