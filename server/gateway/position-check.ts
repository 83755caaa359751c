import type { Feed, Position } from '../engine/engine.ts'
import { Unavailable } from '../engine/errors.ts'
import type { Events } from '../events.ts'
import type { Watcher } from './session.ts'

/** As many jobs are asked about in one question. */
const MAX_BATCH = 500

export interface CheckTimes {
  /** The time between two checks. */
  readonly checkMs: number
  /** The time until the next one where a check could not be made, or a read failed. */
  readonly retryMs: number
  /** How long a message may be on its way before it counts as missed. */
  readonly graceMs: number
}

export const CHECK_TIMES: CheckTimes = { checkMs: 10_000, retryMs: 1000, graceMs: 500 }

/** What is watched at this moment, and by whom. */
export interface Watched {
  jobIds(): string[]
  watchersOf(jobId: string): Watcher[]
}

type State =
  | { readonly is: 'stopped' }
  | { readonly is: 'waiting'; readonly timer: NodeJS.Timeout; readonly dueAt: number }
  /** `nextMs` is the delay of the check after this one. */
  | { readonly is: 'checking'; nextMs: number }

type Reason = 'periodic' | 'reset'

/**
 * Compares where the store stands with what every watcher has, every ten seconds and after every reset of the
 * feed, so that even the last message of a job may be lost: whoever lags reads again, and whoever watches a job that
 * no longer exists is told.
 */
export class PositionCheck {
  readonly #feed: Feed
  readonly #events: Events
  readonly #watched: Watched
  readonly #times: CheckTimes
  readonly #graces = new Set<NodeJS.Timeout>()
  #state: State = { is: 'stopped' }

  constructor(options: {
    feed: Feed
    events: Events
    watched: Watched
    times: CheckTimes
  }) {
    this.#feed = options.feed
    this.#events = options.events
    this.#watched = options.watched
    this.#times = options.times
  }

  start(): void {
    if (this.#state.is === 'stopped') this.#wait(this.#times.checkMs)
  }

  stop(): void {
    if (this.#state.is === 'waiting') clearTimeout(this.#state.timer)
    for (const timer of this.#graces) clearTimeout(timer)
    this.#graces.clear()
    this.#state = { is: 'stopped' }
  }

  /** Something could not be read. */
  soon(): void {
    const { retryMs } = this.#times
    if (this.#state.is === 'checking') this.#state.nextMs = Math.min(this.#state.nextMs, retryMs)
    if (this.#state.is !== 'waiting' || this.#state.dueAt <= performance.now() + retryMs) return
    clearTimeout(this.#state.timer)
    this.#wait(retryMs)
  }

  /** Messages may have been lost or history changed: look at once. */
  reset(): void {
    if (this.#state.is === 'stopped') return
    if (this.#state.is === 'waiting') clearTimeout(this.#state.timer)
    void this.#check('reset')
  }

  #wait(delayMs: number): void {
    const timer = setTimeout(() => void this.#check('periodic'), delayMs).unref()
    this.#state = { is: 'waiting', timer, dueAt: performance.now() + delayMs }
  }

  async #check(reason: Reason): Promise<void> {
    const check: State = { is: 'checking', nextMs: this.#times.checkMs }
    this.#state = check
    try {
      await this.#compareAll(reason, () => this.#state === check)
    } catch (error) {
      check.nextMs = this.#times.retryMs
      if (!(error instanceof Unavailable)) this.#events.emit('failure', { where: 'position check', error })
    }
    // A reset in the meantime has begun another check, and a stop has ended all.
    if (this.#state === check) this.#wait(check.nextMs)
  }

  async #compareAll(reason: Reason, isCurrent: () => boolean): Promise<void> {
    const jobIds = this.#watched.jobIds()
    for (let from = 0; from < jobIds.length && isCurrent(); from += MAX_BATCH) {
      const batch = jobIds.slice(from, from + MAX_BATCH)
      const positions = await this.#feed.positions(batch)
      batch.forEach((jobId, index) => {
        this.#compare(jobId, positions[index] ?? null, reason)
      })
    }
  }

  #compare(jobId: string, position: Position | null, reason: Reason): void {
    const watchers = this.#watched.watchersOf(jobId)
    if (position === null) {
      for (const watcher of watchers) watcher.vanish()
      return
    }
    const lagging = watchers.filter((watcher) => watcher.lags(position))
    if (lagging.length === 0) return
    if (reason === 'reset') {
      for (const watcher of lagging) watcher.refresh()
      return
    }
    const timer = setTimeout(() => {
      this.#graces.delete(timer)
      this.#heal(jobId, lagging, position)
    }, this.#times.graceMs)
    this.#graces.add(timer)
  }

  #heal(jobId: string, suspects: readonly Watcher[], position: Position): void {
    const lagging = suspects.filter((watcher) => watcher.lags(position))
    if (lagging.length > 0) this.#events.emit('feed.missed', { jobId })
    for (const watcher of lagging) watcher.refresh()
  }
}
