import { type Cursor, formatCursor } from '../../shared/cursor.ts'
import type { JobEvent } from '../../shared/event.ts'
import { isTerminal, type JobStatus } from '../../shared/status.ts'
import type { FeedMessage, Position, ReadRequest, ReadResult, Unsubscribe } from '../engine/engine.ts'
import { statusOf } from '../engine/job/events.ts'
import { isJobId } from '../engine/job/ids.ts'
import { encodeLive } from './encoded-event.ts'
import type { OnStanding, Standing } from './queue-places.ts'

/** Whoever is told by the hub of what happens to a job. */
export interface Watcher {
  message(message: FeedMessage): void
  /** Whether the store is ahead of what this watcher has, though it should not be. */
  lags(position: Position): boolean
  /** Reads again. */
  refresh(): void
  /** The store no longer has the job. */
  vanish(): void
}

/** The hub, as a session sees it. */
export interface Source {
  /** The epoch that live messages belong to. */
  readonly epoch: string
  /** Rejects with `Unavailable`. */
  watch(jobId: string, watcher: Watcher): Promise<void>
  /** Tolerates being called by who does not watch. */
  unwatch(jobId: string, watcher: Watcher): void
  /** Rejects with `Unavailable`. */
  read(request: ReadRequest): Promise<ReadResult | null>
  /** Tells where a queued job stands, from now on; of its type null where it is not known. */
  watchPlace(jobId: string, type: string | null, onStanding: OnStanding): Unsubscribe
  /** A message of the feed was missing. */
  noteGap(jobId: string): void
  /** Something could not be read: have the positions checked soon. */
  checkSoon(): void
}

export type Ending =
  | { readonly kind: 'end'; readonly cursor: string; readonly status: JobStatus }
  | { readonly kind: 'gone'; readonly code: 'removed' | 'expired' | 'not_found' }

/**
 * Where a session's output goes: a transport, or a list. After `start` comes a `replay`, unless there is no such job; then
 * whatever there is, in the order of the job's events; at last `over`, but not after `close`.
 */
export interface Sink {
  /** Runs a read when the reader has room for its answer. */
  turn(work: () => Promise<void>): Promise<void>
  /** The first read; again, unasked, where history changed: then it replaces what the reader had. */
  replay(result: ReadResult): void
  /** Events that the feed had not brought, in order. */
  caughtUp(events: readonly JobEvent[]): void
  /** A live event. */
  event(event: JobEvent): void
  /** Where the job stands, which is queued. False where the reader has no room for that: it is told the next. */
  standing(standing: Standing): boolean
  /** About how many bytes of live events are in the store and wait there to be read; 0 once they are read. */
  lagging(bytes: number): void
  /** The last call. */
  over(ending: Ending): void
}

export interface SessionRequest {
  readonly jobId: string
  /** The last event that the reader has applied; null: none. */
  readonly after: Cursor | null
  readonly history: boolean
  /** The reader wants to know where the job stands while it is queued. */
  readonly places: boolean
  /** Goes on after a terminal status, until the job is gone: it may be retried by hand. */
  readonly pastTerminal?: boolean
}

/** Messages kept while a read is under way; with more, it is simpler to read once more. */
const MAX_BUFFERED = 256

/** A cursor of the session's own, which moves on with every live event. */
interface Mark {
  readonly epoch: string
  seq: number
}

type State =
  | { readonly is: 'new' }
  | { readonly is: 'waiting'; readonly at: Mark | null }
  | { readonly is: 'reading'; readonly at: Mark | null; readonly buffer: FeedMessage[] }
  | { readonly is: 'live'; readonly at: Mark }
  | { readonly is: 'behind'; readonly at: Mark }
  | { readonly is: 'over' }

/**
 * The way of one reader through one job, from its replay to its end. It knows no socket: all that it has to say goes to a sink.
 *
 * Modes: `new`; `waiting` for its turn to read (messages are dropped: they were stored before the read and so will be
 * in it); `reading` (messages are kept, and afterwards those that the read already had are dropped by seq); `live`;
 * `behind` (a read failed; the next check of the hub starts another); `over`. A missing seq, something too large to
 * send, or a change of epoch leads from `live` back to `waiting`, with the session's own position as the cursor.
 * Within one epoch the position never goes back. Who has joined and waits to read is lagging: what happens in the
 * meantime waits in the store instead of the sink, and the sink is told how much that is.
 */
export class Session implements Watcher {
  readonly #source: Source
  readonly #sink: Sink
  readonly #request: SessionRequest
  #state: State = { is: 'new' }
  /** There is one while the job is queued. */
  #unwatchPlace: Unsubscribe | null = null
  #laggingBytes = 0

  constructor(source: Source, sink: Sink, request: SessionRequest) {
    this.#source = source
    this.#sink = sink
    this.#request = request
  }

