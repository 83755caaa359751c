import { formatCursor } from '../../../shared/cursor.ts'
import type { Job } from '../../../shared/job.ts'
import { IDEMPOTENCY_TTL_MS } from '../../../shared/limits.ts'
import { fillLabels } from '../../../shared/options.ts'
import { isTerminal } from '../../../shared/status.ts'
import {
  type Change,
  type ExtendVerdict,
  type LeaseRef,
  MAX_CALL_JOBS,
  type NewJob,
  type Report,
  type Settlement,
  type SettleVerdict,
  type SubmitReceipt,
  type SubmitRequest,
  type SubmittedJob,
  textOf,
  type Upcoming,
} from '../engine.ts'
import { IdempotencyMismatch } from '../errors.ts'
import { EVENTS } from '../job/events.ts'
import { newJobId } from '../job/ids.ts'
import { jobOf } from '../job/stored-job.ts'
import { cancelled, PROMOTED, rescued, retried, settled, submitted } from '../job/transitions.ts'
import { type JobRow, ROW, type Run, SMALL_BODY, STATUS_CODES, untouchedRow } from './job-row.ts'
import type { Store } from './store.ts'
import { NO_RESULT, type Transaction } from './transaction.ts'

/**
 * Stores the jobs, or brings back the first answer to the same key. Throws `IdempotencyMismatch` before any
 * write.
 */
export function submit(tx: Transaction, { jobs, idempotency }: SubmitRequest): SubmitReceipt {
  if (idempotency === undefined) return { jobs: store(tx, jobs), replayed: false }
  const { scope, bodyHash } = idempotency
  const key = JSON.stringify([scope, idempotency.key])
  const known = tx.store.get('SELECT body_hash, jobs FROM idempotency WHERE key = ? AND expires_at > ?', [
    key,
    tx.now,
  ])
  if (known !== undefined) {
    if (known[0] !== JSON.stringify(bodyHash)) {
      throw new IdempotencyMismatch('this idempotency key was used before, with another body')
    }
    return { jobs: JSON.parse(known[1] as string) as SubmittedJob[], replayed: true }
  }
  const receipts = store(tx, jobs)
  tx.store.run('INSERT OR REPLACE INTO idempotency (key, body_hash, jobs, expires_at) VALUES (?, ?, ?, ?)', [
    key,
    JSON.stringify(bodyHash),
    JSON.stringify(receipts),
    tx.now + IDEMPOTENCY_TTL_MS,
  ])
  return { jobs: receipts, replayed: false }
}

function store(tx: Transaction, jobs: readonly NewJob[]): SubmittedJob[] {
  return jobs.map((job) => {
    const payload = JSON.stringify(job.payload)
    const row = newRow(tx, job, payload)
    tx.create(row, submitted(job.when, tx.now))
    if (row.payload === null) tx.store.pending.payloads.add([row.n, payload])
    const { jobId, type, status } = row
    return { jobId, type, status, createdAt: tx.at, cursor: formatCursor(tx.store.epoch, row.seq) }
  })
}

function newRow(tx: Transaction, job: NewJob, payload: string): JobRow {
  const row = untouchedRow({
    n: tx.store.nextNumber(),
    jobId: newJobId(tx.now),
    type: job.type,
    kind: tx.store.catalog.add(job.type, tx.undo),
    policy: job.policy,
    labels: fillLabels(job),
    payload: payload.length <= SMALL_BODY ? payload : null,
    createdAt: tx.now,
  })
  // No event yet: the first one is taken next.
  row.seq = 0
  return row
}

/** Prolongs leases, counted from now. */
export function extend(tx: Transaction, leases: readonly LeaseRef[], leaseMs: number): ExtendVerdict[] {
  return leases.map((lease) => {
    const held = heldRun(tx, lease)
    if (held === null) return 'stale'
    const { row, run } = held
    row.run = { ...run, leasedUntil: tx.monotonicNow + leaseMs }
    return row.cancelRequested ? 'cancel_requested' : 'held'
  })
}

/** The run that goes on under this lease; null where the lease is no longer held. */
function heldRun(tx: Transaction, { jobId, lease }: LeaseRef): { row: JobRow; run: Run } | null {
  const row = tx.find(jobId)
  return row?.run?.lease === lease ? { row, run: row.run } : null
}

/** Appends what runs report. */
export function report(tx: Transaction, reports: readonly Report[]): ('ok' | 'stale')[] {
  return reports.map((report) => {
    const held = heldRun(tx, report)
    if (held === null) return 'stale'
    tx.append(held.row, held.run, report.events)
    return 'ok'
  })
}

/** Ends runs. A settlement that comes again is answered again. */
export function settle(tx: Transaction, settlements: readonly Settlement[]): SettleVerdict[] {
  return settlements.map(({ jobId, lease, outcome, events }) => {
    const row = tx.find(jobId)
    if (row === null) return 'stale'
    if (row.run?.lease !== lease) {
      return row.settledLease === lease && row.settledAs !== null ? row.settledAs : 'stale'
    }
    tx.append(row, row.run, events)
    const event = settled(row, outcome, tx.now)
    row.settledLease = lease
    row.settledAs = EVENTS[event.word].to
    tx.transition(row, event, outcome.kind === 'completed' ? textOf(outcome.result) : NO_RESULT)
    return row.status
  })
}

