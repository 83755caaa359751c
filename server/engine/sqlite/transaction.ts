import type { JobEvent } from '../../../shared/event.ts'
import { RETAINED_BYTES, RETAINED_EVENTS } from '../../../shared/limits.ts'
import type { JobStatus } from '../../../shared/status.ts'
import type { FeedMessage, LeaseRef, RunEvent } from '../engine.ts'
import { encodeField, iso, type JobRow, NEW_FIELDS } from './job-row.ts'
import type { Store } from './store.ts'
import { changeOf, type Transition } from './transitions.ts'

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
  #placesTaken = false

  constructor(store: Store, isWatched: (jobId: string) => boolean) {
    this.store = store
    this.#isWatched = isWatched
    store.begin()
  }

  commit(): void {
    if (this.#placesTaken) this.store.savePlace()
    this.store.commit()
  }

  rollback(): void {
    this.store.rollback()
    for (const takeBack of this.#undo.reverse()) takeBack()
  }

  /** Says how to take back a change in memory, should the transaction fail. */
  readonly undo = (takeBack: () => void): void => {
    this.#undo.push(takeBack)
  }

  nextPlace(): number {
    this.#placesTaken = true
    return this.store.nextPlace()
  }

  /** The job as it stands; null where it is unknown or expired. */
  find(jobId: string): JobRow | null {
    const row = this.store.liveJob(jobId, this.now)
    // What is kept of a running job is changed in place.
    if (row?.status === 'processing') this.undo(() => this.store.forgetRunning(jobId))
    return row
  }

  /** Stores a job that is new, with the first step of its life. */
  create(row: JobRow, payload: string, step: Transition): void {
    const { inserts } = this.store
    this.#record(row, step)
    inserts.jobs.add(NEW_FIELDS.map((field) => encodeField(row, field)))
    inserts.payloads.add([row.n, payload])
    for (const tag of tagKeys(row)) inserts.tags.add([tag, row.n])
    this.#count(row.type, null, row.status)
  }

  /** Takes one step: changes the row, gives the event its seq, keeps it, and publishes it in due time. */
  transition(row: JobRow, step: Transition): void {
    const from = row.status
    const changed = this.#record(row, step)
    if (row.statuses > RETAINED_EVENTS) {
      this.#trimHistory(row)
      changed.push('trimmed')
    }
    this.save(row, changed)
    this.#count(row.type, from, row.status)
  }

  /** Appends what a run reports. */
  append(row: JobRow, events: readonly RunEvent[]): void {
    if (events.length === 0) return
    for (const event of events) {
      if (event.n !== undefined && event.n <= row.reported) continue
      row.reported = event.n ?? row.reported
      row.seq++
      if (event.kind === 'progress') {
        const { percent, note } = event.data
        row.progress = { percent, note: note ?? null }
        row.progressSeq = row.seq
        row.progressAt = this.now
        this.#publish(row, { kind: 'progress', data: row.progress })
      } else {
        const data = JSON.stringify(event.data)
        const bytes = Buffer.byteLength(data)
        this.store.inserts.output.add([row.n, row.seq, this.now, event.kind, bytes, data])
        row.outputs++
        row.outputBytes += bytes
        const { kind } = event
        this.#publish(row, kind === 'log' ? { kind, data: event.data } : { kind, data: event.data })
      }
    }
    if (row.outputs > RETAINED_EVENTS || row.outputBytes > RETAINED_BYTES) this.#trimOutput(row)
    this.save(row, REPORTED)
  }

  /** Writes some fields of a job. */
  save(row: JobRow, fields: readonly (keyof JobRow)[]): void {
    this.undo(() => this.store.forgetRunning(row.id))
    this.store.saveJob(row, fields)
  }

  /** Removes a job with everything that belongs to it. */
  forget(row: JobRow, reason: 'removed' | 'expired'): void {
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

  /** Makes the step and its event; returns the fields that it changed. */
  #record(row: JobRow, { shown, kept }: Transition): (keyof JobRow)[] {
    const { result, ...fields } = shown
    const next: Partial<JobRow> = { ...fields, ...kept, seq: row.seq + 1, statuses: row.statuses + 1 }
    const changed = (Object.keys(next) as (keyof JobRow)[]).filter((field) => next[field] !== row[field])
    Object.assign(row, next)
    const change = changeOf(fields)
    const data = result === undefined ? change : { ...change, result }
    // A result is stored once: history refers to it.
    const isStored = result !== undefined && result !== null
    this.store.inserts.history.add([row.n, row.seq, this.now, JSON.stringify(isStored ? change : data)])
    if (isStored) this.store.inserts.results.add([row.n, JSON.stringify(result)])
    this.#publish(row, { kind: 'status', data })
    return changed
  }

  /** Tells a copy: whoever reported may go on changing what it holds. */
  #publish(row: JobRow, event: Unplaced<JobEvent>): void {
    if (!this.#isWatched(row.id)) return
    const placed: JobEvent = JSON.parse(JSON.stringify({ seq: row.seq, at: this.at, ...event }))
    this.effects.messages.push({ jobId: row.id, message: { kind: 'event', event: placed } })
  }

  #count(type: string, from: JobStatus | null, to: JobStatus | null): void {
    this.store.catalog.move(type, from, to, this.undo)
    if (to === 'queued') this.ready(type, 1)
  }

  #trimHistory(row: JobRow): void {
    this.store.flush()
    const excess = row.statuses - RETAINED_EVENTS
    const oldest = this.store.all('SELECT seq FROM history WHERE n = ? ORDER BY seq LIMIT ?', [row.n, excess])
    this.#drop(row, 'history', Number(oldest.at(-1)?.[0] ?? 0))
    row.statuses -= oldest.length
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

/** A tag as the index knows it. */
export function tagKey(tag: string): string {
  return JSON.stringify(tag)
}

function tagKeys(row: JobRow): Set<string> {
  return new Set((JSON.parse(row.tags) as string[]).map(tagKey))
}

/** An event that has no place in its job's history yet. */
type Unplaced<Event> = Event extends JobEvent ? Omit<Event, 'seq' | 'at'> : never

/** What a report may change. */
const REPORTED = [
  ...(['seq', 'trimmed', 'outputs', 'outputBytes'] as const),
  ...(['progress', 'progressSeq', 'progressAt'] as const),
] as const
