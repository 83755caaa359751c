import { formatCursor } from '../../../shared/cursor.ts'
import { IDEMPOTENCY_TTL_MS } from '../../../shared/limits.ts'
import { fillLabels } from '../../../shared/options.ts'
import type { NewJob, SubmitReceipt, SubmitRequest, SubmittedJob } from '../engine.ts'
import { IdempotencyMismatch } from '../errors.ts'
import { newJobId } from '../job/ids.ts'
import { submitted } from '../job/transitions.ts'
import { type JobRow, SMALL_BODY, untouchedRow } from './job-row.ts'
import type { Transaction } from './transaction.ts'

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
