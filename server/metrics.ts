import { setTimeout as pause } from 'node:timers/promises'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { JOB_STATUSES } from '../shared/status.ts'
import { VERSION } from './config.ts'
import type { Engine } from './engine/engine.ts'
import { Unavailable } from './engine/errors.ts'
import type { Events } from './events.ts'
import { workersByType } from './maintenance/type-keeper.ts'

/** The measurements of this process, for Prometheus. */
export interface Metrics {
  readonly registry: Registry
  /** In the text format, the queues as they are now among them (left out while the store is away). */
  text(): Promise<{ body: string; contentType: string }>
}

/** In seconds: handlers run for milliseconds or for hours. */
const RUN_BUCKETS = [0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600]
const WAIT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 120, 600, 3600]
/** Held calls (long-polls, `Prefer: wait`) reach a minute. */
const HTTP_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 60]

/** Between two looks at how late timers are. */
const LAG_STEP_MS = 10

/** Listens to what happens in the process; queue depths are read from the store when asked for. */
export function createMetrics({
  events,
  engine,
}: {
  events: Events
  engine: Pick<Engine, 'types' | 'presences'>
}): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter({ name: `jobcast_${name}`, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge({ name: `jobcast_${name}`, help, labelNames, registers })
  const histogram = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: number[],
  ) => new Histogram({ name: `jobcast_${name}`, help, labelNames, buckets, registers })

  gauge('build_info', 'Always 1; the version is a label', ['version']).set({ version: VERSION }, 1)
  countJobs(events, counter, gauge, histogram)
  countGateway(events, counter, gauge)
  countStoreAndHttp(events, counter, gauge, histogram)

  const queue = gauge('queue_jobs', 'Jobs in the store, as all processes see it', ['type', 'status'])
  const paused = gauge('queue_paused', '1 where the type is paused', ['type'])
  const workers = gauge('queue_workers', 'Live workers that run the type', ['type'])
  const reachable = gauge('store_reachable', '1 where the store answered when these metrics were read')

  async function readQueues(): Promise<void> {
    queue.reset()
    paused.reset()
    workers.reset()
    try {
      const [states, presences] = await Promise.all([engine.types(), engine.presences()])
      const serving = workersByType(presences)
      for (const state of states) {
        workers.set({ type: state.type }, serving.get(state.type) ?? 0)
        for (const status of JOB_STATUSES) queue.set({ type: state.type, status }, state.counts[status])
        paused.set({ type: state.type }, state.paused ? 1 : 0)
      }
      reachable.set(1)
    } catch (error) {
      // An outage is when metrics are wanted most.
      if (!(error instanceof Unavailable)) throw error
      reachable.set(0)
    }
  }

  return {
    registry,
    async text() {
      const [ofNode] = await Promise.all([nodeMetrics(), readQueues()])
      const texts = await Promise.all([registry.metrics(), ofNode.metrics()])
      return { body: texts.join('\n'), contentType: registry.contentType }
    },
  }
}

/** Of the process: all servers in it tell the same, and what has begun to measure cannot be ended. */
let measuring: Promise<Registry> | undefined

/** CPU, memory, garbage collection and event loop lag, under the names that every dashboard for Node knows. */
function nodeMetrics(): Promise<Registry> {
  measuring ??= measureNode()
  return measuring
}

async function measureNode(): Promise<Registry> {
  const register = new Registry()
  // To measure the lag wakes the process a hundred times a second: only where somebody reads it.
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: LAG_STEP_MS })
  // Until there is a first value.
  await pause(2 * LAG_STEP_MS)
  return register
}

type MakeCounter = <L extends string>(name: string, help: string, labelNames?: readonly L[]) => Counter<L>
type MakeGauge = <L extends string>(name: string, help: string, labelNames?: readonly L[]) => Gauge<L>
type MakeHistogram = <L extends string>(
  name: string,
  help: string,
  labelNames: readonly L[],
  buckets: number[],
) => Histogram<L>

