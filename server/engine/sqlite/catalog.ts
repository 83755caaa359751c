import type { RunPolicy, StatusCounts } from '../../../shared/api.ts'
import type { JobStatus } from '../../../shared/status.ts'
import type { TypeRegistration, TypeState } from '../engine.ts'
import type { Database, Statement } from './database.ts'

interface Entry {
  readonly counts: StatusCounts
  paused: boolean
  /** JSON of the policy and of the payload's schema; no policy where the type was never registered. */
  policy: string | null
  payloadSchema: string | null
}

/** How the catalogue takes a change back when the transaction that made it fails. */
export type Undo = (takeBack: () => void) => void

/**
 * Every job type, with how many of its jobs stand where. One process owns the file, so the counts are kept in
 * memory: read from an index at start, then moved along with every transition.
 */
export class Catalog {
  readonly #entries = new Map<string, Entry>()
  readonly #write: Statement

  constructor(database: Database) {
    this.#write = database.prepare(
      'INSERT OR REPLACE INTO types (type, paused, policy, payload_schema) VALUES (?, ?, ?, ?)',
    )
    for (const row of database.prepare('SELECT type, paused, policy, payload_schema FROM types').all([])) {
      this.#entries.set(row[0] as string, {
        counts: noJobs(),
        paused: row[1] === 1,
        policy: row[2] as string | null,
        payloadSchema: row[3] as string | null,
      })
    }
    const counts = database.prepare(
      'SELECT type, status, count(*) FROM jobs INDEXED BY jobs_listed GROUP BY type, status',
    )
    for (const row of counts.all([])) {
      const entry = this.#entries.get(row[0] as string)
      if (entry !== undefined) entry.counts[row[1] as JobStatus] = row[2] as number
    }
  }

  names(): IterableIterator<string> {
    return this.#entries.keys()
  }

  count(type: string, status: JobStatus): number {
    return this.#entries.get(type)?.counts[status] ?? 0
  }

  /** Jobs of this type that may be claimed. */
  claimable(type: string): number {
    const entry = this.#entries.get(type)
    return entry === undefined || entry.paused ? 0 : entry.counts.queued
  }

  /** Counts a job's change of status; null is "does not exist". */
  move(type: string, from: JobStatus | null, to: JobStatus | null, undo: Undo): void {
    if (from === to) return
    this.#count(type, from, to)
    undo(() => this.#count(type, to, from))
  }

  /** Makes a type known. */
  add(type: string, undo: Undo): void {
    if (!this.#entries.has(type)) this.#update(type, {}, undo)
  }

  setPaused(type: string, paused: boolean, undo: Undo): void {
    this.#update(type, { paused }, undo)
  }

  register(registration: TypeRegistration, undo: Undo): void {
    const { type, policy, payloadSchema } = registration
    this.#update(type, { policy: JSON.stringify(policy), payloadSchema: JSON.stringify(payloadSchema) }, undo)
  }

  states(): TypeState[] {
    return [...this.#entries]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([type, { counts, paused, policy, payloadSchema }]) => ({
        type,
        counts: { ...counts },
        paused,
        registration:
          policy === null
            ? null
            : {
                type,
                policy: JSON.parse(policy) as RunPolicy,
                payloadSchema: payloadSchema === null ? null : JSON.parse(payloadSchema),
              },
      }))
  }

  #count(type: string, from: JobStatus | null, to: JobStatus | null): void {
    const counts = this.#entries.get(type)?.counts
    if (counts === undefined) return
    if (from !== null) counts[from]--
    if (to !== null) counts[to]++
  }

  #update(type: string, change: Partial<Omit<Entry, 'counts'>>, undo: Undo): void {
    const before = this.#entries.get(type)
    const unchanged = { paused: false, policy: null, payloadSchema: null }
    const entry = { ...(before ?? { ...unchanged, counts: noJobs() }), ...change }
    this.#write.run([type, entry.paused ? 1 : 0, entry.policy, entry.payloadSchema])
    this.#entries.set(type, entry)
    undo(() => {
      if (before === undefined) this.#entries.delete(type)
      else this.#entries.set(type, before)
    })
  }
}

function noJobs(): StatusCounts {
  return { scheduled: 0, queued: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 }
}
