import type { JobEvent } from '../../../shared/event.ts'
import { RETAINED_BYTES, RETAINED_EVENTS } from '../../../shared/limits.ts'
import type { JobStatus } from '../../../shared/status.ts'
import type { FeedMessage, LeaseRef, RunEvent } from '../engine.ts'
import { EVENTS, iso, type StatusEvent, statusEvent, TextEvent } from '../job/events.ts'
import { isExpired } from '../job/stored-job.ts'
import { CLAIMED } from '../job/transitions.ts'
import type { Value } from './database.ts'
import { eventsIn, type JobRow, olderText, type Run, SMALL_BODY, takeEvent } from './job-row.ts'
import type { Store } from './store.ts'

/** What others are told once a transaction is durable, in order. */
export interface Effects {
  readonly messages: { readonly jobId: string; readonly message: FeedMessage }[]
  /** Type -> jobs that became claimable. */
  readonly ready: Map<string, number>
  readonly cancels: { readonly worker: string; readonly lease: LeaseRef }[]
  /** Of new jobs. */
  readonly submitted: { readonly types: Set<string>; readonly tags: Set<string> }
  /** When the first of the jobs that were scheduled is due; null: none was. */
  scheduledFor: number | null
}

/** What stands for it where there is no result; so does a result that says nothing. */
export const NO_RESULT = 'null'

/**
 * The writes of one group of verbs, which become durable together. Nothing of it is told to anyone before
 * that; what was changed in memory is taken back when it fails.
 */
export class Transaction {
  readonly store: Store
  readonly now: number
  /** Now on the clock that nobody sets. Leases go by it: they live in this process alone, and end with it. */
  readonly monotonicNow: number = performance.now()
  /** `now` as everyone sees it. */
  readonly at: string
  readonly effects: Effects = {
    messages: [],
    ready: new Map(),
    cancels: [],
    submitted: { types: new Set(), tags: new Set() },
    scheduledFor: null,
  }
  readonly #isWatched: (jobId: string) => boolean
  readonly #undo: (() => void)[] = []
  /** Jobs that were looked at or changed here, as they stand now; null: forgotten. */
  readonly #jobs = new Map<string, JobRow | null>()
  /** Types whose counts have changed here. */
  readonly #counted = new Set<string>()

  constructor(store: Store, isWatched: (jobId: string) => boolean) {
    this.store = store
    this.now = store.now()
    this.at = iso(this.now)
    this.#isWatched = isWatched
    store.begin()
  }

  commit(): void {
    this.undo(this.store.saveNumbers())
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
    return row === null ? null : this.own({ ...row })
  }

  /** A job that was read from the file, as it stands here. */
  own(row: JobRow): JobRow {
    const known = this.#jobs.get(row.jobId)
    if (known != null) return known
    this.#jobs.set(row.jobId, row)
    return row
  }

  /** Jobs of which none runs that a statement finds by all their columns (`ROW`). */
  select(sql: string, parameters: readonly Value[]): JobRow[] {
    this.store.flush()
    return this.store.all(sql, parameters).map((columns) => this.own(this.store.decode(columns)))
  }

  /** Jobs whose runs are past their lease. */
  lapsed(): { row: JobRow; run: Run }[] {
    const isLapsed = (row: JobRow | null) => row?.run != null && row.run.leasedUntil <= this.monotonicNow
    return [...this.store.running.values()].filter(isLapsed).flatMap(({ jobId }) => {
      const row = this.find(jobId)
      return row?.run != null && isLapsed(row) ? [{ row, run: row.run }] : []
    })
  }

  /** Stores a job that is new, with the first event of its life. */
  create(row: JobRow, event: StatusEvent): void {
    const { pending } = this.store
    takeEvent(row, event, this.now)
    pending.submit(row)
    for (const tag of tagKeys(row)) pending.tags.add([row.n, tag])
    this.effects.submitted.types.add(row.type)
    for (const tag of row.labels.tags) this.effects.submitted.tags.add(tag)
    if (row.status === 'queued') pending.enqueue(row, true)
    else pending.change(row)
    this.#noteScheduled(row)
    this.#count(row.type, null, row.status)
  }

  /**
   * Takes the job on by one event, which ends the run if there is one: changes the row, keeps the event, and publishes it in due time.
   * `result`: as JSON.
   */
  transition(row: JobRow, event: StatusEvent, result = NO_RESULT): void {
    const from = row.status
    if (EVENTS[event.word].toEndOfLine === true) row.spot = this.store.nextNumber()
    takeEvent(row, event, this.now)
    if (row.status !== 'processing') row.run = null
    if (result !== NO_RESULT) this.#keepResult(row, result)
    this.#limitHistory(row)
    this.#move(row, from)
    this.#noteScheduled(row)
    this.#publish(row, () => statusEvent(row.seq, event, this.now, result))
    this.#count(row.type, from, row.status)
  }

