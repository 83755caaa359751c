import { startContender } from '../harness/child.mjs'
import { startRedis } from '../harness/redis.mjs'

const IN_FLIGHT = 100
const BULK = 1000
const BULKS_IN_FLIGHT = 2
/** Jobs that a contender submits in about a second, one by one and in bulks. */
const AMOUNTS = {
  jobcast: { single: 30_000, bulk: 60_000 },
  bullmq: { single: 8000, bulk: 10_000 },
  bare: { bulk: 60_000 },
}
/** Of the jobs, not counted. */
const WARM_UP = 0.3

/** A process that only submits, straight through the engine. */
export default {
  name: 'submit',
  order: 2,
  title: 'Jobs submitted by one process through the engine, Redis engine',
  setUp: async () => {
    const redis = await startRedis()
    return { redis, tearDown: () => redis.stop() }
  },
  contenders: {
    jobcast: (shared) => submit('jobcast', shared),
    bullmq: (shared) => submit('bullmq', shared),
    'bare script': (shared) => submit('bare', shared),
  },
  figures: [
    {
      id: 'single',
      what: 'one by one, 100 in flight',
      unit: 'jobs/s',
      targets: [{ to: 'bullmq', atLeast: 3.2 }],
    },
    {
      id: 'bulk',
      what: 'in bulks of 1,000, two in flight',
      unit: 'jobs/s',
      targets: [{ to: 'bullmq', atLeast: 6.5 }],
    },
  ],
}

async function submit(contender, { redis }) {
  await redis.flush()
  const env = { REDIS_URL: redis.url, REDIS_PORT: redis.port }
  const producer = await startContender(`${contender}-producer.mjs`, env)
  const rate = async (amount, add) => {
    const warmUp = BULK * Math.ceil((amount * WARM_UP) / BULK)
    await add(warmUp)
    const started = performance.now()
    await add(amount - warmUp)
    return ((amount - warmUp) / (performance.now() - started)) * 1000
  }
  const { single, bulk } = AMOUNTS[contender]
  const figures = {
    ...(single && { single: await rate(single, (jobs) => producer.call('add', jobs, IN_FLIGHT)) }),
    bulk: await rate(bulk, (jobs) => producer.call('addBulks', jobs, BULK, BULKS_IN_FLIGHT)),
  }
  await producer.stop()
  return figures
}
