import { nextTick } from 'node:process'
import { RETAINED_BYTES, RETAINED_EVENTS } from '../../shared/limits.ts'
import { type Engine, type LeaseRef, MAX_CALL_JOBS, type RunEvent } from '../engine/engine.ts'
import { isOutage } from '../engine/errors.ts'
import { StoreBackoff } from './backoff.ts'

/** Between two reports of one run, ms: at most 20 a second. */
const EVERY_MS = 50
/** In one call to the store, bytes of events. */
const MAX_CALL_BYTES = 4 * 1024 * 1024

export const NOTHING: TakenEvents = { events: [], bytes: 0 }

/** A run as the reporter sees it. */
export interface Reporting extends LeaseRef {
  readonly reports: RunReports
  readonly hasReports: boolean
  /** The store says that the lease is no longer held. */
  stale(): void
}

/** What one run has yet to report. */
export class RunReports {
  readonly buffer = new ReportBuffer()
  /** The call under way that carries events of this run. */
  sending: Promise<void> | null = null
  sentAt = Number.NEGATIVE_INFINITY
  /** The run is over: what is left goes with its settlement. */
  closed = false
}

/**
 * Sends what handlers report: the first of a run at once, later ones at most 50 ms after, those of many runs in one
 * call, one call at a time. An event whose answer was lost is sent again, and the store skips what it has. What is left
 * when a run ends goes with its settlement.
 */
