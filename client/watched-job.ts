import { isSameHistory, laterCursor, parseCursor } from '../shared/cursor.ts'
import type { JobEvent } from '../shared/event.ts'
import { fold } from '../shared/fold.ts'
import type { Job, QueuePlace } from '../shared/job.ts'
import type { Replay } from '../shared/protocol.ts'
import { isTerminal } from '../shared/status.ts'
import type { JobcastError } from './errors.ts'
import { appended, marked, missed, missedIn, type WatchEvent } from './history.ts'
import type { Unsubscribe } from './store.ts'
import { type CarriedJob, isBehind, type TransportName } from './transports/link.ts'
import type { WatchState } from './watch.ts'

/** A watch, as the job that it shares with others sees it. */
export interface Observer {
  /** The job's state is another one. */
  changed(): void
  /** Events came, in order; the cursor is that after them. */
  delivered(events: readonly WatchEvent[], cursor: string): void
}

type Snapshot = Extract<Replay, { mode: 'snapshot' }>

export interface WatchedJobOptions {
  readonly jobId: string
  readonly history: boolean
  /** The job as it was read before. */
  readonly before?: Job | undefined
  readonly credential: () => string | undefined
  readonly renew: () => Promise<boolean>
  /** Nobody observes any more, or it is over. */
  readonly released: () => void
}

/** What is shown of a job of which nothing is known yet. */
export const NOTHING_KNOWN: WatchState = {
  phase: 'connecting',
  job: null,
  queue: null,
  events: [],
  missed: null,
  transport: null,
  error: null,
}

/**
 * What the client knows of one job, shared by all its watches: the job as folded so far, its cursor, its events.
 * It does not know what carries it; a link tells it what arrived, in the words of the protocol.
 *
 * `state.phase` is its mode: `connecting` until the first snapshot, then `live` and `reconnecting` in turns, until it
 * is over: `ended` or `refused`. After that nothing changes it any more.
 */
export class WatchedJob implements CarriedJob {
  readonly jobId: string
  readonly #options: WatchedJobOptions
  readonly #observers = new Set<Observer>()
  #state = NOTHING_KNOWN
  #history: boolean
  /** Start over with a snapshot, so as to get the history that was not asked for at first, or that nobody has read yet. */
  #afresh = false
  /** A new credential was fetched and has not proved itself yet. */
  #renewed = false

  constructor(options: WatchedJobOptions) {
    this.jobId = options.jobId
    this.#options = options
    this.#history = options.history
    if (options.before === undefined) return
    this.#state = { ...NOTHING_KNOWN, job: options.before }
    this.#afresh = options.history
  }

  get state(): WatchState {
    return this.#state
  }

  get cursor(): string | null {
    return this.#afresh ? null : (this.#state.job?.cursor ?? null)
  }

  get queue(): QueuePlace | null {
    return this.#state.queue
  }

  /** A watch wants what was before it. */
  get wantsPast(): boolean {
    return this.#history
  }

  /** A snapshot has to bring the retained events along; also what came since, where it goes on from its cursor. */
  get history(): boolean {
    return this.#history || this.cursor !== null
  }

  get credential(): string | undefined {
    return this.#options.credential()
  }

  get over(): boolean {
    const { phase } = this.#state
    return phase === 'ended' || phase === 'refused'
  }

