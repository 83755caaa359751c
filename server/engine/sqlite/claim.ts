import { randomBytes } from 'node:crypto'
import type { Claim, ClaimRequest } from '../engine.ts'
import type { Value } from './database.ts'
import { decodeSubmitted, type JobRow } from './job-row.ts'
import type { Store } from './store.ts'
import type { Transaction } from './transaction.ts'

/** The next jobs of a type. `moved`: NULL where nothing has happened to the job, so that its submission says it all. */
const NEXT = `
  SELECT queue.n AS moved, jobs.n, id, jobs.kind, policy, created_at, tags, payload
  FROM queue CROSS JOIN jobs ON jobs.n = coalesce(queue.n, place)
  WHERE queue.kind = ? ORDER BY priority DESC, place LIMIT ?`
const LEAVE_UP_TO = 'DELETE FROM queue WHERE kind = ? AND priority = ? AND place <= ?'
/** Types that one statement looks at; a call into the binding costs more than finding a job. */
const MAX_TYPES = 64

/** How many jobs of a type are to be claimed. */
interface Share {
  readonly type: string
  readonly jobs: number
}

type Next = [moved: number | null, ...submitted: Value[]]

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
    // 1. One that is sent again gets what it got, as far as it is held.
    this.#forgetOld(tx.monotonicNow)
    const before = this.#recent.get(claimId)
    if (before !== undefined) return before.jobs.flatMap((jobId) => again(tx, jobId, before))

    // 2. Types take turns: each type's first job, then each type's second, and so on, as far as the limits go.
    const rounds = this.#rounds(tx, request)

    // 3. The jobs leave their lines.
    const byType = new Map<string, JobRow[]>()
    for (const row of takeNext(tx, sharesOf(rounds)).reverse()) {
      const ofType = byType.get(row.type)
      if (ofType === undefined) byType.set(row.type, [row])
      else ofType.push(row)
    }
    const rows = rounds.flatMap((type) => byType.get(type)?.pop() ?? [])
    if (rows.length === 0) return []

    // 4. Their runs begin.
    const token = randomBytes(16).toString('base64url')
    const leasedAt = tx.monotonicNow
    const leasedUntil = leasedAt + leaseMs
    for (const [index, row] of rows.entries()) {
      tx.claim(row, { lease: `${token}.${index}`, worker, leasedUntil, reported: 0 })
    }

    // 5. What is remembered of it goes where the transaction fails.
    this.#lastType = rows.at(-1)?.type ?? ''
    this.#recent.set(claimId, { token, jobs: rows.map(({ jobId }) => jobId), leasedAt, until: leasedUntil })
    tx.undo(() => this.#recent.delete(claimId))
    return rows.map((row) => claimOf(tx, row, leasedAt))
  }

  /** The types of the jobs to claim, in turn. */
  #rounds(tx: Transaction, request: ClaimRequest): string[] {
    const { catalog } = tx.store
    const first = request.types.findIndex(({ type }) => type === this.#lastType) + 1
    let open = [...request.types.slice(first), ...request.types.slice(0, first)]
      .map(({ type, limit }) => ({ type, left: Math.min(limit, catalog.claimable(type)) }))
      .filter(({ left }) => left > 0)
    const rounds: string[] = []
    while (open.length > 0 && rounds.length < request.limit) {
      for (const turn of open.slice(0, request.limit - rounds.length)) {
        turn.left--
        rounds.push(turn.type)
      }
      open = open.filter(({ left }) => left > 0)
    }
    return rounds
  }

  /** The oldest come first, so that this looks at little more than what it forgets. */
  #forgetOld(now: number): void {
    for (const [claimId, { until }] of this.#recent) {
      if (until > now) return
      this.#recent.delete(claimId)
    }
  }
}

/** How often each type has its turn; in the order in which they come. */
function sharesOf(rounds: readonly string[]): Share[] {
  const jobs = new Map<string, number>()
  for (const type of rounds) jobs.set(type, (jobs.get(type) ?? 0) + 1)
  return [...jobs].map(([type, amount]) => ({ type, jobs: amount }))
}

