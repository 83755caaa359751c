import { randomBytes } from 'node:crypto'
import type { Claim, ClaimRequest, ExtendVerdict, LeaseRef } from '../engine.ts'
import type { JobRow, Run } from './job-row.ts'
import type { Transaction } from './transaction.ts'

/**
 * Gives out runs. Remembers the claims of the last lease's time: a process that is gone has no worker left to
 * ask for them again, so memory will do.
 */
export class Claims {
  /** Claim id -> the jobs it took, and what their leases start with. */
  readonly #recent = new Map<string, { token: string; jobs: string[]; leasedAt: number; until: number }>()
  /** The type that was served last; the next claim starts with the one after it. */
  #lastType = ''

  claim(tx: Transaction, request: ClaimRequest): Claim[] {
    const { claimId, workerId: worker, leaseMs } = request
    this.#forgetOld(tx.monotonicNow)
    const before = this.#recent.get(claimId)
    if (before !== undefined) return before.jobs.flatMap((jobId) => again(tx, jobId, before))

    const rows = this.#turns(tx, request)
    if (rows.length === 0) return []
    const token = randomBytes(16).toString('base64url')
    const leasedAt = tx.monotonicNow
    const leasedUntil = leasedAt + leaseMs
    for (const [index, row] of rows.entries()) {
      const lease = `${token}.${index}`
      tx.claim(row, { lease, worker, leasedUntil, reported: 0 })
    }
    this.#lastType = rows.at(-1)?.type ?? ''
    this.#recent.set(claimId, { token, jobs: rows.map(({ jobId }) => jobId), leasedAt, until: leasedUntil })
    tx.undo(() => this.#recent.delete(claimId))
    return rows.map((row) => claimOf(tx, row, leasedAt))
  }

  /** The next jobs: each type's first, then each type's second, and so on, as far as the limits go. */
  #turns(tx: Transaction, request: ClaimRequest): JobRow[] {
    const { catalog } = tx.store
    const first = request.types.findIndex(({ type }) => type === this.#lastType) + 1
    const inTurn = [...request.types.slice(first), ...request.types.slice(0, first)]
      .map(({ type, limit }) => ({ type, most: Math.min(limit, catalog.claimable(type)), taken: 0 }))
      .filter(({ most }) => most > 0)

    let left = request.limit
    const rounds: string[] = []
    for (
      let open = inTurn;
      open.length > 0 && left > 0;
      open = open.filter(({ taken, most }) => taken < most)
    ) {
      for (const turn of open.slice(0, left)) {
        turn.taken++
        rounds.push(turn.type)
      }
      left -= Math.min(left, open.length)
    }
    const byType = new Map<string, JobRow[]>()
    const turns = inTurn.flatMap(({ type, taken }) => (taken > 0 ? { type, limit: taken } : []))
    for (const row of tx.takeNext(turns).reverse()) {
      const ofType = byType.get(row.type)
      if (ofType === undefined) byType.set(row.type, [row])
      else ofType.push(row)
    }
    return rounds.flatMap((type) => byType.get(type)?.pop() ?? [])
  }

  /** The oldest come first, so that this looks at little more than what it forgets. */
  #forgetOld(now: number): void {
    for (const [claimId, { until }] of this.#recent) {
      if (until > now) return
      this.#recent.delete(claimId)
    }
  }
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
export function heldRun(tx: Transaction, { jobId, lease }: LeaseRef): { row: JobRow; run: Run } | null {
  const row = tx.find(jobId)
  return row?.run?.lease === lease ? { row, run: row.run } : null
}

/** A claim that is sent again, as long as it is held. */
function again(
  tx: Transaction,
  jobId: string,
  { token, leasedAt }: { readonly token: string; readonly leasedAt: number },
): Claim[] {
  const row = tx.find(jobId)
  return row?.run?.lease.startsWith(token) === true ? [claimOf(tx, row, leasedAt)] : []
}

function claimOf(tx: Transaction, row: JobRow, leasedAt: number): Claim {
  return {
    ...row.labels,
    jobId: row.jobId,
    lease: row.run?.lease ?? '',
    type: row.type,
    payload: JSON.parse(tx.store.payload(row)),
    attempt: row.attempt,
    stalls: row.stalls,
    policy: row.policy,
    waitMs: row.fresh && row.startedAt !== null ? row.startedAt - row.createdAt : null,
    leasedAt,
  }
}
