import type { JobEvent } from '../../../shared/event.ts'
import { RETAINED_BYTES, RETAINED_EVENTS } from '../../../shared/limits.ts'
import type { JobStatus } from '../../../shared/status.ts'
import type { FeedMessage, Json, LeaseRef, RunEvent } from '../engine.ts'
import type { Value } from './database.ts'
import {
  decodeRow,
  encodeField,
  isExpired,
  iso,
  type JobRow,
  NEW_FIELDS,
  type Run,
  SMALL_BODY,
  type StoredField,
  tagsOf,
} from './job-row.ts'
import { nextJobs, type Turn } from './next-jobs.ts'
import { changeOf, type StatusEvent } from './status-event.ts'
import type { Store } from './store.ts'
import type { Transition } from './transitions.ts'

/** What others are told once a transaction is durable, in order. */
export interface Effects {
  readonly messages: { readonly jobId: string; readonly message: FeedMessage }[]
  /** Type -> jobs that became claimable. */
  readonly ready: Map<string, number>
  readonly cancels: { readonly worker: string; readonly lease: LeaseRef }[]
}

/**
 * The writes of one group of verbs, which become durable together. Nothing of it is told to anyone before
 * that; what was changed in memory is taken back when it fails.
 */
export class Transaction {
  readonly store: Store
  readonly now: number = Date.now()
  /** `now` as everyone sees it. */
  readonly at: string = iso(this.now)
  readonly effects: Effects = { messages: [], ready: new Map(), cancels: [] }
  readonly #isWatched: (jobId: string) => boolean
  readonly #undo: (() => void)[] = []
  /** Jobs that were looked at or changed here, as they stand now; null: forgotten. */
  readonly #jobs = new Map<string, JobRow | null>()

  constructor(store: Store, isWatched: (jobId: string) => boolean) {
    this.store = store
    this.#isWatched = isWatched
    store.begin()
  }

  commit(): void {
    this.undo(this.store.savePlaces())
    this.store.commit()
    for (const [jobId, row] of this.#jobs) {
      if (row?.status === 'processing') this.store.running.set(jobId, row)
      else this.store.running.delete(jobId)
    }
  }

  rollback(): void {
    this.store.rollback()
    for (const takeBack of this.#undo.reverse()) takeBack()
  }

  /** Says how to take back a change in memory, should the transaction fail. */
  readonly undo = (takeBack: () => void): void => {
    this.#undo.push(takeBack)
  }

  /** The job as it stands; null where it is unknown or expired. */
  find(jobId: string): JobRow | null {
    const known = this.#jobs.get(jobId)
    if (known !== undefined) return known === null || isExpired(known, this.now) ? null : known
    if (!this.store.running.has(jobId)) this.store.flush()
    const row = this.store.liveJob(jobId, this.now)
    // A copy, since it is changed in place and others see that only once it is durable.
    return row === null ? null : this.#own({ ...row })
  }

  /** Jobs that a statement finds by all their columns (`ROW`). */
  select(sql: string, parameters: readonly Value[]): JobRow[] {
    this.store.flush()
    return this.store.all(sql, parameters).map((columns) => {
      const row = decodeRow(columns)
      return this.#jobs.get(row.id) ?? this.#own(row)
    })
  }

  /** The next jobs of types, those of one type in line. */
  next(turns: readonly Turn[]): JobRow[] {
    this.store.flush()
    return nextJobs(this.store, turns).map((row) => this.#jobs.get(row.id) ?? this.#own(row))
  }

  /** Jobs whose runs are past their lease. */
  lapsed(): { row: JobRow; run: Run }[] {
    const isLapsed = (row: JobRow | null) => row?.run != null && row.run.leasedUntil <= this.now
    return [...this.store.running.values()].filter(isLapsed).flatMap(({ id }) => {
      const row = this.find(id)
      return row?.run != null && isLapsed(row) ? [{ row, run: row.run }] : []
    })
  }

  /** Stores a job that is new, with the first step of its life. */
  create(row: JobRow, step: Transition): void {
    const { inserts } = this.store
    this.#take(row, step)
    // What a first event mostly says, the row says as well: feed.ts fills it in.
    if (row.status !== 'queued') this.#keep(row, step.event)
    inserts.jobs.add(NEW_FIELDS.map((field) => encodeField(row, field)))
    for (const tag of tagKeys(row)) inserts.tags.add([tag, row.n])
    this.#count(row.type, null, row.status)
  }

  /** Takes one step: changes the row, gives the event its seq, keeps it, and publishes it in due time. */
  transition(row: JobRow, step: Transition): void {
    const from = row.status
    const changed = this.#take(row, step)
    if (step.result !== undefined && step.result !== null) this.#keepResult(row, step.result, changed)
    this.#keep(row, step.event)
    if (row.seq > RETAINED_EVENTS && this.#trimHistory(row)) changed.push('trimmed')
    this.store.updates.add(row, changed)
    this.#publish(row, () => {
      const change = changeOf(step.event, this.at)
      return { kind: 'status', data: step.result === undefined ? change : { ...change, result: step.result } }
    })
    this.#count(row.type, from, row.status)
  }

  /** Appends what a run reports. */
  append(row: JobRow, run: Run, events: readonly RunEvent[]): void {
    if (events.length === 0) return
    let { reported } = run
    for (const event of events) {
      if (event.n !== undefined && event.n <= reported) continue
      reported = event.n ?? reported
      row.seq++
      if (event.kind === 'progress') {
        const { percent, note } = event.data
        const progress = { percent, note: note ?? null }
        Object.assign(row, { progress, progressSeq: row.seq, progressAt: this.now })
        this.#publish(row, () => ({ kind: 'progress', data: progress }))
      } else {
        const { kind } = event
        const data = JSON.stringify(event.data)
        const bytes = Buffer.byteLength(data)
        this.store.inserts.output.add([row.n, row.seq, this.now, kind, bytes, data])
        row.outputs++
        row.outputBytes += bytes
        this.#publish(row, () => (kind === 'log' ? { kind, data: event.data } : { kind, data: event.data }))
      }
    }
    row.run = { ...run, reported }
    if (row.outputs > RETAINED_EVENTS || row.outputBytes > RETAINED_BYTES) this.#trimOutput(row)
    this.store.updates.add(row, REPORTED)
  }

  /** Removes a job with everything that belongs to it. */
  forget(row: JobRow, reason: 'removed' | 'expired'): void {
    this.store.flush()
    this.#jobs.set(row.id, null)
    for (const table of ['jobs', 'payloads', 'results', 'history', 'output']) {
      this.store.run(`DELETE FROM ${table} WHERE n = ?`, [row.n])
    }
    for (const tag of tagKeys(row)) this.store.run('DELETE FROM tags WHERE tag = ? AND n = ?', [tag, row.n])
    this.#count(row.type, row.status, null)
    this.effects.messages.push({ jobId: row.id, message: { kind: 'gone', reason } })
  }

  /** Says that jobs of this type may be claimed now. */
  ready(type: string, jobs: number): void {
    this.effects.ready.set(type, (this.effects.ready.get(type) ?? 0) + jobs)
  }

  #own(row: JobRow): JobRow {
    this.#jobs.set(row.id, row)
    return row
  }