/** Takes the next jobs of types off their lines, those of one type in line. */
function takeNext(tx: Transaction, shares: readonly Share[]): JobRow[] {
  const { store } = tx
  store.flush()
  const rows = nextJobs(store, shares)
  for (const [index, row] of rows.entries()) {
    const following = rows[index + 1]
    // What stands before it in the same line was taken as well.
    if (following === undefined || !areInOneLine(row, following)) {
      store.run(LEAVE_UP_TO, [row.kind, row.policy.priority, row.spot])
    }
  }
  return rows.map((row) => tx.own(row))
}

function nextJobs(store: Store, shares: readonly Share[]): JobRow[] {
  const known = shares.flatMap(({ type, jobs }) => {
    const kind = store.catalog.kindOf(type)
    return kind === undefined ? [] : [{ kind, jobs }]
  })
  const rows: JobRow[] = []
  let read = 0
  for (let size = MAX_TYPES; read < known.length; size /= 2) {
    for (; known.length - read >= size; read += size) {
      const some = known.slice(read, read + size)
      const parameters = some.flatMap(({ kind, jobs }) => [kind, jobs])
      const found = JSON.parse(store.get(statement(size), parameters)?.[0] as string) as Next[]
      for (const next of found) {
        const row = rowOf(store, next)
        if (row !== null) rows.push(row)
      }
    }
  }
  return rows
}

/** By the types that they look at. One text for all jobs: to hand over a value costs more than to write and parse it. */
const statements = new Map<number, string>()

function statement(types: number): string {
  const known = statements.get(types)
  if (known !== undefined) return known
  const jobs = Array(types).fill(`SELECT * FROM (${NEXT})`).join(' UNION ALL ')
  const sql = `
    SELECT json_group_array(json_array(moved, n, id, kind, policy, created_at, tags, payload)) FROM (${jobs})`
  statements.set(types, sql)
  return sql
}

function rowOf(store: Store, next: Next): JobRow | null {
  const [moved, ...submitted] = next
  return moved === null ? decodeSubmitted(submitted, store.catalog.typeOf) : store.jobByNumber(moved)
}

function areInOneLine(one: JobRow, other: JobRow): boolean {
  return one.kind === other.kind && one.policy.priority === other.policy.priority
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
  const claim = {
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
  return Object.assign(claim, row.labels)
}

/** `taken`: another claim under the same id takes its place. */
type Ending = 'over' | 'taken'

interface Waiter {
  readonly types: ReadonlySet<string>
  readonly end: (ending: Ending) => void
}

/** Claims that have found nothing. Whoever has waited longest is woken first, one a job. */
export class Waiters {
  /** By claim id. */
  readonly #waiting = new Map<string, Waiter>()

  /** Resolves when woken or taken, after `waitMs`, or when the signal fires. */
  wait(
    claimId: string,
    types: readonly { readonly type: string }[],
    waitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Ending> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve('over')
      const end = (ending: Ending) => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', stop)
        if (this.#waiting.get(claimId) === waiter) this.#waiting.delete(claimId)
        resolve(ending)
      }
      const stop = () => end('over')
      const timer = setTimeout(stop, waitMs)
      const waiter: Waiter = { types: new Set(types.map(({ type }) => type)), end }
      signal?.addEventListener('abort', stop)
      this.take(claimId)
      this.#waiting.set(claimId, waiter)
    })
  }

  /** Ends the wait of the claim of this id, if there is one: it is made by somebody else. */
  take(claimId: string): void {
    this.#waiting.get(claimId)?.end('taken')
  }

  /** Wakes a waiter a job, as far as there are any. */
  wake(type: string, jobs: number): void {
    let left = jobs
    for (const { types, end } of this.#waiting.values()) {
      if (left <= 0) return
      if (!types.has(type)) continue
      end('over')
      left--
    }
  }

  wakeAll(): void {
    for (const { end } of this.#waiting.values()) end('over')
  }
}
