import { type Engine, MAX_CALL_JOBS, type Scheduled, type Unsubscribe } from '../engine/engine.ts'
import { isOutage } from '../engine/errors.ts'
import type { Events } from '../events.ts'
import { type Done, Duty, type DutyTimes } from './duty.ts'

/**
 * Between two looks at what is coming up, in ms: while nothing goes on, and while something does. On the embedded engine a look
 * costs next to nothing, and tells when somebody has set the clock.
 */
const LOOK_MS = { redis: { idle: 13_000, busy: 2500 }, sqlite: { idle: 1000, busy: 1000 } } as const
/** After a look that failed. */
const RETRY_MS = 1000
/** Within this time of the store's return it is looked at, not by all processes at once. */
const RETURN_MS = 200
const PROMOTE: DutyTimes = { isPunctual: true, patienceMs: 200, restMs: 1000 }
const RESCUE: DutyTimes = { isPunctual: false, patienceMs: 200, restMs: 500 }
const PRUNE: DutyTimes = { isPunctual: false, patienceMs: 500, restMs: 1000 }

export interface Maintenance {
  start(): void
  /** Resolves when no call to the store is under way. */
  stop(): Promise<void>
}

export interface MaintenanceOptions {
  readonly engine: Pick<Engine, 'kind' | 'upcoming' | 'onScheduled' | 'promote' | 'rescue' | 'prune'>
  readonly events: Events
  /** For jitter: 0 up to 1. */
  readonly random?: () => number
}

type State = { readonly is: 'stopped' } | { readonly is: 'running'; readonly offScheduled: Unsubscribe }

/**
 * Keeps the store going: promotes what is due, rescues what lost its worker, forgets what has expired. Every process
 * may do it at the same time, since each verb is atomic; each sleeps until there is something to do, as the store says or
 * whoever schedules a job. From time to time it looks at what is coming up, since not all that others do is told.
 */
export function createMaintenance({ engine, events, random = Math.random }: MaintenanceOptions): Maintenance {
  let state: State = { is: 'stopped' }
  const lookMs = LOOK_MS[engine.kind]
  /** On `performance.now()`. */
  let lookAt = Infinity
  let timer: NodeJS.Timeout | undefined
  let looking: Promise<void> | null = null
  /** Since the last look jobs have come, or have begun to run. */
  let isBusy = false

  const duty = (where: string, times: DutyTimes, act: () => Promise<Done>) =>
    new Duty({
      ...times,
      patienceMs: engine.kind === 'sqlite' ? 0 : times.patienceMs,
      act,
      limit: MAX_CALL_JOBS,
      ask: () => lookBy(performance.now()),
      failed: (error) => note(where, error),
      random,
    })
  const promoting = duty('promoting jobs', PROMOTE, async () => {
    const { promoted, nextInMs } = await engine.promote({ limit: MAX_CALL_JOBS })
    if (promoted > 0) events.emit('jobs.promoted', { jobs: promoted })
    return { jobs: promoted, nextInMs }
  })
  const rescuing = duty('rescuing jobs', RESCUE, async () => {
    const { rescued } = await engine.rescue({ limit: MAX_CALL_JOBS })
    if (rescued > 0) events.emit('jobs.rescued', { jobs: rescued })
    return { jobs: rescued }
  })
  const pruning = duty('pruning jobs', PRUNE, async () => {
    const { pruned } = await engine.prune({ limit: MAX_CALL_JOBS })
    if (pruned > 0) events.emit('jobs.pruned', { jobs: pruned })
    return { jobs: pruned }
  })
  const duties = [promoting, rescuing, pruning]

  function note(where: string, error: unknown): void {
    if (isOutage(error)) return
    events.emit('failure', { where, error })
  }

  /** Looks at that time, or earlier. */
  function lookBy(at: number): void {
    lookAt = Math.min(lookAt, at)
    if (state.is === 'stopped' || looking !== null) return
    clearTimeout(timer)
    const delayMs = Math.max(0, lookAt - performance.now())
    timer = setTimeout(() => {
      looking = look()
    }, delayMs)
  }

  /** Never rejects. */
  async function look(): Promise<void> {
    lookAt = Infinity
    isBusy = false
    let againInMs: number = RETRY_MS
    try {
      const { promoteInMs, rescueInMs, pruneInMs } = await engine.upcoming()
      promoting.expect(promoteInMs)
      rescuing.expect(rescueInMs)
      pruning.expect(pruneInMs)
      againInMs = isBusy || rescueInMs !== null ? lookMs.busy : lookMs.idle
    } catch (error) {
      note('looking at what is due', error)
    }
    looking = null
    // Jittered, so that processes do not march in step.
    lookBy(performance.now() + againInMs * (0.95 + random() / 20))
  }

  /** A job may have to be taken back before long: from now on it is looked at more often. */
  function notice(): void {
    if (isBusy) return
    isBusy = true
    lookBy(performance.now() + lookMs.busy)
  }

  /** The store may be another one, or know what it did not before. */
  function startOver(): void {
    for (const one of duties) one.startOver()
    lookBy(performance.now() + RETURN_MS * random())
  }

  return {
    start() {
      if (state.is === 'running') return
      const onScheduled = ({ inMs, isOwn }: Scheduled) => promoting.hint(inMs, isOwn)
      state = { is: 'running', offScheduled: engine.onScheduled(onScheduled) }
      events.on('job.submitted', notice).on('run.claimed', notice).on('store.up', startOver)
      for (const one of duties) one.start()
      lookBy(performance.now())
    },
    async stop() {
      if (state.is === 'running') {
        state.offScheduled()
        state = { is: 'stopped' }
        events.off('job.submitted', notice).off('run.claimed', notice).off('store.up', startOver)
        clearTimeout(timer)
      }
      await Promise.all([looking, ...duties.map((one) => one.stop())])
    },
  }
}
