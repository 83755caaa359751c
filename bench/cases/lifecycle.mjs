import { setTimeout as pause } from 'node:timers/promises'
import { cpuMs, startContender, startJobcast } from '../harness/child.mjs'
import { KEYS, newJob, openEngine, PREFIX } from '../harness/product.mjs'
import { startRedis } from '../harness/redis.mjs'

const CONCURRENCY = 100
const IN_FLIGHT = 100
const WARM_UP_JOBS = 3000
const JOBS = { jobcast: 12_000, bullmq: 6000 }
const NOOP_JOBS = new URL('../contenders/noop-jobs.mjs', import.meta.url).pathname
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
      const engine = await openEngine({ kind: 'redis', url: redis.url, prefix: PREFIX })
      const worker = await startJobcast({
        REDIS_URL: redis.url,
        JOBCAST_PREFIX: PREFIX,
        JOBCAST_ROLE: 'worker',
        JOBCAST_JOBS: NOOP_JOBS,
        JOBCAST_CONCURRENCY: CONCURRENCY,
      })
      const submit = (n) => engine.submit({ jobs: [newJob('noop', { n })] })
      const completed = async () => Number(await redis.client.hget(`${KEYS}counts`, 'completed noop'))
      const figures = await cost(redis, worker, (jobs) => inFlight(jobs, submit), completed, JOBS.jobcast)
      await worker.stop()
      await engine.stop()
      return figures
    },
    bullmq: async ({ redis }) => {
      await redis.flush()
      const env = { REDIS_PORT: redis.port, CONCURRENCY }
      const [worker, producer] = await Promise.all([
        startContender('bullmq-worker.mjs', env),
        startContender('bullmq-worker.mjs', env),
      ])
      await worker.call('begin')
      const submit = (jobs) => producer.call('add', jobs, IN_FLIGHT)
      const figures = await cost(redis, worker, submit, () => worker.call('completed'), JOBS.bullmq)
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

async function cost(redis, worker, submit, completed, jobs) {
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

async function inFlight(jobs, submit) {
  let next = 0
  const lane = async () => {
    while (next < jobs) await submit(next++)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
}
