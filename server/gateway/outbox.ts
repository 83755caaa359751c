import { setImmediate } from 'node:timers'
import type { JobEvent } from '../../shared/event.ts'
import type { ReadResult } from '../engine/engine.ts'
import { Unavailable } from '../engine/errors.ts'
import { type EncodedEvent, encodeLive, encodeStored } from './encoded-event.ts'
import { type Charge, COUNTED_BYTES, type OutputBudget } from './output-budget.ts'
import type { Standing } from './queue-places.ts'
import type { Ending, Sink } from './session.ts'
import { HIGH_WATER_BYTES, SlowReaderJudge, STALL_MS, type Uptake } from './slow-reader.ts'

/** What a transport puts around an event's own text, roughly. */
const ENVELOPE_BYTES = 80

/** What an outbox writes to: a socket, or the body of a response. */
export interface Pipe extends Uptake {
  /** One or more, which go out together. */
  write(chunks: readonly Buffer[]): void
}

/** What a transport says of a job in words of its own. */
export interface Dialect {
  /** What goes out of an event; `prev` is the seq of the one that the reader had before. */
  encode(event: JobEvent, prev: number, encoded: EncodedEvent): Buffer
  /** What goes out of a place in line. */
  place(standing: Standing): Buffer
  /** Sends the first read, as `Sink.replay`. */
  replay(result: ReadResult): void
  /** Sends the end, as `Sink.over`. */
  over(ending: Ending): void
}

/** One job on its way to one reader: the sink of its session, as far as that is the same for all transports. */
export class Lane implements Sink {
  /** Seq of the last event written, or of the cursor just after the replay: the next event's `prev`. */
  lastSeq = 0
  /** A progress event that waits, and that a newer one may stand in for. */
  waitingProgress: EventEntry | null = null
  /** Bytes of live events that wait in the store. */
  laggingBytes = 0
  readonly dialect: Dialect
  readonly #outbox: Outbox

  constructor(outbox: Outbox, dialect: Dialect) {
    this.#outbox = outbox
    this.dialect = dialect
  }

  turn(work: () => Promise<void>): Promise<void> {
    return this.#outbox.turn(work)
  }

  replay(result: ReadResult): void {
    this.dialect.replay(result)
  }

  caughtUp(events: readonly JobEvent[]): void {
    for (const event of events) this.#outbox.event(this, event, false)
  }

  event(event: JobEvent): void {
    this.#outbox.event(this, event, true)
  }

  standing(standing: Standing): boolean {
    if (this.#outbox.unsent() > HIGH_WATER_BYTES) return false
    this.#outbox.frame(this.dialect.place(standing))
    return true
  }

  lagging(bytes: number): void {
    this.#outbox.lagging(this, bytes)
  }

  over(ending: Ending): void {
    this.dialect.over(ending)
  }
}

/** Entries wait in a list of their own making: nearly always there are none, or one for a moment. */
interface Linked {
  before: Entry | null
  after: Entry | null
}

interface EventEntry extends Linked {
  readonly kind: 'event'
  readonly lane: Lane
  readonly event: JobEvent
  readonly encoded: EncodedEvent
  readonly bytes: number
  /** Live events count towards the verdict; what was read from the store at this reader's pace does not. */
  readonly live: boolean
}

interface FrameEntry extends Linked {
  readonly kind: 'frame'
  readonly lane: Lane | null
  readonly chunk: Buffer
  readonly bytes: number
  /** The seq at which the lane stands after this frame; null: it stays where it stood. */
  readonly seq: number | null
}

type Entry = EventEntry | FrameEntry

interface Turn {
  readonly run: () => Promise<void>
  readonly fail: (error: unknown) => void
}

/**
 * The bounded queue of one reader. Everything is queued and written at the end of the tick, together; what the
 * pipe does not take waits here, as events and not as text, so that a thousand slow readers share it. A reader that
 * is too slow gets the verdict once.
 *
 * Modes: open; finishing (takes nothing more and calls back when all is written); closed.
 */
export class Outbox {
  readonly #pipe: Pipe
  /** It is made when something first waits: most readers have nothing to take most of the time. */
  #judge: SlowReaderJudge | null = null
  readonly #stallMs: number
  readonly #onSlow: () => void
  readonly #onSent: (events: number) => void
  #state: { is: 'open' } | { is: 'finishing'; done: () => void } | { is: 'closed' } = { is: 'open' }
  #first: Entry | null = null
  #last: Entry | null = null
  #waitingBytes = 0
  #isFlushing = false
  #turns: Turn[] = []
  #turnRunning = false
  readonly #budget: OutputBudget
  /** What this reader keeps of the memory that all readers share. */
  #charge: Charge | null = null

