import * as CLOSE from '../../../shared/close-codes.ts'
import { formatCursor, parseCursor } from '../../../shared/cursor.ts'
import type { JobEvent } from '../../../shared/event.ts'
import { PLANNED_RETRY_MS, SSE_PING_MS } from '../../../shared/limits.ts'
import { isTerminal } from '../../../shared/status.ts'
import type { ReadResult, Unsubscribe } from '../../engine/engine.ts'
import type { EncodedEvent } from '../encoded-event.ts'
import type { Hub } from '../hub.ts'
import { type Dialect, Lane, Outbox, type Pipe } from '../outbox.ts'
import { onExpiry } from '../permit.ts'
import { type Standing, toQueuePlace } from '../queue-places.ts'
import { type Ending, Session } from '../session.ts'
import { HIGH_WATER_BYTES } from '../slow-reader.ts'

export interface StreamRequest {
  readonly jobId: string
  /** The cursor as the caller sent it; null or empty: none. */
  readonly after: string | null
  readonly history: boolean
  /** Tell the place in line of a queued job as well. */
  readonly places?: boolean
  /** Fires when the caller is gone. */
  readonly signal?: AbortSignal
  /** Breaks the connection off, where the reader is too slow; left out: the body breaks. */
  readonly cut?: () => void
  /** When the caller's token expires, in ms since the epoch; null: never. The stream ends then. */
  readonly expiresAt?: number | null
  /**
   * The caller knows to come back for the rest. Its stream ends now and then, for nothing in it shows whether anybody is
   * still there: what is sent to a dead line, or to a proxy that has lost its client, is taken for minutes.
   */
  readonly comesBack?: boolean
  readonly pingMs?: number
  /** A reader that takes no byte for this long is ended. */
  readonly stallMs?: number
}

export type StreamAnswer =
  | { readonly kind: 'stream'; readonly body: ReadableStream<Uint8Array> }
  /** The cursor is at the end of a finished job: to be answered 204, which stops an EventSource. */
  | { readonly kind: 'finished' }
  | { readonly kind: 'not_found' }

/** When clients come back, in ms: spread, so that they do not come all at once. */
const RECONNECT_MS = {
  /** Those who were refused because the store was away, or there was no room. */
  refused: { min: 1000, max: 5000 },
  /** Those whose stream broke, which nobody foresaw. */
  broken: { min: 1000, max: 3000 },
  /** Those whose stream was ended only to see whether they are still there. */
  planned: { min: 50, max: PLANNED_RETRY_MS - 50 },
} as const

/** The field that tells an `EventSource` when to come back: from now on, after every end of a stream, until it is told another time. */
export function retryField(after: keyof typeof RECONNECT_MS): string {
  const { min, max } = RECONNECT_MS[after]
  return retryWithin(min, max)
}

function retryWithin(min: number, max: number): string {
  return `retry: ${Math.round(min + Math.random() * (max - min))}\n\n`
}

/**
 * When the first ping comes. A proxy that gathers answers often lets the beginning through: only what comes later shows
 * a client whether it gets events as they happen.
 */
const FIRST_PING_MS = 1000

/** Large events go out in pieces, so that a slow reader of one is seen to take something. */
const PIECE_BYTES = 16 * 1024

/** The events of one job as server-sent events (HTML standard, section 9.2). Rejects with `Unavailable`. */
export async function openStream(hub: Hub, request: StreamRequest): Promise<StreamAnswer> {
  const stream = new EventStream(hub, request)
  try {
    if (!(await stream.start())) {
      stream.close(CLOSE.normal)
      return { kind: 'not_found' }
    }
  } catch (error) {
    stream.close(CLOSE.overloaded)
    throw error
  }
  if (!stream.finishedBefore) return { kind: 'stream', body: stream.body }
  stream.close(CLOSE.normal)
  return { kind: 'finished' }
}

/**
 * One response body. The session fills the outbox, the outbox the body as fast as its reader takes it.
 *
 * Modes: `open`; `ending` (the session is over, what waits still goes out); `closed`.
 */
