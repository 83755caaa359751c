import { setImmediate as turn } from 'node:timers/promises'
import { JobcastError } from '../client/errors.ts'
import { type Engine, MAX_CALL_JOBS } from '../server/engine/engine.ts'
import type { Events } from '../server/events.ts'
import type { After } from '../server/worker/attempt.ts'
import type { Job } from '../shared/job.ts'
import { isTerminal } from '../shared/status.ts'

/** The time that jobs are stored by. It stands still but for `advance`, and for what `run` has to wait for. */
export interface TestClock {
  /** In ms since 1970. */
  now(): number
  /**
   * Lets so many ms pass. What becomes due on the way does so in its order and at its time: delayed jobs and retries begin, handlers
   * time out, jobs past their retention are forgotten. What a handler waits for by itself takes real time, and `advance` does not
   * wait for it: see `idle`.
   */
  advance(ms: number): Promise<void>
}

/** @internal */
export function closed(): JobcastError {
  return new JobcastError('closed', 'these test jobs were closed')
}

interface Timer {
  readonly at: number
  readonly call: () => void
}

/** What a server says where a job may have taken a step. */
const MOVES = ['run.claimed', 'run.settled', 'run.lost', 'run.put_off', 'http.answered'] as const
/** Turns of the event loop in which nothing happens, until it counts as quiet: a call to the store takes a few. */
const QUIET_TURNS = 20
/** What `Date` can hold. */
const LAST_MS = 8.64e15

/**
 * The time of one test server: moves it, and does at each moment what is due then. Handlers live by real time, so that theirs runs
 * out by whichever comes first: by this clock, or by the machine's.
 * @internal
 */
export class ServerTime implements TestClock {
  readonly #timers = new Set<Timer>()
  readonly #waiting = new Set<() => void>()
  #now: number
  #moves = 0
  #engine: Engine | null = null
  /** One at a time: each goes on from where the former one ends. */
  #advancing: Promise<void> = Promise.resolve()

  constructor(now: number) {
    this.#now = now
  }

  readonly now = (): number => this.#now

  readonly after: After = (ms, call) => {
    const end = () => {
      clearTimeout(real)
      this.#timers.delete(timer)
    }
    const once = () => {
      end()
      call()
    }
    const timer = { at: this.#now + Math.ceil(ms), call: once }
    const real = setTimeout(once, ms)
    this.#timers.add(timer)
    return end
  }

  /** In place of the server's maintenance. */
  readonly upkeep = (engine: Engine) => ({
    start: () => {
      this.#engine = engine
    },
    stop: () => {
      this.#engine = null
      this.#moved()
    },
  })

  listen(events: Events): void {
    for (const name of MOVES) events.on(name, this.#moved)
  }

  advance(ms: number): Promise<void> {
    if (typeof ms !== 'number' || !(ms >= 0) || this.#now + ms > LAST_MS)
      throw new TypeError(`clock.advance takes a number of ms from 0 up; it was given ${String(ms)}`)
    return this.#advanceInTurn(() => this.#now + ms)
  }

  /** Takes a job to its end: a time that it waits for is passed to. Rejects where the job, or the server, is gone. */
  async toEnd(jobId: string): Promise<Job> {
    const unwatch = await this.#open().feed.watch(jobId, this.#moved)
    try {
      for (;;) {
        const moved = this.#move()
        const job = await this.#open().get(jobId)
        if (job === null) throw new JobcastError('removed', `job ${jobId} was removed before it ended`)
        if (isTerminal(job.status)) return job
        const { status, scheduledFor } = job
        if (status === 'scheduled' && scheduledFor !== null)
          await this.#advanceInTurn(() => Date.parse(scheduledFor))
        else await moved
      }
    } finally {
      unwatch()
    }
  }

  /** Resolves once no job is queued and none is run. */
  async idle(): Promise<void> {
    for (;;) {
      const moved = this.#move()
      const states = await this.#open().types()
      const isIdle = states.every(({ counts, paused }) => {
        return counts.processing === 0 && (paused || counts.queued === 0)
      })
      if (isIdle) return
      await moved
    }
  }

  /** Where it is that time already, what is due by now is done. */
  #advanceInTurn(end: () => number): Promise<void> {
    const advanced = this.#advancing.then(() => this.#advanceTo(Math.max(this.#now, end())))
    this.#advancing = advanced.catch(() => {})
    return advanced
  }

  async #advanceTo(end: number): Promise<void> {
    for (;;) {
      await this.#quiet()
      const next = await this.#next()
      if (next > end) break
      this.#now = Math.max(this.#now, next)
      for (const { at, call } of [...this.#timers]) if (at <= this.#now) call()
      await this.#open().promote({ limit: MAX_CALL_JOBS })
      await this.#open().prune({ limit: MAX_CALL_JOBS })
    }
    this.#now = end
  }

  /** When something is due next. */
  async #next(): Promise<number> {
    const { promoteInMs, pruneInMs } = await this.#open().upcoming()
    const dueInMs = [promoteInMs ?? Infinity, pruneInMs ?? Infinity]
    return Math.min(...[...this.#timers].map(({ at }) => at), ...dueInMs.map((inMs) => this.#now + inMs))
  }

  /** Lets everything happen that waits for no time. */
  async #quiet(): Promise<void> {
    for (let turns = 0; turns < QUIET_TURNS; turns += 1) {
      const moves = this.#moves
      await turn()
      if (this.#moves !== moves) turns = 0
    }
  }

  #open(): Engine {
    if (this.#engine === null) throw closed()
    return this.#engine
  }

  readonly #moved = (): void => {
    this.#moves += 1
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resolve of waiting) resolve()
  }

  /** Resolves with the next step that a job may have taken. */
  #move(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve)
    })
  }
}
