import { randomBytes } from 'node:crypto'
import type { Claim, ClaimRequest, ExtendVerdict, LeaseRef } from '../engine.ts'
import { decodeRow, FIELDS, type JobRow, policyOf } from './job-row.ts'
import { ROW } from './store.ts'
import type { Transaction } from './transaction.ts'
import { claimed } from './transitions.ts'

const NEXT = `
  SELECT ${ROW}, payloads.json FROM jobs INDEXED BY jobs_ready JOIN payloads USING (n)
  WHERE type = ? AND status = 'queued' ORDER BY priority DESC, place LIMIT ?`

/**
 * Gives out runs. Remembers the claims of the last lease's time: a process that is gone has no worker left to
 * ask for them again, so memory will do.
 */
export class Claims {
  /** Claim id -> the jobs it took, and what their leases start with. */
  readonly #recent = new Map<string, { token: string; jobs: number[]; until: number }>()
  /** The type that was served last; the next claim starts with the one after it. */
  #lastType = ''

  claim(tx: Transaction, request: ClaimRequest): Claim[] {
    const { claimId, workerId: worker, leaseMs } = request
    this.#forgetOld(tx.now)
    const before = this.#recent.get(claimId)
    if (before !== undefined) return before.jobs.flatMap((n) => again(tx, n, before.token))

    const candidates = this.#turns(tx, request)
    if (candidates.length === 0) return []
    const token = randomBytes(16).toString('base64url')
    for (const [index, { row }] of candidates.entries()) {
      tx.transition(row, claimed({ lease: `${token}.${index}`, worker, leaseMs }, tx.now))
    }
    this.#lastType = candidates.at(-1)?.row.type ?? ''
    this.#recent.set(claimId, { token, jobs: candidates.map(({ row }) => row.n), until: tx.now + leaseMs })
    tx.undo(() => this.#recent.delete(claimId))
    return candidates.map(({ row, payload }) => claimOf(row, payload))
  }

  /** The next jobs: each type's first, then each type's second, and so on, as far as the limits go. */
  #turns(tx: Transaction, request: ClaimRequest): Candidate[] {
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
    const found = new Map(
      inTurn
        .filter(({ taken }) => taken > 0)
        .map(({ type, taken }) => [type, tx.store.all(NEXT, [type, taken]).map(candidate).reverse()]),
    )
    return rounds.flatMap((type) => found.get(type)?.pop() ?? [])
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
    const row = heldRow(tx, lease)
    if (row === null) return 'stale'
    row.leasedUntil = tx.now + leaseMs
    tx.save(row, ['leasedUntil'])
    return row.cancelRequested ? 'cancel_requested' : 'held'
  })
}

/** The job of a run that goes on under this lease; null where the lease is no longer held. */
export function heldRow(tx: Transaction, { jobId, lease }: LeaseRef): JobRow | null {
  const row = tx.find(jobId)
  return row?.status === 'processing' && row.lease === lease ? row : null
}

interface Candidate {
  readonly row: JobRow
  /** JSON. */
  readonly payload: string
}

function candidate(columns: Parameters<typeof decodeRow>[0]): Candidate {
  return { row: decodeRow(columns), payload: columns[FIELDS.length] as string }
}

/** A claim that is sent again, as long as it is held. */
function again(tx: Transaction, n: number, token: string): Claim[] {
  const row = tx.store.jobByNumber(n)
  if (row?.status !== 'processing' || row.lease?.startsWith(token) !== true) return []
  return [claimOf(row, tx.store.bodies(n).payload)]
}

function claimOf(row: JobRow, payload: string): Claim {
  return {
    jobId: row.id,
    lease: row.lease ?? '',
    type: row.type,
    payload: JSON.parse(payload),
    attempt: row.attempt,
    stalls: row.stalls,
    policy: policyOf(row.policy),
    tags: JSON.parse(row.tags),
    waitMs: row.fresh && row.startedAt !== null ? row.startedAt - row.createdAt : null,
  }
}
