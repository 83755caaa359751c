import { setTimeout as pause } from 'node:timers/promises'
import { cpuMs, startContender, startJobcast } from '../harness/child.mjs'
import { openEngine, PREFIX, runCounts, workerOn } from '../harness/product.mjs'
import { startRedis } from '../harness/redis.mjs'

/** Concurrency -> jobs that take each contender some seconds on a fast machine too, so that its CPU time can be read. */
const LEVELS = {
  1: { jobcast: 120_000, bullmq: 12_000, 'bee-queue': 18_000 },
  10: { jobcast: 200_000, bullmq: 40_000, 'bee-queue': 70_000 },
  100: { jobcast: 360_000, bullmq: 80_000, 'bee-queue': 140_000 },
}
const BULK = 1000
/** Of the jobs. */
const WARM_UP = 0.2
const LOOK_EVERY_MS = 2

/** Worker processes that do nothing, as fast as they can; every job is in the queue before the worker begins. */
export default {
  name: 'drain',
  order: 1,
  title: 'No-op jobs drained by one worker process, Redis engine',
  setUp: async () => {
    const redis = await startRedis()
    return { redis, tearDown: () => redis.stop() }
  },
  contenders: {
    jobcast: (shared) =>
      atEveryLevel('jobcast', (jobs, concurrency) => drainJobcast(shared, jobs, concurrency)),
    bullmq: (shared) =>
      atEveryLevel('bullmq', (jobs, concurrency) => drainPeer('bullmq', shared, jobs, concurrency)),
    'bee-queue': (shared) =>
      atEveryLevel('bee-queue', (jobs, concurrency) => drainPeer('bee-queue', shared, jobs, concurrency)),
  },
  figures: [
    { id: 'rate 1', what: 'concurrency 1', unit: 'jobs/s', targets: [{ to: 'bullmq', atLeast: 5 }] },
    {
      id: 'rate 10',
      what: 'concurrency 10',
      unit: 'jobs/s',
      targets: [
        { to: 'bullmq', atLeast: 2.8 },
        { to: 'bee-queue', atLeast: 2 },
      ],
    },
    {
      id: 'rate 100',
      what: 'concurrency 100',
      unit: 'jobs/s',
      targets: [
        { to: 'bullmq', atLeast: 3.5 },
        { to: 'bee-queue', atLeast: 2 },
      ],
    },
    {
      id: 'node 100',
      what: 'CPU of the worker a job, concurrency 100',
      unit: 'µs',
      targets: [{ to: 'bullmq', atMost: 0.2 }],
    },
  ],
}

async function atEveryLevel(contender, drain) {
  const figures = {}
  for (const [concurrency, amounts] of Object.entries(LEVELS)) {
    const { jobs, ms, workerMs } = await drain(amounts[contender], Number(concurrency))
    figures[`rate ${concurrency}`] = (jobs / ms) * 1000
    figures[`node ${concurrency}`] = (workerMs / jobs) * 1000
  }
  return figures
}

async function drainJobcast({ redis }, jobs, concurrency) {
  await redis.flush()
  const producer = await startContender('jobcast-producer.mjs', { REDIS_URL: redis.url })
  await producer.call('addBulks', jobs, BULK, 2)
  const engine = await openEngine({ kind: 'redis', url: redis.url, prefix: PREFIX })
  await engine.pause('noop')
  await producer.stop()
  const worker = await startJobcast(workerOn(redis, concurrency))
  const completed = async () => (await runCounts(redis, 'noop')).completed
  const measured = await time(worker, () => engine.resume('noop'), completed, jobs)
  await worker.stop()
  await engine.stop()
  return measured
}

async function drainPeer(peer, { redis }, jobs, concurrency) {
  await redis.flush()
  const env = { REDIS_PORT: redis.port, CONCURRENCY: concurrency }
  const producer = await startContender(`${peer}-producer.mjs`, env)
  await producer.call('addBulks', jobs, BULK, 2)
  await producer.stop()
  const worker = await startContender(`${peer}-worker.mjs`, env)
  const completed = () => worker.call('completed')
  const measured = await time(worker, () => worker.call('begin'), completed, jobs)
  await worker.stop()
  return measured
}

/** What is done before counts as warming up; then from one look to another, until every job is completed. */
async function time(worker, begin, completed, jobs) {
  const reach = async (amount) => {
    for (;;) {
      const done = await completed()
      if (done >= amount) return { done, at: performance.now(), cpu: cpuMs(worker.pid) }
      await pause(LOOK_EVERY_MS)
    }
  }
  await begin()
  const start = await reach(jobs * WARM_UP)
  const end = await reach(jobs)
  return { jobs: end.done - start.done, ms: end.at - start.at, workerMs: end.cpu - start.cpu }
}