class EventStream implements Dialect, Pipe {
  readonly body: ReadableStream<Uint8Array>
  /** Whether there was nothing to tell: the job is terminal and the cursor at its end. */
  finishedBefore = false
  readonly #hub: Hub
  readonly #session: Session
  readonly #outbox: Outbox
  readonly #history: boolean
  readonly #pingMs: number
  readonly #cut: (() => void) | undefined
  readonly #cleanups: Unsubscribe[] = []
  #state: 'open' | 'ending' | 'closed' = 'open'
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null
  readonly #lane: Lane
  /** Whether the reader has had its first replay. */
  #hasReplay = false
  #epoch = ''
  #written = 0
  #nextPingAt = performance.now() + FIRST_PING_MS
  /** It is on the same clock. */
  readonly #endsAt: number
  /** What the reader was told last. */
  #isUnavailable = false

  constructor(hub: Hub, request: StreamRequest) {
    this.#hub = hub
    this.#pingMs = request.pingMs ?? SSE_PING_MS
    this.#cut = request.cut
    const { jobId, history, places = false, signal } = request
    const after = request.after === null || request.after === '' ? null : parseCursor(request.after)
    this.#history = history
    // Lives are spread, so that those who came together do not come back together.
    const lifeMs =
      request.comesBack === true ? hub.streamLifeMs * (0.75 + Math.random() / 4) : Number.POSITIVE_INFINITY
    this.#endsAt = performance.now() + lifeMs
    this.#outbox = new Outbox({
      pipe: this,
      budget: hub.outputBudget,
      onSlow: () => this.#fail(),
      onSent: (events) => hub.traffic.sent('sse', events),
      ...(request.stallMs !== undefined && { stallMs: request.stallMs }),
    })
    this.#lane = new Lane(this.#outbox, this)
    this.#session = new Session(hub, this.#lane, { jobId, after, history, places })
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => this.#outbox.wake(),
        cancel: () => this.close(CLOSE.going_away),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER_BYTES }),
    )
    hub.traffic.opened('sse')
    if (signal !== undefined) this.#endOn(signal)
    this.#cleanups.push(hub.onSweep((now) => this.#sweep(now)))
    this.#cleanups.push(onExpiry(request.expiresAt ?? null, () => this.#expire()))
  }

  /** False where there is no such job. Rejects with `Unavailable`. */
  async start(): Promise<boolean> {
    // An EventSource takes any refusal for final: a draining process sends it elsewhere with a stream that ends.
    if (this.#hub.draining) {
      this.#drain()
      return true
    }
    const found = await this.#session.start()
    if (found && this.#state === 'open') this.#cleanups.push(this.#hub.onDrain(() => this.#drain()))
    return found
  }

  /** Ends everything at once; what waits is lost. Tolerates being called twice. */
  close(code: number): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    for (const cleanup of this.#cleanups.splice(0)) cleanup()
    this.#session.close()
    this.#outbox.close()
    if (this.#hasReplay) this.#hub.traffic.unsubscribed('sse')
    this.#hub.traffic.closed('sse', code)
  }

  replay(result: ReadResult): void {
    const isFirst = !this.#hasReplay
    this.#hasReplay = true
    if (isFirst) this.#hub.traffic.subscribed('sse', result.mode)
    // What it was told by a process that drained is not to keep it away for so long ever after.
    if (isFirst) this.#outbox.frame(Buffer.from(retryField('broken')))
    this.#epoch = result.epoch
    if (result.mode === 'snapshot') {
      const { reason, job, trimmed, events } = result
      const data = { reason, job, ...(trimmed > 0 && { trimmed }), ...(this.#history && { events }) }
      this.#send('snapshot', data, formatCursor(result.epoch, result.seq))
      return
    }
    this.#lane.caughtUp(result.events)
    if (!isFirst || result.events.length > 0) return
    if (isTerminal(result.status)) this.finishedBefore = true
    else this.#send('ping', {})
  }

  place(standing: Standing): Buffer {
    return message('place', toQueuePlace(standing))
  }

  /** A vanished job ends without a word: the reconnect is answered 404. */
  over(ending: Ending): void {
    if (ending.kind === 'end') {
      const { cursor, status } = ending
      this.#send('end', { cursor, status }, cursor)
    }
    this.#end(CLOSE.normal)
  }

  unsent(): number {
    return HIGH_WATER_BYTES - (this.#controller?.desiredSize ?? 0)
  }

  taken(): number {
    return this.#written - this.unsent()
  }

  // Small events share a piece of the body, as each piece costs its reader a round. Large ones, which other streams send as
  // well, are not copied.
  write(chunks: readonly Buffer[]): void {
    const areShared = chunks.length === 1 || chunks.some(({ length }) => length > PIECE_BYTES)
    for (const chunk of areShared ? chunks : [Buffer.concat(chunks)]) this.#enqueue(chunk)
  }

  #enqueue(chunk: Buffer): void {
    this.#written += chunk.length
    for (let from = 0; from < chunk.length; from += PIECE_BYTES) {
      this.#controller?.enqueue(chunk.subarray(from, from + PIECE_BYTES))
    }
  }

  encode({ seq, kind }: JobEvent, _prev: number, { json, chunks }: EncodedEvent): Buffer {
    const id = formatCursor(this.#epoch, seq)
    chunks.sse ??= Buffer.from(`id: ${id}\nevent: ${kind}\ndata: ${json}\n\n`)
    return chunks.sse
  }

  #send(event: string, data: unknown, id?: string): void {
    this.#outbox.frame(message(event, data, id))
  }

  #sweep(now: number): void {
    this.#outbox.check(now)
    if (this.#state === 'open' && now >= this.#endsAt) this.#leave(retryField('planned'), CLOSE.normal)
    const { unavailable } = this.#hub
    const isNews = unavailable !== this.#isUnavailable
    if (this.#state !== 'open' || (now < this.#nextPingAt && !isNews)) return
    this.#nextPingAt = now + this.#pingMs
    // Behind what waits, a ping would tell nothing.
    if (!this.#hasReplay || this.#outbox.unsent() >= HIGH_WATER_BYTES) return
    this.#isUnavailable = unavailable
    this.#send('ping', unavailable ? { unavailable } : {})
  }

  #drain(): void {
    this.#leave(retryWithin(...this.#hub.comeBackMs()), CLOSE.restart)
  }

  /** The reader is to come back with its cursor. */
  #leave(retry: string, code: number): void {
    this.#outbox.frame(Buffer.from(retry))
    this.#session.close()
    this.#end(code)
  }

  /** Says it in the words of the WebSocket, for whoever listens for them; the reconnect is answered 401. */
  #expire(): void {
    this.#send('unsubscribed', { code: 'token_expired', retry: true })
    this.#session.close()
    this.#end(CLOSE.normal)
  }

  /** Closes the body once everything is in it. */
  #end(code: number): void {
    if (this.#state !== 'open') return
    this.#state = 'ending'
    this.#outbox.finish(() => {
      this.close(code)
      this.#controller?.close()
    })
  }

  /** The reader is too slow: the connection is cut, and the reader resumes by its cursor. */
  #fail(): void {
    this.close(CLOSE.slow_consumer)
    // A body that breaks is a failure to whoever sends it, and would be told on standard error.
    if (this.#cut !== undefined) this.#cut()
    else this.#controller?.error(new Error('the reader of this event stream was too slow'))
  }

  #endOn(signal: AbortSignal): void {
    const onAbort = () => {
      if (this.#state === 'closed') return
      this.close(CLOSE.going_away)
      this.#controller?.close()
    }
    signal.addEventListener('abort', onAbort)
    this.#cleanups.push(() => signal.removeEventListener('abort', onAbort))
    if (signal.aborted) onAbort()
  }
}

// JSON has no raw line breaks and an epoch no white space: nothing that is sent can begin a line of its own.
function message(event: string, data: unknown, id?: string): Buffer {
  const position = id === undefined ? '' : `id: ${id}\n`
  return Buffer.from(`${position}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
}
