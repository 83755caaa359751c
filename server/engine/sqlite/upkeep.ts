import { MAX_CALL_JOBS } from '../engine.ts'
import { decodeRow, type JobRow } from './job-row.ts'
import { ROW } from './store.ts'
import type { Transaction } from './transaction.ts'
import { promoted, rescued } from './transitions.ts'

const DUE = `
  SELECT ${ROW} FROM jobs INDEXED BY jobs_due
  WHERE status = 'scheduled' AND scheduled_for <= ? ORDER BY scheduled_for, n LIMIT ?`
const NEXT_DUE = `
  SELECT scheduled_for FROM jobs INDEXED BY jobs_due
  WHERE status = 'scheduled' AND scheduled_for IS NOT NULL ORDER BY scheduled_for LIMIT 1`
const LAPSED = `
  SELECT ${ROW} FROM jobs INDEXED BY jobs_leased
  WHERE status = 'processing' AND leased_until <= ? ORDER BY leased_until, n LIMIT ?`
const EXPIRED = `
  SELECT ${ROW} FROM jobs INDEXED BY jobs_expiring WHERE expires_at <= ? ORDER BY expires_at LIMIT ?`
const FORGET_KEYS = `
  DELETE FROM idempotency WHERE key IN (
    SELECT key FROM idempotency INDEXED BY idempotency_expiring WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`

/** How long one transaction may forget jobs, in ms: those with much output take a while. */
const STEP_MS = 20

/** Moves scheduled jobs whose time has come to the end of their queues. */
export function promote(tx: Transaction, limit: number): { promoted: number; nextInMs: number | null } {
  const due = rows(tx, DUE, tx.now, limit)
  for (const row of due) tx.transition(row, promoted(tx.nextPlace()))
  const next = tx.store.get(NEXT_DUE, [])?.[0]
  return { promoted: due.length, nextInMs: typeof next === 'number' ? Math.max(0, next - tx.now) : null }
}

/** Takes back runs whose lease ran out by `until`. */
export function rescue(tx: Transaction, limit: number, until: number = tx.now): { rescued: number } {
  const lapsed = rows(tx, LAPSED, until, limit)
  for (const row of lapsed) tx.transition(row, rescued(row, tx.now))
  return { rescued: lapsed.length }
}

/** Forgets terminal jobs past their time, and idempotency records past theirs, as far as one step goes. */
export function prune(tx: Transaction, limit: number): { pruned: number; isDone: boolean } {
  const deadline = performance.now() + STEP_MS
  const expired = rows(tx, EXPIRED, tx.now, limit)
  let pruned = 0
  for (const row of expired) {
    if (pruned > 0 && performance.now() > deadline) return { pruned, isDone: false }
    tx.forget(row, 'expired')
    pruned++
  }
  tx.store.run(FORGET_KEYS, [tx.now, Math.max(limit, MAX_CALL_JOBS)])
  return { pruned, isDone: true }
}

function rows(tx: Transaction, sql: string, until: number, limit: number): JobRow[] {
  return tx.store.all(sql, [until, limit]).map(decodeRow)
}