  observe(observer: Observer): Unsubscribe {
    this.#observers.add(observer)
    return () => {
      if (!this.#observers.delete(observer) || this.#observers.size > 0) return
      // Whoever closes one watch and opens the next in one go (React does) keeps the job.
      queueMicrotask(() => {
        if (this.#observers.size === 0 && !this.over) this.#options.released()
      })
    }
  }

  /** Wants history from now on. True where the link has to carry it afresh for that. */
  wantHistory(): boolean {
    if (this.#history) return false
    this.#history = true
    this.#afresh = this.#state.job !== null
    return true
  }

  replayed(replay: Replay, transport: TransportName): void {
    if (this.over) return
    this.#renewed = false
    const { job, events } = this.#state
    const afresh = this.#afresh
    if (replay.mode === 'resume') {
      if (job === null) return
      const fresh = replay.events.filter((event) => event.seq > parseCursor(job.cursor).seq)
      const folded = fresh.reduce(fold, job)
      const cursor = laterCursor(folded.cursor, replay.cursor)
      this.#become({ phase: 'live', job: { ...folded, cursor }, events: appended(events, fresh), transport })
      this.#deliver(fresh, cursor)
      return
    }
    this.#afresh = false
    if (job !== null && isBehind(replay, job.cursor)) {
      this.#become({ phase: 'live', transport })
      return
    }
    const known = job !== null && goesOn(replay, job.cursor) && !afresh ? job.cursor : null
    const fresh = known === null ? this.#past(replay) : since(known, replay)
    // Events of a lost history mean nothing beside the new one's.
    const kept = appended(known === null ? [] : events, fresh)
    this.#become({ phase: 'live', job: { ...replay.job, cursor: replay.cursor }, events: kept, transport })
    this.#deliver(fresh, replay.cursor)
  }

  /** What a snapshot that begins anew tells of before, as far as that is wanted. */
  #past(snapshot: Snapshot): readonly WatchEvent[] {
    const { events = [], trimmed = 0 } = snapshot
    const { job } = this.#state
    if (job === null || goesOn(snapshot, job.cursor)) return this.#history ? marked(events, 1, trimmed) : []
    if (this.#history) return [missed('epoch', 1, trimmed), ...events]
    return [missed('epoch', 1, parseCursor(snapshot.cursor).seq)]
  }

  event(event: JobEvent, prev: number | null): boolean {
    const { job, events } = this.#state
    if (this.over || job === null) return true
    const { seq } = parseCursor(job.cursor)
    if (event.seq <= seq) return true
    if (prev !== null && prev !== seq) return false
    const folded = fold(job, event)
    this.#become({ phase: 'live', job: folded, events: appended(events, [event]) })
    this.#deliver([event], folded.cursor)
    return true
  }

  placed(queue: QueuePlace | null): void {
    const known = this.queue
    // An older server says nothing of what holds a job.
    const held = queue?.held ?? null
    const isKnown =
      known?.place === queue?.place && known?.startsAt === queue?.startsAt && known?.held === held
    if (this.over || isKnown) return
    this.#become({ queue: queue && { ...queue, held } })
  }

  ended(cursor: string): boolean {
    const { job } = this.#state
    if (this.over) return true
    if (job === null || !isTerminal(job.status) || laterCursor(job.cursor, cursor) !== job.cursor)
      return false
    this.#become({ phase: 'ended' })
    this.#options.released()
    return true
  }

  refused(error: JobcastError): void {
    if (this.over) return
    this.#become({ phase: 'refused', error })
    this.#options.released()
  }

  interrupted(): void {
    if (this.over) return
    const { job } = this.#state
    this.#become({ phase: job === null ? 'connecting' : 'reconnecting' })
  }

  restored(): void {
    if (this.#state.phase === 'reconnecting') this.#become({ phase: 'live' })
  }

  async renew(): Promise<boolean> {
    // A credential fetched anew and refused again will not get better.
    if (this.#renewed) return false
    this.#renewed = await this.#options.renew()
    return this.#renewed
  }

  /** The one place that changes the state. */
  #become(change: Partial<WatchState>): void {
    const state = { ...this.#state, ...change }
    if (change.events !== undefined) state.missed = missedIn(change.events)
    // A place is of use in a line only, and whoever comes back to the line gets another one.
    if (state.job?.status !== 'queued') state.queue = null
    this.#state = state
    for (const observer of [...this.#observers]) observer.changed()
  }

  #deliver(events: readonly WatchEvent[], cursor: string): void {
    for (const observer of [...this.#observers]) observer.delivered(events, cursor)
  }
}

/** The snapshot is of the same history as the cursor, and not behind it. */
function goesOn({ reason, cursor }: Snapshot, known: string): boolean {
  return reason !== 'ahead' && isSameHistory(known, cursor)
}

/** What a snapshot of the same history tells of what came after the cursor. */
function since(cursor: string, { events, trimmed = 0, cursor: last }: Snapshot): readonly WatchEvent[] {
  const { seq } = parseCursor(cursor)
  const fresh = (events ?? []).filter((event) => event.seq > seq)
  return marked(fresh, seq + 1, events === undefined ? parseCursor(last).seq : trimmed)
}
