import type { Report, Settlement, SettleVerdict } from '../engine.ts'
import { EVENTS } from '../job/events.ts'
import { settled } from '../job/transitions.ts'
import { heldRun } from './claim.ts'
import type { Transaction } from './transaction.ts'

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
    tx.transition(row, event, outcome.kind === 'completed' ? outcome.result : null)
    return row.status
  })
}
