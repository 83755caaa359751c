import { setTimeout as pause } from 'node:timers/promises'
import { cpuMs, startContender, startJobcast } from '../harness/child.mjs'
import { runCounts, workerOn } from '../harness/product.mjs'
import { startRedis } from '../harness/redis.mjs'

const CONCURRENCY = 100
const IN_FLIGHT = 100
const WARM_UP_JOBS = 3000
const JOBS = { jobcast: 12_000, bullmq: 6000 }
const LOOK_EVERY_MS = 5

/** One process submits job by job, 100 in flight, while a worker process runs them: what it costs the server. */
export default {
  name: 'lifecycle',
  order: 3,
  title: 'Submit, claim, settle and events of a no-op job, Redis engine',
  setUp: async () => {
    const redis = await startRedis()
    return { redis, tearDown: () => redis.stop() }
  },
  contenders: {
    jobcast: async ({ redis }) => {
      await redis.flush()
      const [worker, producer] = await Promise.all([
        startJobcast(workerOn(redis, CONCURRENCY)),
        startContender('jobcast-producer.mjs', { REDIS_URL: redis.url }),
      ])
      const completed = async () => (await runCounts(redis, 'noop')).completed
      const figures = await cost(redis, worker, producer, completed, JOBS.jobcast)
      await Promise.all([worker.stop(), producer.stop()])
      return figures
    },
    bullmq: async ({ redis }) => {
      await redis.flush()
      const env = { REDIS_PORT: redis.port, CONCURRENCY }
      const [worker, producer] = await Promise.all([
        startContender('bullmq-worker.mjs', env),
        startContender('bullmq-producer.mjs', env),
      ])
      await worker.call('begin')
      const figures = await cost(redis, worker, producer, () => worker.call('completed'), JOBS.bullmq)
      await Promise.all([worker.stop(), producer.stop()])
      return figures
    },
  },
  figures: [
    {
      id: 'redis',
      what: 'CPU of Redis a job',
      unit: 'µs',
      targets: [{ to: 'bullmq', atMost: 0.3 }],
    },
    { id: 'worker', what: 'CPU of the worker a job', unit: 'µs', targets: [{ to: 'bullmq', atMost: 0.2 }] },
    { id: 'rate', what: 'jobs submitted and completed', unit: 'jobs/s' },
  ],
}

async function cost(redis, worker, producer, completed, jobs) {
  const submit = (amount) => producer.call('add', amount, IN_FLIGHT)
  const reach = async (amount) => {
    while ((await completed()) < amount) await pause(LOOK_EVERY_MS)
  }
  await submit(WARM_UP_JOBS)
  await reach(WARM_UP_JOBS)
  const before = { redis: await redis.cpuMs(), worker: cpuMs(worker.pid), at: performance.now() }
  await submit(jobs)
  await reach(WARM_UP_JOBS + jobs)
  return {
    redis: (((await redis.cpuMs()) - before.redis) / jobs) * 1000,
    worker: ((cpuMs(worker.pid) - before.worker) / jobs) * 1000,
    rate: (jobs / (performance.now() - before.at)) * 1000,
  }
}
