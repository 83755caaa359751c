import type { Job } from '../../../shared/job.ts'
import { isTerminal } from '../../../shared/status.ts'
import type { Change } from '../engine.ts'
import { jobOf } from '../job/stored-job.ts'
import { cancelled, retried } from '../job/transitions.ts'
import type { JobRow } from './job-row.ts'
import type { Transaction } from './transaction.ts'

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
