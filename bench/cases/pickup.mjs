import { setTimeout as pause } from 'node:timers/promises'
import { startContender, startJobcast } from '../harness/child.mjs'
import { percentile } from '../harness/measure.mjs'
import { workerOn } from '../harness/product.mjs'
import { startRedis } from '../harness/redis.mjs'

/** At full speed first, so that both sides run compiled code; then idle. */
const WARM_UP_JOBS = 5000
const WARM_UP_SAMPLES = 50
const SAMPLES = 250
/** Between two jobs, so that everybody is idle again. */
const REST_MS = 3

/** How soon an idle worker in another process starts a job. */
export default {
  name: 'pickup',
  order: 4,
  title: 'Idle: from submitting a job to the start of its handler, Redis engine',
  setUp: async () => {
    const redis = await startRedis()
    return { redis, tearDown: () => redis.stop() }
  },
  contenders: {
    jobcast: async ({ redis }) => {
      await redis.flush()
      const [worker, producer] = await Promise.all([
        startJobcast(workerOn(redis)),
        startContender('jobcast-producer.mjs', { REDIS_URL: redis.url }),
      ])
      return pickups(worker, producer)
    },
    bullmq: async ({ redis }) => {
      await redis.flush()
      const env = { REDIS_PORT: redis.port, CONCURRENCY: 10 }
      const [worker, producer] = await Promise.all([
        startContender('bullmq-worker.mjs', env),
        startContender('bullmq-producer.mjs', env),
      ])
      await worker.call('begin')
      return pickups(worker, producer)
    },
    'bare script': ({ redis }) => hops(redis, 'handOver'),
    'one hop': ({ redis }) => hops(redis, 'publish'),
  },
  figures: [
    {
      id: 'p50',
      what: 'p50',
      unit: 'ms',
      targets: [
        { to: 'bullmq', atMost: 0.5 },
        { to: 'one hop', atMost: 1.8 },
      ],
    },
    { id: 'p99', what: 'p99', unit: 'ms', targets: [{ to: 'bullmq', atMost: 0.35 }] },
  ],
}

async function pickups(worker, producer) {
  await producer.call('add', WARM_UP_JOBS, 100)
  await producer.call('pickups', WARM_UP_SAMPLES, REST_MS)
  const times = await producer.call('pickups', SAMPLES, REST_MS)
  await Promise.all([worker.stop(), producer.stop()])
  return summary(times)
}

/** From one process to another by what the sender does. */
async function hops(redis, send) {
  await redis.flush()
  const env = { REDIS_PORT: redis.port }
  const [sender, receiver] = await Promise.all([
    startContender('hop.mjs', env),
    startContender('hop.mjs', env),
  ])
  await receiver.call('listen', 'hop')
  await sender.call(send, 'hop', WARM_UP_JOBS, 0)
  await sender.call(send, 'hop', WARM_UP_SAMPLES, REST_MS)
  await receiver.call('heard')
  await sender.call(send, 'hop', SAMPLES, REST_MS)
  await pause(REST_MS * 10)
  const times = await receiver.call('heard')
  await Promise.all([sender.stop(), receiver.stop()])
  return summary(times)
}

function summary(times) {
  return { p50: percentile(times, 0.5) / 1000, p99: percentile(times, 0.99) / 1000 }
}