  /** Changes the row; returns the fields that are to be written. */
  #take(row: JobRow, { fields, run, keepsRun }: Transition): StoredField[] {
    const changed = (Object.keys(fields) as (keyof typeof fields)[]).filter(
      (field) => fields[field] !== row[field],
    ) as StoredField[]
    Object.assign(row, fields)
    if (keepsRun === undefined) row.run = run ?? null
    row.seq++
    changed.push('seq')
    return changed
  }

  #keep(row: JobRow, event: StatusEvent): void {
    this.store.inserts.history.add([row.n, row.seq, this.now, JSON.stringify(event)])
  }

  /** A result is stored once: history refers to it. */
  #keepResult(row: JobRow, result: Json, changed: StoredField[]): void {
    const json = JSON.stringify(result)
    if (json.length > SMALL_BODY) {
      this.store.inserts.results.add([row.n, json])
    } else {
      row.result = json
      changed.push('result')
    }
  }

  /** Tells a copy: whoever reported may go on changing what it holds. */
  #publish(row: JobRow, event: () => Unplaced<JobEvent>): void {
    if (!this.#isWatched(row.id)) return
    const placed: JobEvent = JSON.parse(JSON.stringify({ seq: row.seq, at: this.at, ...event() }))
    this.effects.messages.push({ jobId: row.id, message: { kind: 'event', event: placed } })
  }

  #count(type: string, from: JobStatus | null, to: JobStatus | null): void {
    this.store.catalog.move(type, from, to, this.undo)
    if (to === 'queued') this.ready(type, 1)
  }

  /** Says whether anything was dropped. */
  #trimHistory(row: JobRow): boolean {
    this.store.flush()
    const [oldest] = this.store.get(OLDEST_RETAINED, [row.n, RETAINED_EVENTS - 1]) ?? []
    if (typeof oldest !== 'number') return false
    const [dropped] = this.store.get(NEWEST_BEFORE, [row.n, oldest]) ?? []
    if (typeof dropped !== 'number' && oldest === FIRST_SEQ) return false
    // The first event may have no row of its own.
    this.#drop(row, 'history', typeof dropped === 'number' ? dropped : FIRST_SEQ)
    return true
  }

  #trimOutput(row: JobRow): void {
    this.store.flush()
    const oldest = this.store.all('SELECT seq, bytes FROM output WHERE n = ? ORDER BY seq', [row.n])
    let dropped = 0
    for (const [seq, bytes] of oldest) {
      if (row.outputs <= RETAINED_EVENTS && row.outputBytes <= RETAINED_BYTES) break
      dropped = Number(seq)
      row.outputs--
      row.outputBytes -= Number(bytes)
    }
    this.#drop(row, 'output', dropped)
  }

  /** Drops the events of a table up to a seq. */
  #drop(row: JobRow, table: 'history' | 'output', upTo: number): void {
    this.store.run(`DELETE FROM ${table} WHERE n = ? AND seq <= ?`, [row.n, upTo])
    row.trimmed = Math.max(row.trimmed, upTo)
  }
}

/** The seq of the oldest status event that is within what is retained. */
const OLDEST_RETAINED = 'SELECT seq FROM history WHERE n = ? ORDER BY seq DESC LIMIT 1 OFFSET ?'

const NEWEST_BEFORE = 'SELECT seq FROM history WHERE n = ? AND seq < ? ORDER BY seq DESC LIMIT 1'
const FIRST_SEQ = 1

/** A tag as the index knows it. */
export function tagKey(tag: string): string {
  return JSON.stringify(tag)
}

function tagKeys(row: JobRow): Set<string> {
  return new Set(tagsOf(row).map(tagKey))
}

/** An event that has no place in its job's history yet. */
type Unplaced<Event> = Event extends JobEvent ? Omit<Event, 'seq' | 'at'> : never

/** What a report may change. */
const REPORTED = [
  ...(['seq', 'trimmed', 'outputs', 'outputBytes'] as const),
  ...(['progress', 'progressSeq', 'progressAt'] as const),
] as const