  /** Starts the run of a job that was taken off its line. Writes nothing but that: the rest is written with what follows. */
  claim(row: JobRow, run: Run): void {
    takeEvent(row, CLAIMED, this.now)
    row.run = run
    this.store.pending.startRun(row, this.now)
    if (row.seq > RETAINED_EVENTS) {
      this.#limitHistory(row)
      this.store.pending.change(row)
    }
    this.#publish(row, () => statusEvent(row.seq, CLAIMED, this.now, NO_RESULT))
    this.#count(row.type, 'queued', row.status)
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
        const data = { percent, note: note ?? null }
        row.progress = { seq: row.seq, at: this.now, data }
        this.#publish(row, () => new TextEvent(row.seq, this.at, 'progress', JSON.stringify(data)))
      } else {
        const { kind } = event
        const data = JSON.stringify(event.data)
        const bytes = Buffer.byteLength(data)
        this.store.pending.output.add([row.seq, row.n, this.now, kind, bytes, data])
        row.outputs++
        row.outputBytes += bytes
        this.#publish(row, () =>
          kind === 'log'
            ? new TextEvent(row.seq, this.at, kind, data)
            : new TextEvent(row.seq, this.at, kind, data),
        )
      }
    }
    row.run = { ...run, reported }
    if (row.outputs > RETAINED_EVENTS || row.outputBytes > RETAINED_BYTES) this.#trimOutput(row)
    this.store.pending.change(row)
  }

  /** Removes a job with everything that belongs to it. */
  forget(row: JobRow, reason: 'removed' | 'expired'): void {
    this.store.flush()
    this.#jobs.set(row.jobId, null)
    const tables = ['jobs', 'states', 'history']
    // Of the others the row says whether they hold anything of the job.
    if (row.payload === null) tables.push('payloads')
    if (row.status === 'completed' && row.result === null) tables.push('results')
    if (row.outputs > 0) tables.push('output')
    for (const table of tables) this.store.run(`DELETE FROM ${table} WHERE n = ?`, [row.n])
    for (const tag of tagKeys(row)) this.store.run('DELETE FROM tags WHERE tag = ? AND n = ?', [tag, row.n])
    this.#count(row.type, row.status, null)
    this.effects.messages.push({ jobId: row.jobId, message: { kind: 'gone', reason } })
  }

  /** Says that jobs of this type may be claimed now. */
  ready(type: string, jobs: number): void {
    this.effects.ready.set(type, (this.effects.ready.get(type) ?? 0) + jobs)
  }

  #noteScheduled({ scheduledFor }: JobRow): void {
    if (scheduledFor === null) return
    this.effects.scheduledFor = Math.min(this.effects.scheduledFor ?? Infinity, scheduledFor)
  }

  /** Writes where the job stands, and where it is no longer. */
  #move(row: JobRow, from: JobStatus): void {
    const { pending } = this.store
    pending.change(row)
    if (row.status === from) return
    if (row.status === 'queued') pending.enqueue(row, false)
    if (from === 'processing') pending.endRun(row)
    if (from === 'queued') {
      this.store.flush()
      this.store.run(LEAVE, [row.kind, row.policy.priority, row.spot])
    }
  }

  /** A result is stored once: history refers to it. */
  #keepResult(row: JobRow, json: string): void {
    if (json.length > SMALL_BODY) this.store.pending.results.add([row.n, json])
    else row.result = json
  }

  /** What it tells may not change any more: whoever reported may go on changing what it holds. */
  #publish(row: JobRow, event: () => JobEvent): void {
    if (!this.#isWatched(row.jobId)) return
    this.effects.messages.push({ jobId: row.jobId, message: { kind: 'event', event: event() } })
  }

  #count(type: string, from: JobStatus | null, to: JobStatus | null): void {
    const { catalog } = this.store
    if (!this.#counted.has(type)) {
      this.#counted.add(type)
      this.undo(catalog.keptCounts(type))
    }
    catalog.move(type, from, to)
    if (to === 'queued') this.ready(type, 1)
  }

  /** Moves what the row has of its history to a table, where it grows long, and drops what is too old. */
  #limitHistory(row: JobRow): void {
    if (row.history.length <= RECENT_CHARACTERS && row.seq <= RETAINED_EVENTS) return
    for (const cells of eventsIn(row.history)) {
      const [seq, at] = cells
      this.store.pending.history.add([seq, row.n, at, olderText(cells)])
    }
    row.history = ''
    if (row.seq > RETAINED_EVENTS) this.#trimHistory(row)
  }

  #trimHistory(row: JobRow): void {
    this.store.flush()
    const [oldest] = this.store.get(OLDEST_RETAINED, [row.n, RETAINED_EVENTS - 1]) ?? []
    if (typeof oldest !== 'number') return
    const [dropped] = this.store.get(NEWEST_BEFORE, [row.n, oldest]) ?? []
    if (typeof dropped !== 'number' && oldest === FIRST_SEQ) return
    // The first event may have no row of its own.
    this.#drop(row, 'history', typeof dropped === 'number' ? dropped : FIRST_SEQ)
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

/** Of status events that a job's row has: every change writes them anew. */
const RECENT_CHARACTERS = 1024

const LEAVE = 'DELETE FROM queue WHERE kind = ? AND priority = ? AND place = ?'

/** The seq of the oldest status event that is within what is retained. */
const OLDEST_RETAINED = 'SELECT seq FROM history WHERE n = ? ORDER BY seq DESC LIMIT 1 OFFSET ?'

const NEWEST_BEFORE = 'SELECT seq FROM history WHERE n = ? AND seq < ? ORDER BY seq DESC LIMIT 1'
const FIRST_SEQ = 1

/** A tag as the index knows it. */
export function tagKey(tag: string): string {
  return JSON.stringify(tag)
}

function tagKeys(row: JobRow): Set<string> {
  return new Set(row.labels.tags.map(tagKey))
}