  constructor(options: {
    pipe: Pipe
    budget: OutputBudget
    /** The reader is too slow; the outbox is closed already. */
    onSlow: () => void
    /** Events were written. */
    onSent: (events: number) => void
    stallMs?: number
  }) {
    this.#pipe = options.pipe
    this.#budget = options.budget
    this.#onSlow = options.onSlow
    this.#onSent = options.onSent
    this.#stallMs = options.stallMs ?? STALL_MS
  }

  /** Bytes that the reader has yet to take. */
  unsent(): number {
    return this.#pipe.unsent() + this.#waitingBytes
  }

  /** Anything but an event. With a lane: the lane stands at `seq` afterwards. */
  frame(chunk: Buffer, lane: Lane | null = null, seq: number | null = null): void {
    this.#add({ kind: 'frame', chunk, bytes: chunk.length, lane, seq, before: null, after: null })
  }

  event(lane: Lane, event: JobEvent, live: boolean): void {
    if (this.#state.is !== 'open') return
    const encoded = live ? encodeLive(event) : encodeStored(event)
    const bytes = encoded.bytes + ENVELOPE_BYTES
    const entry: EventEntry = { kind: 'event', lane, event, encoded, bytes, live, before: null, after: null }
    if (event.kind === 'progress') {
      if (lane.waitingProgress !== null && this.unsent() > HIGH_WATER_BYTES)
        this.#remove(lane.waitingProgress)
      lane.waitingProgress = entry
    }
    this.#add(entry)
  }

  /** How many bytes of live events of one job wait in the store, to be read when little is unsent. */
  lagging(lane: Lane, bytes: number): void {
    if (this.#state.is !== 'open' || bytes === lane.laggingBytes) return
    this.#ensureJudge().addLagging(bytes - lane.laggingBytes)
    lane.laggingBytes = bytes
    this.wake()
  }

  /** Takes back the events of one job that wait. */
  drop(lane: Lane): void {
    let entry = this.#first
    while (entry !== null) {
      const { after } = entry
      if (entry.kind === 'event' && entry.lane === lane) this.#remove(entry)
      entry = after
    }
  }

  /**
   * Runs work whose answer may be large when little is unsent, one piece at a time. Where the store is away for one,
   * it is away for all that wait: none of them is kept waiting for an answer of its own.
   */
  turn(work: () => Promise<void>): Promise<void> {
    if (this.#state.is !== 'open') return Promise.reject(new Unavailable('the reader is gone'))
    return new Promise((resolve, reject) => {
      const run = () =>
        work().then(resolve, (error: unknown) => {
          reject(error)
          if (error instanceof Unavailable) this.#failTurns(error)
        })
      this.#turns.push({ run, fail: reject })
      this.#offerTurn()
    })
  }

  /** Has what waits written at the end of the tick, never within a call of the pipe; the transport calls it when the pipe takes more. */
  wake(): void {
    if (this.#state.is === 'closed' || this.#isFlushing) return
    this.#isFlushing = true
    writeAtTickEnd(this)
  }

  /** Gives the verdict where the reader takes nothing; every sweep calls it. */
  check(now: number): void {
    if (this.#state.is === 'closed') return
    const unsent = this.unsent()
    if (unsent > 0) this.#ensureJudge().judgeTaking(now, unsent)
    else this.#judge?.judgeTaking(now, 0)
  }

  /** Takes nothing more; calls back when everything is written. */
  finish(done: () => void): void {
    if (this.#state.is !== 'open') return
    this.#state = { is: 'finishing', done }
    this.#judge?.forgetLagging()
    this.wake()
  }

  close(): void {
    if (this.#state.is === 'closed') return
    this.#state = { is: 'closed' }
    this.#judge?.stop()
    this.#charge?.release()
    this.#first = null
    this.#last = null
    this.#waitingBytes = 0
    if (this.#turns.length > 0) this.#failTurns(new Unavailable('the reader is gone'))
  }

  #add(entry: Entry): void {
    if (this.#state.is !== 'open') return
    entry.before = this.#last
    if (this.#last === null) this.#first = entry
    else this.#last.after = entry
    this.#last = entry
    this.#waitingBytes += entry.bytes
    if (entry.kind === 'event' && entry.live) this.#ensureJudge().addLive(entry.bytes)
    else if (entry.bytes >= COUNTED_BYTES) this.#count(entry.bytes)
    this.wake()
  }

  /** Counts what was read from the store for this reader alone. */
  #count(bytes: number): void {
    if (!this.#budget.fits(bytes)) {
      // It comes back with its cursor, when there may be room.
      this.#tooSlow()
      return
    }
    this.#charge ??= this.#budget.charge({ taken: () => this.#pipe.taken(), cut: () => this.#tooSlow() })
    this.#charge.add(bytes)
  }

  /** Forgets an entry that was written, or that is not wanted any more. */
  #remove(entry: Entry): void {
    if (entry.before === null) this.#first = entry.after
    else entry.before.after = entry.after
    if (entry.after === null) this.#last = entry.before
    else entry.after.before = entry.before
    this.#waitingBytes -= entry.bytes
    if (entry.kind !== 'event') return
    if (entry.live) this.#ensureJudge().addLive(-entry.bytes)
    if (entry.lane.waitingProgress === entry) entry.lane.waitingProgress = null
  }

  /** Writes; the end of the tick after `wake` calls it. */
  tickEnd(): void {
    this.#isFlushing = false
    if (this.#state.is !== 'closed') this.#flush()
  }

  #flush(): void {
    const events = this.#writeAll()
    if (events > 0) this.#onSent(events)
    if (this.#charge !== null && this.unsent() < HIGH_WATER_BYTES) this.#charge.release()
    this.#judge?.judgeWaiting()
    if (this.#first === null && this.#state.is === 'finishing') this.#finished(this.#state.done)
    else this.#offerTurn()
  }

  // Whether a reader is slow shows only once it was offered the bytes: a burst goes out in several rounds, as
  // long as the system takes each at once.
  #writeAll(): number {
    let events = 0
    while (this.#first !== null) {
      let room = HIGH_WATER_BYTES - this.#pipe.unsent()
      if (room <= 0) break
      const chunks: Buffer[] = []
      for (let entry: Entry | null = this.#first; entry !== null && room > 0; entry = this.#first) {
        const chunk = this.#encode(entry)
        chunks.push(chunk)
        room -= chunk.length
        this.#remove(entry)
        if (entry.kind === 'event') events++
      }
      this.#pipe.write(chunks)
    }
    return events
  }

  #encode(entry: Entry): Buffer {
    if (entry.kind === 'event') {
      const chunk = entry.lane.dialect.encode(entry.event, entry.lane.lastSeq, entry.encoded)
      entry.lane.lastSeq = entry.event.seq
      return chunk
    }
    if (entry.lane !== null && entry.seq !== null) entry.lane.lastSeq = entry.seq
    return entry.chunk
  }

  #offerTurn(): void {
    if (this.#turns.length === 0 || this.#turnRunning || this.#state.is !== 'open') return
    if (this.unsent() >= HIGH_WATER_BYTES) return
    const turn = this.#turns.shift()
    if (turn === undefined) return
    this.#turnRunning = true
    void turn.run().finally(() => {
      this.#turnRunning = false
      this.#offerTurn()
    })
  }

  #failTurns(error: unknown): void {
    const turns = this.#turns
    this.#turns = []
    for (const turn of turns) turn.fail(error)
  }

  #finished(done: () => void): void {
    this.close()
    done()
  }

  #ensureJudge(): SlowReaderJudge {
    this.#judge ??= new SlowReaderJudge({
      uptake: this.#pipe,
      stallMs: this.#stallMs,
      onSlow: () => this.#tooSlow(),
    })
    return this.#judge
  }

  #tooSlow(): void {
    this.close()
    this.#onSlow()
  }
}

let woken: Outbox[] = []

/** One callback of the event loop for all: where an event has thousands of readers, one each would cost. */
function writeAtTickEnd(outbox: Outbox): void {
  woken.push(outbox)
  if (woken.length === 1) setImmediate(writeWoken)
}

function writeWoken(): void {
  const outboxes = woken
  // Who is woken from now on writes in the next round.
  woken = []
  for (const outbox of outboxes) outbox.tickEnd()
}