export function cancel(tx: Transaction, jobId: string): Change<'not_found' | 'already_finished'> {
  const row = tx.find(jobId)
  if (row === null) return { ok: false, reason: 'not_found' }
  const event = cancelled(row, tx.now)
  if (event === 'already_finished') return { ok: false, reason: event }
  if (event !== null) tx.transition(row, event)
  if (event?.word === 'cancelling' && row.run !== null) {
    const { lease, worker } = row.run
    tx.effects.cancels.push({ worker, lease: { jobId, lease } })
  }
  return { ok: true, job: jobAfter(tx, row) }
}

export function retry(tx: Transaction, jobId: string): Change<'not_found' | 'not_retryable'> {
  const row = tx.find(jobId)
  if (row === null) return { ok: false, reason: 'not_found' }
  const event = retried(row)
  if (event === 'not_retryable') return { ok: false, reason: event }
  tx.transition(row, event)
  return { ok: true, job: jobAfter(tx, row) }
}

export function remove(tx: Transaction, jobId: string): 'removed' | 'not_found' | 'not_finished' {
  const row = tx.find(jobId)
  if (row === null) return 'not_found'
  if (!isTerminal(row.status)) return 'not_finished'
  tx.forget(row, 'removed')
  return 'removed'
}

function jobAfter(tx: Transaction, row: JobRow): Job {
  tx.store.flush()
  return jobOf(row, tx.store.bodies(row), tx.store.epoch)
}

const DUE = `
  SELECT ${ROW} FROM states INDEXED BY states_due CROSS JOIN jobs ON jobs.n = states.n
  WHERE status = ${STATUS_CODES.scheduled} AND scheduled_for <= ? ORDER BY scheduled_for, states.n LIMIT ?`
const NEXT_DUE = `
  SELECT scheduled_for FROM states INDEXED BY states_due
  WHERE status = ${STATUS_CODES.scheduled} AND scheduled_for IS NOT NULL ORDER BY scheduled_for LIMIT 1`
const NEXT_EXPIRY = `
  SELECT expires_at FROM states INDEXED BY states_expiring WHERE expires_at IS NOT NULL ORDER BY expires_at LIMIT 1`
const EXPIRED = `
  SELECT ${ROW} FROM states INDEXED BY states_expiring CROSS JOIN jobs ON jobs.n = states.n
  WHERE expires_at <= ? ORDER BY expires_at LIMIT ?`
const FORGET_KEYS = `
  DELETE FROM idempotency WHERE key IN (
    SELECT key FROM idempotency INDEXED BY idempotency_expiring WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`

/** How long one transaction may forget jobs, in ms: those with much output take a while. */
const STEP_MS = 20

/** Moves scheduled jobs whose time has come to the end of their queues. */
export function promote(tx: Transaction, limit: number): { promoted: number; nextInMs: number | null } {
  const due = tx.select(DUE, [tx.now, limit])
  for (const row of due) tx.transition(row, PROMOTED)
  tx.store.flush()
  return { promoted: due.length, nextInMs: msUntil(tx.store, NEXT_DUE, tx.now) }
}

/** When there will be something to do. */
export function upcoming(store: Store, now: number): Upcoming {
  const monotonicNow = performance.now()
  let rescueInMs: number | null = null
  for (const { run } of store.running.values()) {
    if (run !== null)
      rescueInMs = Math.min(rescueInMs ?? Infinity, Math.max(0, run.leasedUntil - monotonicNow))
  }
  return {
    promoteInMs: msUntil(store, NEXT_DUE, now),
    rescueInMs,
    pruneInMs: msUntil(store, NEXT_EXPIRY, now),
  }
}

function msUntil(store: Store, statement: string, now: number): number | null {
  const time = store.get(statement, [])?.[0]
  return typeof time === 'number' ? Math.max(0, time - now) : null
}

/** Takes back runs whose lease has run out, the longest overdue first. */
export function rescue(tx: Transaction, limit: number): { rescued: number } {
  const lapsed = tx
    .lapsed()
    .sort((one, other) => one.run.leasedUntil - other.run.leasedUntil || one.row.n - other.row.n)
    .slice(0, limit)
  for (const { row } of lapsed) tx.transition(row, rescued(row, tx.now))
  return { rescued: lapsed.length }
}

/** Takes back runs of a process that is gone; says how many. */
export function takeBack(tx: Transaction, limit: number): number {
  const left = [...tx.store.running.values()].filter(({ run }) => run === null).slice(0, limit)
  for (const { jobId } of left) {
    const row = tx.find(jobId)
    if (row !== null) tx.transition(row, rescued(row, tx.now))
  }
  return left.length
}

/** Forgets terminal jobs past their time, and idempotency records past theirs, as far as one step goes. */
export function prune(tx: Transaction, limit: number): { pruned: number; isDone: boolean } {
  const deadline = performance.now() + STEP_MS
  const expired = tx.select(EXPIRED, [tx.now, limit])
  let pruned = 0
  for (const row of expired) {
    if (pruned > 0 && performance.now() > deadline) return { pruned, isDone: false }
    tx.forget(row, 'expired')
    pruned++
  }
  tx.store.run(FORGET_KEYS, [tx.now, Math.max(limit, MAX_CALL_JOBS)])
  return { pruned, isDone: true }
}
