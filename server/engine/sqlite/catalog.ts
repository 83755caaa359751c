import type { StatusCounts } from '../../../shared/api.ts'
import { type JobStatus, perStatus } from '../../../shared/status.ts'
import type { TypeRegistration, TypeState } from '../engine.ts'
import { completePolicy } from '../job/policy.ts'
import type { Database, Statement } from './database.ts'
import { STATUS_CODES, statusOf } from './job-row.ts'

interface Entry {
  /** What the file calls the type. */
  readonly kind: number
  readonly counts: StatusCounts
  paused: boolean
  /** JSON of the policy and of the schemas of payload and result; no policy where the type was never registered. */
  policy: string | null
  payloadSchema: string | null
  resultSchema: string | null
}

/** What of a type may be changed. */
type Settings = Pick<Entry, 'paused' | 'policy' | 'payloadSchema' | 'resultSchema'>

/** How the catalogue takes a change back when the transaction that made it fails. */
export type Undo = (takeBack: () => void) => void

/**
 * Every job type, with how many of its jobs stand where. One process owns the file, so the counts are kept in
 * memory: read from indexes at start, then moved along with every transition.
 */
export class Catalog {
  readonly #entries = new Map<string, Entry>()
  readonly #types: string[] = []
  readonly #write: Statement

  constructor(database: Database) {
    this.#write = database.prepare(
      'INSERT OR REPLACE INTO types (kind, type, paused, policy, payload_schema, result_schema) VALUES (?, ?, ?, ?, ?, ?)',
    )
    const types = database.prepare(
      'SELECT kind, type, paused, policy, payload_schema, result_schema FROM types',
    )
    for (const row of types.all([])) {
      const [kind, type] = row as [number, string]
      this.#types[kind] = type
      this.#entries.set(type, {
        kind,
        counts: perStatus(() => 0),
        paused: row[2] === 1,
        policy: row[3] as string | null,
        payloadSchema: row[4] as string | null,
        resultSchema: row[5] as string | null,
      })
    }
    for (const [kind, status, amount] of database.prepare(COUNTS).all([])) {
      const entry = this.#entries.get(this.typeOf(kind as number))
      const known = statusOf(status as number)
      if (entry !== undefined && known !== undefined) entry.counts[known] = amount as number
    }
  }

  /** The type of a number in the file. */
  readonly typeOf = (kind: number): string => {
    const type = this.#types[kind]
    if (type === undefined) throw new Error(`the file holds an unknown type: ${kind}`)
    return type
  }

  /** The number of a type that is known. */
  kindOf(type: string): number | undefined {
    return this.#entries.get(type)?.kind
  }

  names(): IterableIterator<string> {
    return this.#entries.keys()
  }

  count(type: string, status: JobStatus): number {
    return this.#entries.get(type)?.counts[status] ?? 0
  }

  isPaused(type: string): boolean {
    return this.#entries.get(type)?.paused ?? false
  }

  /** Jobs of this type that may be claimed. */
  claimable(type: string): number {
    const entry = this.#entries.get(type)
    return entry === undefined || entry.paused ? 0 : entry.counts.queued
  }

  /** Counts a job's change of status; null is "does not exist". */
  move(type: string, from: JobStatus | null, to: JobStatus | null): void {
    const counts = this.#entries.get(type)?.counts
    if (counts === undefined) return
    if (from !== null) counts[from]--
    if (to !== null) counts[to]++
  }

  /** How to bring a type's counts back to what they are now. */
  keptCounts(type: string): () => void {
    const counts = this.#entries.get(type)?.counts
    const kept = { ...counts }
    return () => Object.assign(counts ?? {}, kept)
  }

  /** Makes a type known; returns its number. */
  add(type: string, undo: Undo): number {
    return this.#entries.get(type)?.kind ?? this.#update(type, {}, undo)
  }

  setPaused(type: string, paused: boolean, undo: Undo): void {
    this.#update(type, { paused }, undo)
  }

  register(registration: TypeRegistration, undo: Undo): void {
    const { type, policy, payloadSchema, resultSchema } = registration
    const settings = {
      policy: JSON.stringify(policy),
      payloadSchema: JSON.stringify(payloadSchema),
      resultSchema: resultSchema === undefined ? null : JSON.stringify(resultSchema),
    }
    this.#update(type, settings, undo)
  }

  states(): TypeState[] {
    return [...this.#entries]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([type, { counts, paused, policy, payloadSchema, resultSchema }]) => ({
        type,
        counts: { ...counts },
        paused,
        registration:
          policy === null
            ? null
            : {
                type,
                policy: completePolicy(JSON.parse(policy)),
                payloadSchema: payloadSchema === null ? null : JSON.parse(payloadSchema),
                ...(resultSchema !== null && { resultSchema: JSON.parse(resultSchema) }),
              },
      }))
  }

  #update(type: string, change: Partial<Settings>, undo: Undo): number {
    const before = this.#entries.get(type)
    const unchanged = before ?? {
      ...{ kind: Math.max(this.#types.length, 1), counts: perStatus(() => 0) },
      ...{ paused: false, policy: null, payloadSchema: null, resultSchema: null },
    }
    const entry = { ...unchanged, ...change }
    const { kind, paused, policy, payloadSchema, resultSchema } = entry
    this.#write.run([kind, type, paused ? 1 : 0, policy, payloadSchema, resultSchema])
    this.#types[entry.kind] = type
    this.#entries.set(type, entry)
    undo(() => {
      if (before === undefined) this.#entries.delete(type)
      else this.#entries.set(type, before)
    })
    return entry.kind
  }
}

/** Queued jobs are those in the queue, processing ones those in the runs, whatever their states say. */
const COUNTS = `
  SELECT kind, ${STATUS_CODES.queued}, count(*) FROM queue GROUP BY kind
  UNION ALL
  SELECT kind, ${STATUS_CODES.processing}, count(*) FROM runs JOIN jobs USING (n) GROUP BY kind
  UNION ALL
  SELECT kind, status, count(*) FROM states INDEXED BY states_listed
  WHERE status NOT IN (${STATUS_CODES.queued}, ${STATUS_CODES.processing}) GROUP BY kind, status`
