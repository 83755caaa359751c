import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median } from '../harness/measure.mjs'
import { startRedis } from '../harness/redis.mjs'
import { timeToFirstLine } from '../harness/start.mjs'

const JOBCAST = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))
const PEER = fileURLToPath(new URL('../contenders/hono-socketio-server.mjs', import.meta.url))
/** In a round, of which the median counts. */
const STARTS = 5

/** From nothing to a server that says that it listens; every start is a process of its own. */
export default {
  name: 'start',
  order: 8,
  title: 'From starting the process to listening',
  setUp: async () => {
    const redis = await startRedis()
    const folder = await mkdtemp(join(tmpdir(), 'jobcast-bench-'))
    return {
      redis,
      folder,
      tearDown: async () => {
        await redis.stop()
        await rm(folder, { recursive: true, force: true })
      },
    }
  },
  contenders: {
    jobcast: async ({ redis, folder }, round) => ({
      sqlite: await medianStart([JOBCAST], (start) => ({
        // A new folder each time: the tables are made as well.
        JOBCAST_DATA: join(folder, `${round}-${start}`),
      })),
      redis: await medianStart([JOBCAST], () => ({ REDIS_URL: redis.url })),
    }),
    'bare node': async () => {
      const ms = await medianStart(['-e', '0'])
      return { sqlite: ms, redis: ms }
    },
    'hono + bullmq + socket.io': async ({ redis }) => {
      const ms = await medianStart([PEER], () => ({ REDIS_URL: redis.url }))
      return { sqlite: ms, redis: ms }
    },
  },
  figures: [
    { id: 'sqlite', what: 'embedded engine', unit: 'ms', targets: targets() },
    { id: 'redis', what: 'Redis engine', unit: 'ms', targets: targets() },
  ],
}

function targets() {
  return [
    { to: 'bare node', atMost: 3 },
    { to: 'hono + bullmq + socket.io', atMost: 1 },
  ]
}

async function medianStart(args, env = () => ({})) {
  const times = []
  for (let start = 0; start < STARTS; start++) {
    times.push(await timeToFirstLine(args, { PORT: 0, JOBCAST_LOG: 'error', ...env(start) }))
  }
  return median(times)
}
