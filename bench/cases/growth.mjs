import { startContender } from '../harness/child.mjs'
import { newFolder } from '../harness/folder.mjs'
import { startRedis } from '../harness/redis.mjs'

const SHALLOW = 1000
const DEEP = 1_000_000
const MANY_TYPES = 1000
/** Jobs that are submitted, claimed and settled at a time, and before anything is measured. */
const AMOUNT = 6000
const WARM_UP = 6000
/** Entries that a queue of bare Redis takes and gives in one call, as the engine's scripts do. */
const BATCH = 200
const BARE_AMOUNT = 20_000
const ENGINES = ['redis', 'sqlite']
/** What is filled, in the order in which it is measured: the others are held against the first. */
const SHAPES = {
  small: { jobs: SHALLOW },
  deep: { jobs: DEEP },
  types: { jobs: MANY_TYPES * 2, types: MANY_TYPES },
}
const ATLEAST = 0.85
const ATMOST = 1 / ATLEAST

/** All shapes stand side by side, filled once, and are measured in turn. */
export default {
  name: 'growth',
  order: 70,
  title: 'A queue of 1,000,000 jobs, and 1,000 types, against a queue of 1,000 jobs of one type',
  setUp: async () => {
    const redis = await startRedis()
    const folders = await Promise.all(Object.keys(SHAPES).map(() => newFolder()))
    const started = { redis: {}, sqlite: {} }
    const tearDown = async () => {
      const all = [...Object.values(started.redis), ...Object.values(started.sqlite)]
      await Promise.all(all.map((contender) => contender.stop()))
      await redis.stop()
      await Promise.all(folders.map(({ remove }) => remove()))
    }
    try {
      for (const [at, [shape, { types = 1 }]] of Object.entries(SHAPES).entries()) {
        const redisAddress = { kind: 'redis', url: redis.url, prefix: shape }
        started.redis[shape] = await start(redisAddress, types)
        started.sqlite[shape] = await start({ kind: 'sqlite', folder: folders[at].path }, types)
      }
      const [bytes] = await Promise.all([fillRedis(redis, started.redis), fillAll(started.sqlite)])
      await fillBare(redis.client)
      return { redis, started, bytes, tearDown }
    } catch (error) {
      await tearDown()
      throw error
    }
  },
  contenders: {
    jobcast: async ({ started, bytes }) => {
      const figures = { ...bytes }
      for (const engine of ENGINES) {
        for (const shape of Object.keys(SHAPES)) {
          const { submitMs, runMs } = await started[engine][shape].call('work', AMOUNT)
          figures[`${engine} submit ${shape}`] = (AMOUNT / submitMs) * 1000
          figures[`${engine} run ${shape}`] = (AMOUNT / runMs) * 1000
        }
      }
      return figures
    },
    'bare redis': async ({ redis }) => {
      const figures = {}
      for (const shape of ['small', 'deep']) {
        const { addMs, popMs } = await workBare(redis.client, shape)
        figures[`redis submit ${shape}`] = (BARE_AMOUNT / addMs) * 1000
        figures[`redis run ${shape}`] = (BARE_AMOUNT / popMs) * 1000
      }
      return figures
    },
  },
  figures: [
    ...ENGINES.flatMap((engine) =>
      Object.entries({ submit: 'submitted', run: 'claimed and settled' }).flatMap(([verb, what]) => {
        const against = [{ toFigure: `${engine} ${verb} small`, atLeast: ATLEAST }]
        return [
          { id: `${engine} ${verb} small`, what: `${engine}, ${what}, 1,000 queued`, unit: 'jobs/s' },
          {
            ...{ id: `${engine} ${verb} deep`, what: `${engine}, ${what}, 1,000,000 queued`, unit: 'jobs/s' },
            targets: against,
          },
          {
            ...{ id: `${engine} ${verb} types`, what: `${engine}, ${what}, 1,000 types`, unit: 'jobs/s' },
            targets: against,
          },
        ]
      }),
    ),
    { id: 'bytes early', what: 'Redis memory a queued job, up to 100,000', unit: 'bytes' },
    {
      ...{ id: 'bytes late', what: 'Redis memory a queued job, up to 1,000,000', unit: 'bytes' },
      targets: [{ toFigure: 'bytes early', atMost: ATMOST }],
    },
  ],
}

function start(address, types) {
  return startContender('growth-jobcast.mjs', { ADDRESS: JSON.stringify(address), TYPES: types })
}

/** Fills every shape and warms each up; sums up memory on the way. */
async function fillRedis(redis, contenders) {
  const { deep, ...others } = contenders
  await fillAll(others)
  const empty = await redis.usedBytes()
  await deep.call('fill', DEEP / 10)
  const early = await redis.usedBytes()
  // An answer has to come within two minutes.
  for (let tenth = 1; tenth < 10; tenth++) await deep.call('fill', DEEP / 10)
  const late = await redis.usedBytes()
  await deep.call('work', WARM_UP)
  return { 'bytes early': (early - empty) / (DEEP / 10), 'bytes late': (late - empty) / DEEP }
}

async function fillAll(contenders) {
  for (const [shape, contender] of Object.entries(contenders)) {
    const { jobs } = SHAPES[shape]
    for (let left = jobs; left > 0; left -= DEEP / 10) {
      await contender.call('fill', Math.min(left, DEEP / 10))
    }
    await contender.call('work', WARM_UP)
  }
}

let entries = 0

/** A queue as the engine keeps one: a sorted set of ids by their place. */
async function add(client, shape, amount) {
  const members = Array.from({ length: amount }, () => {
    const n = ++entries
    return [n, `01a2140a-e652-7b2c-af28-${String(n).padStart(12, '0')}`]
  })
  await client.zadd(`bare:${shape}`, ...members.flat())
}

async function fillBare(client) {
  for (const shape of ['small', 'deep']) {
    for (let done = 0; done < SHAPES[shape].jobs; done += 1000) await add(client, shape, 1000)
    await workBare(client, shape)
  }
}

async function workBare(client, shape) {
  const start = performance.now()
  for (let done = 0; done < BARE_AMOUNT; done += BATCH) await add(client, shape, BATCH)
  const added = performance.now()
  for (let done = 0; done < BARE_AMOUNT; done += BATCH) await client.zpopmin(`bare:${shape}`, BATCH)
  return { addMs: added - start, popMs: performance.now() - added }
}