  /**
   * Watches, then reads; resolves once the sink has the replay, to false where there is no such job. Rejects with
   * `Unavailable`. A session that was not started, for whatever reason, is over.
   */
  async start(): Promise<boolean> {
    if (!isJobId(this.#request.jobId)) {
      this.close()
      return false
    }
    this.#become({ is: 'waiting', at: null })
    try {
      await this.#source.watch(this.#request.jobId, this)
      let found = false
      await this.#sink.turn(async () => {
        found = await this.#read()
      })
      return found
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Ends the session; the sink hears nothing more. Tolerates being called twice. */
  close(): void {
    this.#become({ is: 'over' })
  }

  message(message: FeedMessage): void {
    const state = this.#state
    if (state.is === 'reading') {
      if (state.buffer.length <= MAX_BUFFERED) state.buffer.push(message)
    } else if (message.kind === 'gone') {
      // A read would find nothing, and not the reason. Who has not joined yet is told that there is no such job.
      if ('at' in state && state.at !== null) this.#end({ kind: 'gone', code: message.reason })
    } else if (state.is === 'live') {
      this.#live(message, state.at)
    } else if ((state.is === 'waiting' || state.is === 'behind') && state.at !== null) {
      this.#lag(message)
    }
  }

  lags(position: Position): boolean {
    const state = this.#state
    if (state.is === 'behind') return true
    return state.is === 'live' && (position.epoch !== state.at.epoch || position.seq > state.at.seq)
  }

  refresh(): void {
    const state = this.#state
    if (state.is !== 'live' && state.is !== 'behind') return
    this.#become({ is: 'waiting', at: state.at })
    this.#sink
      .turn(async () => {
        await this.#read()
      })
      .catch(() => this.#fallBehind(state.at))
  }

  vanish(): void {
    if (this.#state.is === 'live' || this.#state.is === 'behind')
      this.#end({ kind: 'gone', code: 'not_found' })
  }

  #live(message: Exclude<FeedMessage, { kind: 'gone' }>, at: Mark): void {
    const seq = message.kind === 'event' ? message.event.seq : message.seq
    // Seqs of two histories must never be compared.
    const sameHistory = this.#source.epoch === at.epoch
    if (sameHistory && seq <= at.seq) return
    if (sameHistory && message.kind === 'event' && seq === at.seq + 1) {
      this.#deliver(message.event, at)
      return
    }
    if (sameHistory && message.kind === 'event') this.#source.noteGap(this.#request.jobId)
    this.refresh()
    this.#lag(message)
  }

  #lag(message: Exclude<FeedMessage, { kind: 'gone' }>): void {
    const bytes = bytesOf(message)
    if (bytes === 0) return
    this.#laggingBytes += bytes
    this.#sink.lagging(this.#laggingBytes)
  }

  #caughtUp(): void {
    if (this.#laggingBytes === 0) return
    this.#laggingBytes = 0
    this.#sink.lagging(0)
  }

  #deliver(event: JobEvent, at: Mark): void {
    at.seq = event.seq
    const status = statusOf(event)
    // The line is left before the reader is told: what was asked about its place is of no use any more.
    if (status !== undefined && status !== 'queued') this.#leaveLine()
    this.#sink.event(event)
    if (status === undefined) return
    if (status === 'queued') this.#joinLine(null)
    this.#endIfTerminal(status, at)
  }

  /** Tells the reader where the job stands, from the start. */
  #joinLine(type: string | null): void {
    this.#leaveLine()
    if (!this.#request.places) return
    this.#unwatchPlace = this.#source.watchPlace(
      this.#request.jobId,
      type,
      (standing) => this.#state.is === 'live' && this.#sink.standing(standing),
    )
  }

  #leaveLine(): void {
    this.#unwatchPlace?.()
    this.#unwatchPlace = null
  }

  /** False where there is no such job. */
  async #read(): Promise<boolean> {
    if (this.#state.is !== 'waiting') return true
    const { at } = this.#state
    const buffer: FeedMessage[] = []
    this.#become({ is: 'reading', at, buffer })
    const { jobId, after, history } = this.#request
    const result = await this.#source.read({ jobId, after: at ?? after, history, withJob: false })
    if (this.#isOver()) return true
    if (result === null) {
      if (at === null) this.close()
      else this.#end({ kind: 'gone', code: goneReason(buffer) })
      return false
    }
    this.#apply(result, at)
    this.#release(buffer)
    return true
  }

  #apply(result: ReadResult, at: Mark | null): void {
    this.#caughtUp()
    const { epoch, seq, status } = result
    const isStale = at !== null && epoch === at.epoch && seq < at.seq
    this.#become({ is: 'live', at: isStale ? at : { epoch, seq } })
    if (isStale) return
    if (status !== 'queued') this.#leaveLine()
    if (at === null || result.mode === 'snapshot') this.#sink.replay(result)
    else if (result.events.length > 0) this.#sink.caughtUp(result.events)
    if (status === 'queued') this.#joinLine(result.job?.type ?? null)
    this.#endIfTerminal(status, { epoch, seq })
  }

  #endIfTerminal(status: JobStatus, { epoch, seq }: Mark): void {
    if (!isTerminal(status) || this.#request.pastTerminal) return
    this.#end({ kind: 'end', cursor: formatCursor(epoch, seq), status })
  }

  #release(buffer: readonly FeedMessage[]): void {
    for (const message of buffer) this.message(message)
    if (buffer.length > MAX_BUFFERED) this.refresh()
  }

  #fallBehind(at: Mark): void {
    if (this.#isOver()) return
    this.#become({ is: 'behind', at })
    this.#source.checkSoon()
  }

  #end(ending: Ending): void {
    this.close()
    this.#caughtUp()
    this.#sink.over(ending)
  }

  #isOver(): boolean {
    return this.#state.is === 'over'
  }

  #become(state: State): void {
    if (this.#state.is === 'over') return
    this.#state = state
    if (state.is !== 'over') return
    this.#source.unwatch(this.#request.jobId, this)
    this.#leaveLine()
  }
}

/** Progress counts for nothing: of all that waits in the store only the latest is read. */
function bytesOf(message: Exclude<FeedMessage, { kind: 'gone' }>): number {
  if (message.kind === 'advance') return message.bytes
  return message.event.kind === 'progress' ? 0 : encodeLive(message.event).bytes
}

function goneReason(buffer: readonly FeedMessage[]): 'removed' | 'expired' | 'not_found' {
  for (const message of buffer) if (message.kind === 'gone') return message.reason
  return 'not_found'
}
