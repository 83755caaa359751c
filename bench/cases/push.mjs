import { setTimeout as pause } from 'node:timers/promises'
import { startContender, startJobcast, within } from '../harness/child.mjs'
import { percentile } from '../harness/measure.mjs'
import { newJob, openEngine, PREFIX, runCounts } from '../harness/product.mjs'
import { startRedis } from '../harness/redis.mjs'

const SOCKETS = 2000
/** How many jobs a second end, and how many in all. */
const PACES = {
  idle: { perSecond: 200, jobs: 150 },
  medium: { perSecond: 2500, jobs: 3000 },
  high: { perSecond: 5000, jobs: 5000 },
}
/** Jobs of the worker at once; so many wait for their turn, and the others in the queue. */
const CONCURRENCY = 200
/** Of the jobs, the first ones: by then the heap has settled after so many subscriptions. */
const WARM_UP = 0.2
const PACED_JOBS = new URL('../contenders/paced-jobs.mjs', import.meta.url).pathname
/** BullMQ's own; long enough that neither side renews leases while it is measured. */
const LEASE_MS = 30_000
/** Between the last subscription and the first job that ends. */
const REST_MS = 100
const PHASE_MS = 30_000

/**
 * Worker, gateway and clients are processes of their own. All jobs are queued, and watched, before the first one ends;
 * from then on handlers return at a steady pace, whether or not what comes after keeps up. What a handler returns is
 * the time at which it did.
 */
export default {
  name: 'push',
  order: 20,
  title: `From a handler that returns to the message in a WebSocket client, ${SOCKETS.toLocaleString('en')} clients`,
  async setUp() {
    const redis = await startRedis()
    const clients = await startContender('watchers.mjs')
    const parts = { redis, clients }
    const jobcast = await startJobcastSide(parts)
    const peer = await startPeerSide(parts)
    const bare = await startBareSide(parts)
    const sides = { jobcast, peer, bare }
    for (const side of Object.values(sides))
      await openSockets(side, clients, () => run(side, clients, PACES.medium))
    return {
      clients,
      sides,
      async tearDown() {
        await Promise.all([jobcast.stop(), peer.stop(), bare.stop(), clients.stop()])
        await redis.stop()
      },
    }
  },
  contenders: {
    jobcast: ({ sides, clients }) => atPaces(sides.jobcast, clients, Object.keys(PACES)),
    'bullmq + socket.io': ({ sides, clients }) => atPaces(sides.peer, clients, Object.keys(PACES)),
    'bare script + ws': ({ sides, clients }) => atPaces(sides.bare, clients, ['idle']),
  },
  figures: [
    {
      id: 'p50 idle',
      what: 'idle, 200 jobs/s, p50',
      unit: 'ms',
      targets: [{ to: 'bullmq + socket.io', atMost: 0.65 }],
    },
    { id: 'p99 idle', what: 'idle, 200 jobs/s, p99', unit: 'ms' },
    { id: 'p50 medium', what: '2,500 jobs/s, p50', unit: 'ms' },
    {
      id: 'p99 medium',
      what: '2,500 jobs/s, p99',
      unit: 'ms',
      targets: [{ to: 'bullmq + socket.io', atMost: 1 / 6 }],
    },
    {
      id: 'p50 high',
      what: '5,000 jobs/s, p50',
      unit: 'ms',
      targets: [{ to: 'bullmq + socket.io', atMost: 1 / 15 }],
    },
    {
      id: 'p99 high',
      what: '5,000 jobs/s, p99',
      unit: 'ms',
      targets: [{ to: 'bullmq + socket.io', atMost: 1 / 10 }],
    },
  ],
}

async function atPaces(side, clients, names) {
  const figures = {}
  await openSockets(side, clients, async () => {
    for (const name of names) {
      const latencies = await run(side, clients, PACES[name])
      figures[`p50 ${name}`] = percentile(latencies, 0.5)
      figures[`p99 ${name}`] = percentile(latencies, 0.99)
    }
  })
  return figures
}

