import { setTimeout as pause } from 'node:timers/promises'
import { startContender, startJobcast } from '../harness/child.mjs'
import { newJob, openEngine, PREFIX, runCounts, workerOn } from '../harness/product.mjs'
import { startRedis } from '../harness/redis.mjs'

const JOBS = 10_000
const BULK = 1000
const CONCURRENCY = 100
/** Entries of BullMQ's event stream, which keeps about 10,000 of a queue by default: more than all jobs have. */
const EVENTS_OF_ALL = 10 * JOBS
const LOOK_EVERY_MS = 20
/** For what Redis frees a little later: closed connections, replies on their way. */
const SETTLE_MS = 500

/** What stays in Redis of small jobs that have completed, with all that is needed to list, replay and expire them. */
export default {
  name: 'memory',
  order: 60,
  title: 'Redis memory of a completed small job, with its events and every index',
  contenders: {
    jobcast: () => perJob(runJobcast),
    bullmq: () => perJob((redis) => runBullmq(redis)),
    'bullmq, all events kept': () => perJob((redis) => runBullmq(redis, EVENTS_OF_ALL)),
  },
  figures: [
    {
      ...{ id: 'bytes', what: 'memory a job', unit: 'bytes' },
      targets: [{ atMost: 900 }, { to: 'bullmq', atMost: 0.8 }],
    },
  ],
}

/** In a Redis of its own: memory that was freed before would be counted to whoever comes next. */
async function perJob(run) {
  const redis = await startRedis()
  try {
    const before = await redis.usedBytes()
    await run(redis)
    await pause(SETTLE_MS)
    return { bytes: ((await redis.usedBytes()) - before) / JOBS }
  } finally {
    await redis.stop()
  }
}

async function runJobcast(redis) {
  const engine = await openEngine({ kind: 'redis', url: redis.url, prefix: PREFIX })
  for (let first = 0; first < JOBS; first += BULK) {
    await engine.submit({
      jobs: Array.from({ length: BULK }, (_, n) => newJob('noop', { n: first + n })),
    })
  }
  const worker = await startJobcast(workerOn(redis, CONCURRENCY))
  await until(async () => (await runCounts(redis, 'noop')).completed === JOBS)
  await worker.stop()
  await engine.stop()
}

async function runBullmq(redis, keptEvents) {
  const env = { REDIS_PORT: redis.port, CONCURRENCY, ...(keptEvents && { KEPT_EVENTS: keptEvents }) }
  const producer = await startContender('bullmq-producer.mjs', env)
  await producer.call('addBulks', JOBS, BULK, 1)
  await producer.stop()
  const worker = await startContender('bullmq-worker.mjs', env)
  await worker.call('begin')
  await until(async () => (await worker.call('completed')) === JOBS)
  await worker.stop()
}

async function until(isDone) {
  while (!(await isDone())) await pause(LOOK_EVERY_MS)
}
