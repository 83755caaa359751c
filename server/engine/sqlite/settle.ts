import type { Report, Settlement, SettleVerdict } from '../engine.ts'
import { heldRow } from './claim.ts'
import type { Transaction } from './transaction.ts'
import { settled } from './transitions.ts'

/** Appends what runs report. */
export function report(tx: Transaction, reports: readonly Report[]): ('ok' | 'stale')[] {
  return reports.map((report) => {
    const row = heldRow(tx, report)
    if (row === null) return 'stale'
    tx.append(row, report.events)
    return 'ok'
  })
}

/** Ends runs. A settlement that comes again is answered again. */
export function settle(tx: Transaction, settlements: readonly Settlement[]): SettleVerdict[] {
  return settlements.map(({ jobId, lease, outcome, events }) => {
    const row = tx.find(jobId)
    if (row === null) return 'stale'
    if (row.status !== 'processing' || row.lease !== lease) {
      return row.settledLease === lease && row.settledAs !== null ? row.settledAs : 'stale'
    }
    tx.append(row, events)
    tx.transition(row, settled(row, outcome, tx.now))
    return row.status
  })
}
