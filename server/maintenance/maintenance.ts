import { setTimeout as pause } from 'node:timers/promises'
import { type Engine, MAX_CALL_JOBS } from '../engine/engine.ts'
import { OutcomeUnknown, Unavailable } from '../engine/errors.ts'
import type { Events } from '../events.ts'

const PROMOTE_MS = 250
const RESCUE_MS = 500
const PRUNE_MS = 1000
/** Longest delay while the store is away, in ms. */
const LONGEST_RETRY_MS = 4000

export interface Maintenance {
  start(): void
  /** Resolves when no call to the store is under way. */
  stop(): Promise<void>
}

export interface MaintenanceOptions {
  readonly engine: Engine
  readonly events: Events
  /** For jitter: 0 up to 1. */
  readonly random?: () => number
}

/** One duty: does up to `MAX_CALL_JOBS` jobs' worth of it and says when there is more to do, in ms. */
interface Duty {
  readonly name: string
  readonly once: () => Promise<number>
}

type State =
  | { readonly is: 'stopped'; readonly ended: Promise<void> }
  | { readonly is: 'running'; readonly stop: AbortController; readonly ended: Promise<void> }

/**
 * Keeps the store going: promotes what is due, rescues what lost its worker, forgets what has expired. Every process
 * may do it at the same time, since each verb is atomic; the pauses are jittered so that they do not march in step.
 */
export function createMaintenance({ engine, events, random = Math.random }: MaintenanceOptions): Maintenance {
  let state: State = { is: 'stopped', ended: Promise.resolve() }

  const duties: readonly Duty[] = [
    {
      name: 'promoting jobs',
      async once() {
        const { promoted, nextInMs } = await engine.promote({ limit: MAX_CALL_JOBS })
        if (promoted > 0) events.emit('jobs.promoted', { jobs: promoted })
        if (promoted >= MAX_CALL_JOBS) return 0
        // To the moment and a little late, so that the job is due by the store's clock.
        return nextInMs !== null && nextInMs < PROMOTE_MS ? nextInMs + 1 : jittered(PROMOTE_MS)
      },
    },
    {
      name: 'rescuing jobs',
      async once() {
        const { rescued } = await engine.rescue({ limit: MAX_CALL_JOBS })
        if (rescued > 0) events.emit('jobs.rescued', { jobs: rescued })
        return rescued >= MAX_CALL_JOBS ? 0 : jittered(RESCUE_MS)
      },
    },
    {
      name: 'pruning jobs',
      async once() {
        const { pruned } = await engine.prune({ limit: MAX_CALL_JOBS })
        if (pruned > 0) events.emit('jobs.pruned', { jobs: pruned })
        return pruned >= MAX_CALL_JOBS ? 0 : jittered(PRUNE_MS)
      },
    },
  ]

  function jittered(ms: number): number {
    return ms * (0.75 + random() / 2)
  }

  async function keepUp({ name, once }: Duty, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      let delayMs: number
      try {
        delayMs = await once()
        failures = 0
      } catch (error) {
        if (!(error instanceof Unavailable || error instanceof OutcomeUnknown)) {
          events.emit('failure', { where: name, error })
        }
        delayMs = jittered(Math.min(LONGEST_RETRY_MS, PROMOTE_MS * 2 ** failures))
        failures += 1
      }
      await pause(delayMs, undefined, { signal }).catch(() => {})
    }
  }

  return {
    start() {
      if (state.is === 'running') return
      const stop = new AbortController()
      const before = state.ended
      const ended = before.then(() => Promise.all(duties.map((duty) => keepUp(duty, stop.signal))))
      state = { is: 'running', stop, ended: ended.then(() => {}) }
    },
    stop() {
      if (state.is === 'running') {
        state.stop.abort()
        state = { is: 'stopped', ended: state.ended }
      }
      return state.ended
    },
  }
}
