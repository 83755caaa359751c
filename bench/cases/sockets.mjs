import { setTimeout as pause } from 'node:timers/promises'
import { cpuMs, privateBytes, startContender, startJobcast } from '../harness/child.mjs'
import { memoryProbe } from '../harness/memory.mjs'
import { newJob, openEngine, PREFIX } from '../harness/product.mjs'
import { startRedis } from '../harness/redis.mjs'

const SOCKETS = 10_000
/** Of these: each a job of its own. */
const WATCHING = 5000
const WARM_UP = 1000
/** Until what was open for warming up is surely gone. */
const CLOSING_MS = 500
const BULK = 1000

/** Connections that are opened as fast as they can be, greeted, and then left alone. */
export default {
  name: 'sockets',
  order: 22,
  title: `${SOCKETS.toLocaleString('en')} WebSocket connections to one process`,
  async setUp() {
    const redis = await startRedis()
    const clients = await startContender('watchers.mjs')
    const engine = await openEngine({ kind: 'redis', url: redis.url, prefix: PREFIX })
    const jobIds = []
    while (jobIds.length < WATCHING) {
      const { jobs } = await engine.submit({ jobs: Array.from({ length: BULK }, () => newJob('idle', {})) })
      jobIds.push(...jobs.map(({ jobId }) => jobId))
    }
    await engine.stop()
    return {
      redis,
      clients,
      jobIds,
      async tearDown() {
        await clients.stop()
        await redis.stop()
      },
    }
  },
  contenders: {
    async jobcast({ redis, clients, jobIds }) {
      const probe = await memoryProbe()
      const env = { REDIS_URL: redis.url, JOBCAST_PREFIX: PREFIX, JOBCAST_ROLE: 'api', PORT: 0, ...probe.env }
      const gateway = await startJobcast(env, probe.nodeArgs)
      return measure('jobcast', gateway, gateway.url, clients, probe, jobIds)
    },
    async 'socket.io'({ redis, clients, jobIds }) {
      const probe = await memoryProbe()
      const env = { REDIS_PORT: redis.port, ...probe.env }
      const gateway = await startContender('socketio-gateway.mjs', env, probe.nodeArgs)
      return measure('socket.io', gateway, await gateway.call('url'), clients, probe, jobIds)
    },
    async ws({ clients }) {
      const probe = await memoryProbe()
      const gateway = await startContender('ws-gateway.mjs', probe.env, probe.nodeArgs)
      return measure('ws', gateway, await gateway.call('url'), clients, probe, null)
    },
  },
  figures: [
    {
      id: 'idle',
      what: 'memory of an open connection',
      unit: 'KB',
      targets: [{ atMost: 7 }, { to: 'ws', atMostMore: 2 }],
    },
    { id: 'private', what: 'private memory of the process, each', unit: 'KB' },
    { id: 'watching', what: 'memory of one that watches a job of its own', unit: 'KB' },
    { id: 'rate', what: 'handshakes', unit: '1/s', targets: [{ to: 'socket.io', atLeast: 2 }] },
    { id: 'cpu', what: 'CPU of the server a handshake', unit: 'µs' },
  ],
}

async function measure(protocol, gateway, url, clients, probe, jobIds) {
  await clients.call('open', url, protocol, WARM_UP)
  await clients.call('close')
  await pause(CLOSING_MS)
  const before = await probe.heldBytes()
  const processBefore = privateBytes(gateway.pid)
  const cpu = cpuMs(gateway.pid)
  const openMs = await clients.call('open', url, protocol, SOCKETS)
  const usedMs = cpuMs(gateway.pid) - cpu
  const idle = await probe.heldBytes()
  const figures = {
    idle: (idle - before) / 1000 / SOCKETS,
    rate: (SOCKETS / openMs) * 1000,
    cpu: (usedMs / SOCKETS) * 1000,
  }
  figures.private = (privateBytes(gateway.pid) - processBefore) / 1000 / SOCKETS
  if (jobIds !== null) {
    await clients.call('watch', jobIds)
    figures.watching = figures.idle + ((await probe.heldBytes()) - idle) / 1000 / WATCHING
  }
  await clients.call('close')
  await gateway.stop()
  return figures
}
