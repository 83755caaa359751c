import type { Backoff, RunPolicy } from '../../../shared/api.ts'
import type { JobErrorCode } from '../../../shared/codes.ts'
import { formatCursor } from '../../../shared/cursor.ts'
import type { Progress } from '../../../shared/event.ts'
import type { Job } from '../../../shared/job.ts'
import type { JobStatus } from '../../../shared/status.ts'
import type { Row, Value } from './database.ts'

/** A job's row in `jobs`, decoded, and what is known of its run; times in ms since the epoch. */
export interface JobRow {
  readonly n: number
  readonly id: string
  readonly type: string
  readonly priority: number
  /** As `policyText` writes it; see `policyOf`. */
  readonly policy: string
  /** JSON of the tags. */
  readonly tags: string
  /** JSON of the payload where it is small; null: it is in `payloads`. */
  readonly payload: string | null
  readonly createdAt: number
  status: JobStatus
  seq: number
  /** The highest seq that is no longer retained (merged progress apart). */
  trimmed: number
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
  /** JSON of the result where it is small; null: there is none, or it is in `results`. */
  result: string | null
  scheduledFor: number | null
  startedAt: number | null
  completedAt: number | null
  expiresAt: number | null
  /** The run that was settled last, and what the verdict was. */
  settledLease: string | null
  settledAs: JobStatus | null
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
  readonly leasedUntil: number
  /** The number of the last event that it has reported. */
  readonly reported: number
}

export type StoredField = Exclude<keyof JobRow, 'run'>

/** Field -> its column, in the order in which `decodeRow` reads them. */
export const COLUMNS = {
  n: 'n',
  id: 'id',
  type: 'type',
  status: 'status',
  priority: 'priority',
  policy: 'policy',
  tags: 'tags',
  payload: 'payload',
  createdAt: 'created_at',
  seq: 'seq',
  trimmed: 'trimmed',
  outputs: 'outputs',
  outputBytes: 'output_bytes',
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
  result: 'result',
  scheduledFor: 'scheduled_for',
  startedAt: 'started_at',
  completedAt: 'completed_at',
  expiresAt: 'expires_at',
  settledLease: 'settled_lease',
  settledAs: 'settled_as',
} as const satisfies Record<StoredField, string>

/** What is written of a new job; the columns' defaults say the rest. */
export const NEW_FIELDS = [
  ...(['n', 'id', 'type', 'status', 'priority', 'policy', 'tags', 'payload', 'createdAt'] as const),
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
    payload: row[7] as string | null,
    createdAt: row[8] as number,
    seq: row[9] as number,
    trimmed: row[10] as number,
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
    result: row[23] as string | null,
    scheduledFor: row[24] as number | null,
    startedAt: row[25] as number | null,
    completedAt: row[26] as number | null,
    expiresAt: row[27] as number | null,
    settledLease: row[28] as string | null,
    settledAs: row[29] as JobStatus | null,
    run: null,
  }
}

/** What an untouched job has of its own. */
export type Untouched = Pick<
  JobRow,
  'n' | 'id' | 'type' | 'priority' | 'policy' | 'tags' | 'payload' | 'createdAt' | 'place'
>

/** A job that was queued at once, and to which nothing has happened since. */
export function untouchedRow(own: Untouched): JobRow {
  return {
    // Field by field: a spread takes several times as long, and this is made for every job, twice.
    n: own.n,
    id: own.id,
    type: own.type,
    priority: own.priority,
    policy: own.policy,
    tags: own.tags,
    payload: own.payload,
    createdAt: own.createdAt,
    status: 'queued',
    seq: 1,
    trimmed: 0,
    outputs: 0,
    outputBytes: 0,
    place: own.place,
    fresh: true,
    attempt: 1,
    stalls: 0,
    cancelRequested: false,
    progress: null,
    progressSeq: null,
    progressAt: null,
    error: null,
    errorCode: null,
    result: null,
    scheduledFor: null,
    startedAt: null,
    completedAt: null,
    expiresAt: null,
    settledLease: null,
    settledAs: null,
    run: null,
  }
}

/** What a field's column holds. */
export function encodeField(row: JobRow, field: StoredField): Value {
  switch (field) {
    case 'progress':
    case 'error':
      return row[field] === null ? null : JSON.stringify(row[field])
    case 'fresh':
    case 'cancelRequested':
      return row[field] ? 1 : 0
    default:
      return row[field]
  }
}

/** Characters of JSON up to which a payload or result is kept in the job's row: every change writes the row anew. */
export const SMALL_BODY = 256

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

export function tagsOf({ tags }: JobRow): string[] {
  return tags === '[]' ? [] : JSON.parse(tags)
}

export function isExpired(row: JobRow, now: number): boolean {
  return row.expiresAt !== null && row.expiresAt <= now
}

/** A policy as its numbers, since every change of a job writes it again. */
export function policyText(policy: RunPolicy): string {
  const { priority, maxAttempts, maxStalls, timeoutMs, retainMs, backoff } = policy
  const { kind, delayMs, maxMs, jitter } = backoff
  return `[${priority},${maxAttempts},${maxStalls},${timeoutMs},${retainMs},"${kind}",${delayMs},${maxMs},${jitter}]`
}

/** Policies by their text: most jobs share a few, and every claim and settle needs one. */
const policies = new Map<string, RunPolicy>()
const MAX_POLICIES = 1000

export function policyOf(text: string): RunPolicy {
  const known = policies.get(text)
  if (known !== undefined) return known
  const policy = parsePolicy(text)
  if (policies.size >= MAX_POLICIES) policies.clear()
  policies.set(text, policy)
  return policy
}

function parsePolicy(text: string): RunPolicy {
  const kept = JSON.parse(text) as PolicyNumbers | RunPolicy
  // Files of the first version keep the policy itself.
  if (!Array.isArray(kept)) return kept as RunPolicy
  const [priority, maxAttempts, maxStalls, timeoutMs, retainMs, kind, delayMs, maxMs, jitter] = kept
  const backoff = { kind, delayMs, maxMs, jitter }
  return { priority, maxAttempts, maxStalls, backoff, timeoutMs, retainMs }
}

type PolicyNumbers = [number, number, number, number, number, Backoff['kind'], number, number, number]

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