function countJobs(events: Events, counter: MakeCounter, gauge: MakeGauge, histogram: MakeHistogram): void {
  const submitted = counter('jobs_submitted_total', 'Jobs stored for a caller', ['type'])
  const replayed = counter('submissions_replayed_total', 'Jobs answered again for an Idempotency-Key', [
    'type',
  ])
  events.on('job.submitted', ({ type, jobs, replayed: again }) =>
    (again ? replayed : submitted).inc({ type }, jobs),
  )

  const claimed = counter('runs_claimed_total', 'Runs that workers of this process began', ['type'])
  const wait = histogram('job_wait_seconds', 'From submission to the first claim', ['type'], WAIT_BUCKETS)
  events.on('run.claimed', ({ type, waitMs }) => {
    claimed.inc({ type })
    if (waitMs !== null) wait.observe({ type }, waitMs / 1000)
  })

  const settled = counter('runs_settled_total', 'Runs that ended, by the status that the job took', [
    'type',
    'status',
    'error_code',
  ])
  const duration = histogram(
    'run_duration_seconds',
    'From claim to settlement',
    ['type', 'status'],
    RUN_BUCKETS,
  )
  events.on('run.settled', ({ type, status, errorCode, runMs }) => {
    settled.inc({ type, status, error_code: errorCode ?? '' })
    duration.observe({ type, status }, runMs / 1000)
  })

  const lost = counter('runs_lost_total', 'Runs whose lease was lost', ['type'])
  events.on('run.lost', ({ type }) => lost.inc({ type }))
  const overstayed = counter('runs_overstayed_total', 'Handlers that went on after they were told to stop', [
    'type',
    'killed',
  ])
  const hung = gauge(
    'worker_hung_runs',
    'Handlers that go on after they were told to stop: each holds a slot',
    ['type'],
  )
  events.on('run.overstayed', ({ type, killed }) => {
    overstayed.inc({ type, killed: String(killed) })
    if (!killed) hung.inc({ type })
  })
  events.on('run.returned', ({ type }) => hung.dec({ type }))
  const putOff = counter('runs_put_off_total', 'Jobs put off since an earlier attempt still hangs here', [
    'type',
  ])
  events.on('run.put_off', ({ type }) => putOff.inc({ type }))
  const stuck = gauge('worker_stuck', '1 while every slot is held by a handler that was told to stop')
  stuck.set(0)
  events.on('worker.stuck', () => stuck.set(1))
  events.on('worker.unstuck', () => stuck.set(0))

  const promoted = counter('jobs_promoted_total', 'Scheduled jobs whose time came')
  events.on('jobs.promoted', ({ jobs }) => promoted.inc(jobs))
  const rescued = counter('jobs_rescued_total', 'Jobs taken back because their lease ran out')
  events.on('jobs.rescued', ({ jobs }) => rescued.inc(jobs))
  const pruned = counter('jobs_pruned_total', 'Finished jobs forgotten after their time')
  events.on('jobs.pruned', ({ jobs }) => pruned.inc(jobs))
}

function countGateway(events: Events, counter: MakeCounter, gauge: MakeGauge): void {
  const connections = gauge('gateway_connections', 'Open sockets, event streams and held polls', [
    'transport',
  ])
  const opened = counter('gateway_opened_total', 'Connections opened', ['transport'])
  const closed = counter('gateway_closed_total', 'Connections closed, by close code', ['transport', 'code'])
  events.on('gateway.opened', ({ transport }) => {
    connections.inc({ transport })
    opened.inc({ transport })
  })
  events.on('gateway.closed', ({ transport, code }) => {
    connections.dec({ transport })
    closed.inc({ transport, code: String(code) })
  })

  const subscriptions = gauge('gateway_subscriptions', 'Jobs watched, once per watcher', ['transport'])
  const subscribed = counter('gateway_subscribed_total', 'Subscriptions begun', ['transport', 'mode'])
  events.on('gateway.subscribed', ({ transport, mode }) => {
    subscriptions.inc({ transport })
    subscribed.inc({ transport, mode })
  })
  events.on('gateway.unsubscribed', ({ transport }) => subscriptions.dec({ transport }))

  const sent = counter('gateway_events_sent_total', 'Events delivered', ['transport'])
  events.on('gateway.sent', ({ transport, events: count }) => sent.inc({ transport }, count))

  const gaps = counter('feed_gaps_total', 'Messages of the feed that were missing and read from the store')
  events.on('feed.gap', () => gaps.inc())
  const missed = counter('feed_missed_total', 'Events found by the periodic check alone')
  events.on('feed.missed', () => missed.inc())
  const resets = counter('feed_resets_total', 'Times that everything watched was read again')
  events.on('feed.reset', () => resets.inc())
}

function countStoreAndHttp(
  events: Events,
  counter: MakeCounter,
  gauge: MakeGauge,
  histogram: MakeHistogram,
): void {
  const up = gauge('store_up', '1 while this process holds the store for available')
  up.set(1)
  const outages = counter('store_outages_total', 'Times that the store became unavailable')
  events.on('store.up', () => up.set(1))
  events.on('store.down', () => {
    up.set(0)
    outages.inc()
  })

  const labels = ['method', 'route', 'status'] as const
  const duration = histogram('http_request_duration_seconds', 'Until the answer began', labels, HTTP_BUCKETS)
  events.on('http.answered', ({ method, route, status, ms }) =>
    duration.observe({ method, route, status: String(status) }, ms / 1000),
  )

  const schemas = counter('schema_failures_total', 'Submissions refused since a payload schema failed', [
    'type',
  ])
  events.on('schema.failed', ({ type }) => schemas.inc({ type }))
  const failures = counter('failures_total', 'Errors that nobody foresaw', ['where'])
  events.on('failure', ({ where }) => failures.inc({ where }))
}
