import type { Job, QueuePlace } from '../shared/job.ts'
import { JobcastError } from './errors.ts'
import { after, type Hole, missedIn, type WatchEvent } from './history.ts'
import { guarded, type Readable, Store, type Unsubscribe } from './store.ts'
import type { TransportName } from './transports/link.ts'
import type { Observer, WatchedJob } from './watched-job.ts'

export interface WatchState<Shown extends Job = Job> {
  /**
   * `connecting` nothing arrived yet; `live`; `reconnecting` what is shown may be old; `ended` the job is terminal and
   * nothing more comes; `refused` nothing will ever come, `error` says why.
   */
  readonly phase: 'connecting' | 'live' | 'reconnecting' | 'ended' | 'refused'
  readonly job: Shown | null
  /** Where a queued job stands and when it may start; null where that is not known (yet). */
  readonly queue: QueuePlace | null
  /**
   * In order of `seq`: with history, the retained ones first; without, those that came since. Progress is merged to
   * the latest between others; the newest 2,000 are kept. Where some are missing a `missed` stands in their place.
   */
  readonly events: readonly WatchEvent[]
  /** What is missing among `events`, of several holes from the first to the last; null: nothing. */
  readonly missed: Hole | null
  /** What carries the watch at this moment. */
  readonly transport: TransportName | null
  readonly error: JobcastError | null
}

/** A job that was read before, of whatever type. */
export type KnownJob = Omit<Job, 'payload' | 'result'> & {
  readonly payload: unknown
  readonly result: unknown
}

export interface WatchOptions {
  /** Deliver the events after this cursor, as far as they are retained. */
  readonly after?: string
  /** The job as it was read before (`get`): it is shown at once, and what follows are the events after its cursor. */
  readonly job?: KnownJob
  /** Job token; left out: the one that submit returned here, else the client's credential. */
  readonly token?: string
  /** Deliver and keep the retained events as well, for a timeline, a log, output so far. */
  readonly history?: boolean
  /**
   * Called with every event once, in order (merged progress apart), and with `missed` where some will never come; after a
   * change of epoch with that, and the new history where history was asked for.
   */
  readonly onEvent?: (event: WatchEvent) => void
}

/**
 * One job, watched until it is terminal or `close` is called, whatever happens to connections and servers. A `for await` that is
 * left early closes it as well, unless somebody else listens: a subscriber, `onEvent`, another iteration, or whoever has
 * taken `finished` before.
 */
export interface JobWatch<Shown extends Job = Job>
  extends Readable<WatchState<Shown>>,
    AsyncIterable<WatchEvent> {
  readonly jobId: string
  /** The terminal job; rejects with a `JobcastError` when it never will be seen. */
  readonly finished: Promise<Shown>
  /** Stops watching; `finished` rejects with code `closed` unless it has settled. */
  close(): void
}

/** One user's share of a watched job: what of it is delivered, and when it is over. */
export class Watch extends Store<WatchState> implements JobWatch, Observer {
  readonly jobId: string
  readonly #finished: Promise<Job>
  readonly #job: WatchedJob
  readonly #onEvent: ((event: WatchEvent) => void) | undefined
  readonly #iterators = new Set<EventQueue>()
  readonly #leave: Unsubscribe
  /** Events after this cursor are this watch's; undefined: those after the first snapshot. */
  #from: string | undefined
  /** The cursor up to which they were delivered. */
  #delivered: string | undefined
  #isAwaited = false
  #settle: { resolve(job: Job): void; reject(error: JobcastError): void } | null = null

  constructor(job: WatchedJob, options: WatchOptions) {
    super(job.state)
    this.jobId = job.jobId
    this.#job = job
    this.#onEvent = options.onEvent
    this.#finished = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    // Whoever does not look at it must not be ended by an unhandled rejection.
    this.#finished.catch(() => {})
    const past = options.after ?? (options.history === true ? '' : undefined)
    this.#from = past ?? job.cursor ?? undefined
    this.#delivered = this.#from
    this.#leave = job.observe(this)
    this.changed()
    if (past !== undefined && job.cursor !== null) {
      const { cursor } = job
      const { events } = job.state
      queueMicrotask(() => this.delivered(events, cursor))
    }
  }

