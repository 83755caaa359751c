import { type Engine, type LeaseRef, MAX_CALL_JOBS } from '../engine/engine.ts'
import { OutcomeUnknown, Unavailable } from '../engine/errors.ts'
import { StoreBackoff } from './backoff.ts'
import { ReportBuffer, type TakenEvents } from './report-buffer.ts'

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
      process.nextTick(() => this.#send())
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
      if (!(error instanceof Unavailable || error instanceof OutcomeUnknown)) {
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
