import { MAX_CALL_JOBS, type Upcoming } from '../engine.ts'
import { PROMOTED, rescued } from '../job/transitions.ts'
import { ROW, STATUS_CODES } from './job-row.ts'
import type { Store } from './store.ts'
import type { Transaction } from './transaction.ts'

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