  get finished(): Promise<Job> {
    this.#isAwaited = true
    return this.#finished
  }

  close(): void {
    if (this.#settle === null) return
    this.#end(new JobcastError('closed', `the watch of job ${this.jobId} was closed`))
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchEvent> {
    const queue = new EventQueue({
      left: () => this.#iterators.delete(queue),
      abandoned: () => this.#closeUnheard(),
    })
    const { events, phase, error } = this.getSnapshot()
    // What was delivered already, and nothing that is about to be.
    if (this.#delivered !== this.#from) for (const event of events) queue.push(event)
    if (this.#settle === null || phase === 'refused') queue.finish(phase === 'refused' ? error : null)
    else this.#iterators.add(queue)
    return queue
  }

  /** Nobody would notice any more what it still tells. */
  #closeUnheard(): void {
    const isHeard = this.#iterators.size > 0 || this.active || this.#onEvent !== undefined
    if (!isHeard && !this.#isAwaited) this.close()
  }

  /** The job tells that its state is another one. */
  changed(): void {
    const state = this.#job.state
    if (state.job !== null) this.#from ??= state.job.cursor
    const events = this.#own(state)
    this.set({ ...state, events, missed: events === state.events ? state.missed : missedIn(events) })
    if (state.phase === 'ended' && state.job !== null) this.#end(state.job)
    if (state.phase === 'refused' && state.error !== null) this.#end(state.error)
  }

  /** The job hands on events, and the cursor after them. */
  delivered(events: readonly WatchEvent[], cursor: string): void {
    const fresh = after(this.#delivered ?? cursor, events, cursor)
    this.#delivered = cursor
    for (const event of fresh) {
      for (const queue of [...this.#iterators]) queue.push(event)
      const onEvent = this.#onEvent
      if (onEvent !== undefined && this.#settle !== null) guarded(onEvent, event)
    }
  }

  /** Another watch of the job may have asked for more of its past than this one. */
  #own({ events, job }: WatchState): readonly WatchEvent[] {
    if (this.#from === undefined || job === null || !this.#job.wantsPast) return events
    return after(this.#from, events, job.cursor)
  }

  #end(how: Job | JobcastError): void {
    const settle = this.#settle
    if (settle === null) return
    this.#settle = null
    if (how instanceof JobcastError) settle.reject(how)
    else settle.resolve(how)
    const error = how instanceof JobcastError && how.code !== 'closed' ? how : null
    for (const queue of [...this.#iterators]) queue.finish(error)
    this.#leave()
  }
}

/** The events that a `for await` has not taken yet; progress is merged to the latest. */
class EventQueue implements AsyncIterator<WatchEvent> {
  readonly #events: WatchEvent[] = []
  readonly #waiting: { resolve(result: IteratorResult<WatchEvent>): void; reject(error: Error): void }[] = []
  readonly #left: () => void
  readonly #abandoned: () => void
  #over: { readonly error: Error | null } | null = null

  constructor({ left, abandoned }: { readonly left: () => void; readonly abandoned: () => void }) {
    this.#left = left
    this.#abandoned = abandoned
  }

  push(event: WatchEvent): void {
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) waiting.resolve({ done: false, value: event })
    else if (event.kind === 'progress' && this.#events.at(-1)?.kind === 'progress') {
      this.#events[this.#events.length - 1] = event
    } else this.#events.push(event)
  }

  next(): Promise<IteratorResult<WatchEvent>> {
    const event = this.#events.shift()
    if (event !== undefined) return Promise.resolve({ done: false, value: event })
    if (this.#over === null) return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
    const { error } = this.#over
    this.#over = { error: null }
    return error === null ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error)
  }

  return(): Promise<IteratorResult<WatchEvent>> {
    this.#events.length = 0
    this.finish(null)
    this.#abandoned()
    return Promise.resolve({ done: true, value: undefined })
  }

  /** Nothing more comes; with an error, which the next `next` rejects with. */
  finish(error: Error | null): void {
    if (this.#over !== null) return
    this.#left()
    const [first, ...others] = this.#waiting.splice(0)
    this.#over = { error: first === undefined ? error : null }
    if (error === null) first?.resolve({ done: true, value: undefined })
    else first?.reject(error)
    for (const waiting of others) waiting.resolve({ done: true, value: undefined })
  }
}