export class Reporter {
  readonly #engine: Engine
  readonly #failure: (error: unknown) => void
  readonly #backoff: StoreBackoff
  readonly #waiting = new Set<Reporting>()
  #state: { is: 'quiet' } | { is: 'scheduled'; at: number; timer: NodeJS.Timeout } | { is: 'sending' } = {
    is: 'quiet',
  }

  constructor(options: { engine: Engine; random: () => number; failure: (error: unknown) => void }) {
    this.#engine = options.engine
    this.#failure = options.failure
    this.#backoff = new StoreBackoff(options.random)
  }

  /** The run has something to report. */
  wake(run: Reporting): void {
    if (run.reports.closed || this.#waiting.has(run)) return
    this.#waiting.add(run)
    this.#schedule(run.reports.sentAt + EVERY_MS)
  }

  /** Sends nothing more of this run; resolves to what it has left, when no call is under way that carries the rest. */
  close(run: Reporting): TakenEvents | Promise<TakenEvents> {
    if (!run.hasReports) return NOTHING
    const { reports } = run
    reports.closed = true
    this.#waiting.delete(run)
    if (reports.sending === null) return reports.buffer.isEmpty ? NOTHING : reports.buffer.take()
    return reports.sending.then(() => reports.buffer.take())
  }

  stop(): void {
    this.#waiting.clear()
    if (this.#state.is === 'scheduled') clearTimeout(this.#state.timer)
    if (this.#state.is === 'scheduled') this.#state = { is: 'quiet' }
  }

  #schedule(at: number): void {
    if (this.#state.is === 'sending') return
    if (this.#state.is === 'scheduled') {
      if (this.#state.at <= at) return
      clearTimeout(this.#state.timer)
    }
    const delay = at - performance.now()
    // Everything that is reported in this tick goes together.
    if (delay <= 0) {
      this.#state = { is: 'sending' }
      nextTick(() => this.#send())
    } else {
      this.#state = { is: 'scheduled', at, timer: setTimeout(() => this.#send(), delay) }
    }
  }

  async #send(): Promise<void> {
    this.#state = { is: 'sending' }
    const batch = this.#takeDue()
    const sent = batch.length === 0 ? Promise.resolve() : this.#report(batch)
    for (const { run } of batch) run.reports.sending = sent
    await sent
    this.#state = { is: 'quiet' }
    let next = Number.POSITIVE_INFINITY
    for (const run of this.#waiting) next = Math.min(next, run.reports.sentAt + EVERY_MS)
    if (next < Number.POSITIVE_INFINITY) this.#schedule(next)
  }

  #takeDue(): Due[] {
    const now = performance.now()
    const due: Due[] = []
    let bytes = 0
    for (const run of this.#waiting) {
      if (run.reports.sentAt + EVERY_MS > now + 1) continue
      if (due.length === MAX_CALL_JOBS || bytes >= MAX_CALL_BYTES) break
      const taken = run.reports.buffer.take(MAX_CALL_BYTES - bytes)
      bytes += taken.bytes
      if (taken.events.length > 0) due.push({ run, taken })
      if (run.reports.buffer.isEmpty) this.#waiting.delete(run)
      else if (due.length > 0) break
    }
    for (const { run } of due) run.reports.sentAt = now
    return due
  }

  /** Never rejects: what could not be sent is put back and tried again after a while. */
  async #report(batch: readonly Due[]): Promise<void> {
    try {
      const verdicts = await this.#engine.report(
        batch.map(({ run, taken }) => ({ jobId: run.jobId, lease: run.lease, events: taken.events })),
      )
      this.#backoff.reset()
      for (const { run } of batch) run.reports.sending = null
      batch.forEach(({ run }, at) => {
        if (verdicts[at] === 'stale') run.stale()
      })
    } catch (error) {
      for (const { run } of batch) run.reports.sending = null
      if (!isOutage(error)) {
        this.#failure(error)
        return
      }
      // A run that settles meanwhile takes its events along; the others try again when the delay is over.
      const retryAt = performance.now() + this.#backoff.next()
      for (const { run, taken } of batch) {
        run.reports.buffer.putBack(taken)
        run.reports.sentAt = retryAt - EVERY_MS
        if (!run.reports.closed) this.#waiting.add(run)
      }
    }
  }
}

interface Due {
  readonly run: Reporting
  readonly taken: TakenEvents
}

interface Entry {
  readonly event: RunEvent
  readonly bytes: number
}

export interface TakenEvents {
  readonly events: readonly RunEvent[]
  readonly bytes: number
}

/**
 * What one run reported and nobody has sent yet, in call order. A later progress takes the place of an unsent earlier
 * one. A handler that reports faster than anything can be sent does not fill the memory: beyond twice what the store
 * would retain of a job, the oldest lines and chunks go, which the store would have dropped as well.
 */
export class ReportBuffer {
  #entries: Entry[] = []
  #bytes = 0
  #progress: Entry | null = null
  #added = 0

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  add(event: RunEvent, bytes: number): void {
    // The store knows an event that is sent again by its number.
    const entry = { event: { ...event, n: ++this.#added }, bytes }
    if (event.kind === 'progress') {
      this.#dropProgress()
      this.#progress = entry
    }
    this.#entries.push(entry)
    this.#bytes += bytes
    if (this.#entries.length > 2 * RETAINED_EVENTS || this.#bytes > 2 * RETAINED_BYTES) this.#trim()
  }

  /** The oldest events up to about `maxBytes`, and always one where there is one; they leave the buffer. */
  take(maxBytes = Number.POSITIVE_INFINITY): TakenEvents {
    let count = 0
    let bytes = 0
    for (const entry of this.#entries) {
      if (count > 0 && bytes + entry.bytes > maxBytes) break
      bytes += entry.bytes
      count += 1
    }
    const taken = this.#entries.splice(0, count)
    this.#bytes -= bytes
    if (this.#progress !== null && taken.includes(this.#progress)) this.#progress = null
    return { events: taken.map(({ event }) => event), bytes }
  }

  /** Puts back what was taken and could not be sent, in front of what came since. */
  putBack({ events, bytes }: TakenEvents): void {
    const each = bytes / events.length
    const newer = this.#progress
    const entries = events
      .map((event): Entry => ({ event, bytes: each }))
      .filter(({ event }) => event.kind !== 'progress' || newer === null)
    this.#progress = newer ?? entries.findLast(({ event }) => event.kind === 'progress') ?? null
    this.#entries = [...entries, ...this.#entries]
    this.#bytes += each * entries.length
  }

  /** The unsent progress is the newest one or near it: looked for from the end. */
  #dropProgress(): void {
    if (this.#progress === null) return
    const at = this.#entries.lastIndexOf(this.#progress)
    this.#entries.splice(at, 1)
    this.#bytes -= this.#progress.bytes
  }

  #trim(): void {
    let kept = 0
    let bytes = 0
    const survivors = this.#entries
      .toReversed()
      .filter((entry) => {
        if (entry === this.#progress) return true
        kept += 1
        bytes += entry.bytes
        return kept <= RETAINED_EVENTS && bytes <= RETAINED_BYTES
      })
      .toReversed()
    this.#entries = survivors
    this.#bytes = survivors.reduce((sum, entry) => sum + entry.bytes, 0)
  }
}
