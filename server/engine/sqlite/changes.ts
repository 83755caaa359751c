import type { Job } from '../../../shared/job.ts'
import { isTerminal } from '../../../shared/status.ts'
import type { Change } from '../engine.ts'
import { type JobRow, jobOf } from './job-row.ts'
import type { Transaction } from './transaction.ts'
import { cancelled, cancelRequested, retried } from './transitions.ts'

export function cancel(tx: Transaction, jobId: string): Change<'not_found' | 'already_finished'> {
  const row = tx.find(jobId)
  if (row === null) return { ok: false, reason: 'not_found' }
  if (isTerminal(row.status)) return { ok: false, reason: 'already_finished' }
  if (row.status !== 'processing') {
    tx.transition(row, cancelled(row, tx.now))
  } else if (!row.cancelRequested) {
    tx.transition(row, cancelRequested())
    if (row.run !== null) {
      const { lease, worker } = row.run
      tx.effects.cancels.push({ worker, lease: { jobId, lease } })
    }
  }
  return { ok: true, job: jobAfter(tx, row) }
}

export function retry(tx: Transaction, jobId: string): Change<'not_found' | 'not_retryable'> {
  const row = tx.find(jobId)
  if (row === null) return { ok: false, reason: 'not_found' }
  if (row.status !== 'failed' && row.status !== 'cancelled') return { ok: false, reason: 'not_retryable' }
  tx.transition(row, retried(tx.store.nextPlace()))
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
