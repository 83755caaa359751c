import { setTimeout as pause } from 'node:timers/promises'
import { cpuMs, startContender, startJobcast } from '../harness/child.mjs'
import { PREFIX } from '../harness/product.mjs'
import { startRedis } from '../harness/redis.mjs'

const JOBS = new URL('../contenders/idle-jobs.mjs', import.meta.url).pathname
const WARM_UP_JOBS = 50
/** Until what the jobs have left behind has calmed down. */
const REST_MS = 75_000
const MEASURED_MS = 60_000
const MANY_TYPES = 500

/**
 * A process that serves and one that works, after some jobs, when nothing goes on. Each pair has a Redis of its own, and all are
 * measured at the same time, since they leave the machine to each other.
 */
export default {
  name: 'idle',
  order: 6,
  title: 'Doing nothing: one process that serves, one that works, Redis engine',
  rounds: 1,
  setUp: async () => {
    const [few, many, bullmq] = await Promise.all([
      idleJobcast(3),
      idleJobcast(MANY_TYPES),
      onRedis(idleBullmq),
    ])
    return { few, many, bullmq }
  },
  contenders: {
    jobcast: ({ few }) => few,
    [`jobcast, ${MANY_TYPES} types`]: ({ many }) => many,
    bullmq: ({ bullmq }) => bullmq,
  },
  figures: [
    {
      id: 'sent',
      what: 'commands sent, a process',
      unit: 'a second',
      targets: [{ atMost: 1 }],
    },
    {
      id: 'carried out',
      what: 'commands carried out, those of scripts among them, a process',
      unit: 'a second',
      targets: [{ atMost: 1 }, { to: 'bullmq', atMost: 1 }],
    },
    {
      id: 'serving',
      what: 'CPU of the process that serves',
      unit: '% of a core',
      targets: [{ atMost: 0.3 }],
    },
    { id: 'working', what: 'CPU of the process that works', unit: '% of a core', targets: [{ atMost: 0.3 }] },
    { id: 'redis', what: 'CPU of Redis', unit: '% of a core' },
  ],
}

function idleJobcast(types) {
  return onRedis(async (redis) => {
    const env = { REDIS_URL: redis.url, JOBCAST_PREFIX: PREFIX, JOBCAST_JOBS: JOBS, TYPES: types }
    const serving = await startJobcast({ ...env, JOBCAST_ROLE: 'api', PORT: 0 })
    const working = await startJobcast({ ...env, JOBCAST_ROLE: 'worker' })
    const warmUp = async (jobs) => {
      for (let n = 0; n < jobs; n++) {
        await fetch(`${serving.url}/api/jobs`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ type: 'type-0', payload: { n } }),
        })
      }
    }
    return { serving, working, warmUp }
  })
}

async function idleBullmq(redis) {
  const start = (role) => startContender('bullmq-idle.mjs', { REDIS_PORT: redis.port, ROLE: role })
  const [serving, working] = [await start('producer'), await start('worker')]
  return { serving, working, warmUp: (jobs) => serving.call('warmUp', jobs) }
}

/** On a Redis of its own, whose commands can be counted. */
async function onRedis(start) {
  const redis = await startRedis()
  const { serving, working, warmUp } = await start(redis)
  await warmUp(WARM_UP_JOBS)
  await pause(REST_MS)
  const commands = await countCommands(redis)
  const look = async () => ({
    serving: cpuMs(serving.pid),
    working: cpuMs(working.pid),
    redis: await redis.cpuMs(),
    at: performance.now(),
  })
  const before = await look()
  await pause(MEASURED_MS)
  const after = await look()
  const counts = commands.stop()
  await Promise.all([serving.stop(), working.stop()])
  await redis.stop()
  const ms = after.at - before.at
  const share = (part) => (100 * (after[part] - before[part])) / ms
  return {
    sent: (counts.sent * 1000) / ms / 2,
    'carried out': ((counts.sent + counts.inScripts) * 1000) / ms / 2,
    serving: share('serving'),
    working: share('working'),
    redis: share('redis'),
  }
}

/** What MONITOR shows of all clients but our own. */
async function countCommands({ client }) {
  const counts = { sent: 0, inScripts: 0 }
  const monitor = await client.monitor()
  monitor.on('monitor', (_time, [command], source) => {
    if (command.toLowerCase() === 'info') return
    counts[source === 'lua' ? 'inScripts' : 'sent'] += 1
  })
  return {
    stop() {
      monitor.disconnect()
      return counts
    },
  }
}