async function openSockets({ url, protocol }, clients, then) {
  await clients.call('open', url, protocol, SOCKETS)
  await then()
  await clients.call('close')
}

/** The latencies of the jobs after those that warm up, in ms; none may be missing. */
async function run(side, clients, { perSecond, jobs }) {
  const jobIds = await side.add(jobs)
  while ((await side.waiting()) < Math.min(jobs, CONCURRENCY)) await pause(10)
  await clients.call('watch', jobIds)
  await clients.call('count', true)
  await pause(REST_MS)
  const reached = clients.call('reach', jobs)
  await side.giveTurns(jobs, perSecond)
  const { events, latencies } = await within(reached, PHASE_MS, `${side.protocol}: not every message came`)
  if (events !== jobs) throw new Error(`${side.protocol}: ${events} messages of ${jobs} jobs`)
  return latencies.slice(jobs * WARM_UP)
}

async function startJobcastSide({ redis }) {
  const env = { REDIS_URL: redis.url, JOBCAST_PREFIX: PREFIX, JOBCAST_LEASE_MS: LEASE_MS }
  const gateway = await startJobcast({ ...env, JOBCAST_ROLE: 'api', PORT: 0 })
  const worker = await startJobcast({
    ...env,
    JOBCAST_ROLE: 'worker',
    JOBCAST_JOBS: PACED_JOBS,
    // One more for the job that gives the turns.
    JOBCAST_CONCURRENCY: CONCURRENCY + 1,
    CONCURRENCY,
  })
  const engine = await openEngine({ kind: 'redis', url: redis.url, prefix: PREFIX })
  const submit = (jobs) => engine.submit({ jobs })
  return {
    protocol: 'jobcast',
    url: gateway.url,
    async add(amount) {
      const ids = []
      while (ids.length < amount) {
        const bulk = Math.min(1000, amount - ids.length)
        const { jobs } = await submit(Array.from({ length: bulk }, () => newJob('paced', {})))
        ids.push(...jobs.map(({ jobId }) => jobId))
      }
      return ids
    },
    waiting: async () => (await runCounts(redis, 'paced')).processing,
    giveTurns: (amount, perSecond) => submit([newJob('turns', { amount, perSecond })]),
    stop: () => Promise.all([worker.stop(), gateway.stop(), engine.stop()]),
  }
}

async function startPeerSide({ redis }) {
  const env = { REDIS_PORT: redis.port, QUEUE: 'paced', CONCURRENCY }
  const gateway = await startContender('socketio-gateway.mjs', env)
  const worker = await startContender('bullmq-paced-worker.mjs', env)
  let added = 0
  return {
    protocol: 'socket.io',
    url: await gateway.call('url'),
    async add(amount) {
      const ids = Array.from({ length: amount }, () => `job-${added++}`)
      await worker.call('add', ids)
      return ids
    },
    waiting: () => worker.call('waiting'),
    giveTurns: (amount, perSecond) => worker.call('giveTurns', amount, perSecond),
    stop: () => Promise.all([worker.stop(), gateway.stop()]),
  }
}

/** The limit: no queue, a script that only writes and publishes, and a gateway that only passes on. */
async function startBareSide({ redis }) {
  const env = { REDIS_PORT: redis.port }
  const gateway = await startContender('ws-gateway.mjs', env)
  const worker = await startContender('bare-paced-worker.mjs', env)
  let added = 0
  return {
    protocol: 'ws',
    url: await gateway.call('url'),
    async add(amount) {
      const ids = Array.from({ length: amount }, () => `bare-${added++}`)
      await worker.call('add', ids)
      return ids
    },
    waiting: () => worker.call('waiting'),
    giveTurns: (amount, perSecond) => worker.call('giveTurns', amount, perSecond),
    stop: () => Promise.all([worker.stop(), gateway.stop()]),
  }
}
