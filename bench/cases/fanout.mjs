import { createAdapter } from '@socket.io/redis-adapter'
import { Redis } from 'ioredis'
import { Server } from 'socket.io'
import { cpuMs, startContender, startJobcast, within } from '../harness/child.mjs'
import { KEYS, newJob, openEngine, PREFIX } from '../harness/product.mjs'
import { startRedis } from '../harness/redis.mjs'

const SOCKETS = 5000
/** Jobs that one call claims, or reports of. */
const CALL = 200
const LEASE_MS = 600_000
const WAVE_MS = 30_000
const DATA = { text: 'a few words, as a language model says them one after another' }

/** Times that each kind of wave is sent; the first ones warm up. */
const WAVES = { one: 8, own: 4, burst: 2 }
const WARM_UP = { one: 2, own: 1, burst: 1 }
const BURST = 10

/**
 * Events on their way from the store to sockets of one gateway. Jobcast's are chunks that a run reports through the
 * engine; Socket.IO's are emitted to rooms by another server of its cluster. A wave is sent once the one before has
 * arrived.
 */
export default {
  name: 'fanout',
  order: 21,
  title: `Events delivered to ${SOCKETS.toLocaleString('en')} WebSockets of one gateway`,
  async setUp() {
    const redis = await startRedis()
    const clients = await startContender('watchers.mjs')
    const jobcast = await startJobcastSide(redis)
    const peer = await startPeerSide(redis)
    const bare = await startBareSide(redis, jobcast)
    return {
      clients,
      jobcast,
      peer,
      bare,
      async tearDown() {
        await Promise.all([jobcast.stop(), peer.stop(), bare.stop(), clients.stop()])
        await redis.stop()
      },
    }
  },
  contenders: {
    jobcast: ({ jobcast, clients }) => everyKind(jobcast, clients),
    'socket.io': ({ peer, clients }) => everyKind(peer, clients),
    'bare ws': ({ bare, clients }) => everyKind(bare, clients),
  },
  figures: [
    {
      id: 'rate one',
      what: '5,000 watchers of one job, deliveries',
      unit: '1/s',
      targets: [
        { to: 'socket.io', atLeast: 1.4 },
        { to: 'bare ws', atLeast: 0.85 },
      ],
    },
    {
      id: 'rate own',
      what: '5,000 jobs, one watcher each, deliveries',
      unit: '1/s',
      targets: [
        { to: 'socket.io', atLeast: 1.9 },
        { to: 'bare ws', atLeast: 0.85 },
      ],
    },
    {
      id: 'rate burst',
      what: '10 events of one job at once, deliveries',
      unit: '1/s',
      targets: [{ to: 'socket.io', atLeast: 6 }],
    },
    { id: 'cpu one', what: 'CPU of the gateway a delivery, one job', unit: 'µs' },
    { id: 'cpu own', what: 'CPU of the gateway a delivery, job each', unit: 'µs' },
    { id: 'cpu burst', what: 'CPU of the gateway a delivery, 10 at once', unit: 'µs' },
  ],
}

async function everyKind(side, clients) {
  const figures = {}
  await clients.call('open', side.url, side.protocol, SOCKETS)
  const jobs = await side.newJobs(1 + SOCKETS)
  const [shared, ...own] = jobs
  await clients.call('watch', Array(SOCKETS).fill(shared.jobId))
  await measure('one', 1, () => side.emit([shared], 1))
  await measure('burst', BURST, () => side.emit([shared], BURST))
  await clients.call(
    'watch',
    own.map(({ jobId }) => jobId),
  )
  await measure('own', 1, () => side.emit(own, 1))
  await clients.call('close')
  return figures

  async function measure(kind, events, emit) {
    for (let n = 0; n < WARM_UP[kind]; n++) await wave(events, emit)
    const cpu = cpuMs(side.pid)
    const started = performance.now()
    for (let n = 0; n < WAVES[kind]; n++) await wave(events, emit)
    const deliveries = WAVES[kind] * events * SOCKETS
    figures[`rate ${kind}`] = (deliveries / (performance.now() - started)) * 1000
    figures[`cpu ${kind}`] = ((cpuMs(side.pid) - cpu) / deliveries) * 1000
  }

  async function wave(events, emit) {
    await clients.call('count', false)
    const reached = clients.call('reach', events * SOCKETS)
    await emit()
    await within(reached, WAVE_MS, `${side.protocol}: not every event came`)
  }
}

async function startJobcastSide(redis) {
  const gateway = await startJobcast({
    REDIS_URL: redis.url,
    JOBCAST_PREFIX: PREFIX,
    JOBCAST_ROLE: 'api',
    PORT: 0,
  })
  const engine = await openEngine({ kind: 'redis', url: redis.url, prefix: PREFIX })
  let calls = 0
  return {
    protocol: 'jobcast',
    url: gateway.url,
    pid: gateway.pid,
    /** Running jobs, so that they can report. */
    async newJobs(amount) {
      const claims = []
      for (let first = 0; first < amount; first += CALL) {
        const jobs = Array.from({ length: Math.min(CALL, amount - first) }, () => newJob('fanout', {}))
        await engine.submit({ jobs })
      }
      while (claims.length < amount) {
        const claimId = `fanout-${calls++}`
        const types = [{ type: 'fanout', limit: CALL }]
        claims.push(
          ...(await engine.claim({ claimId, workerId: 'fanout', limit: CALL, types, leaseMs: LEASE_MS })),
        )
      }
      return claims
    },
    async emit(claims, times) {
      const events = Array(times).fill({ kind: 'chunk', data: DATA })
      const calls = []
      for (let first = 0; first < claims.length; first += CALL) {
        const reports = claims
          .slice(first, first + CALL)
          .map(({ jobId, lease }) => ({ jobId, lease, events }))
        calls.push(engine.report(reports))
      }
      const verdicts = await Promise.all(calls)
      if (verdicts.flat().some((verdict) => verdict !== 'ok')) throw new Error('a report was refused')
    },
    stop: () => Promise.all([gateway.stop(), engine.stop()]),
  }
}

async function startPeerSide(redis) {
  const gateway = await startContender('socketio-gateway.mjs', { REDIS_PORT: redis.port })
  const connections = [0, 1].map(() => new Redis({ host: '127.0.0.1', port: redis.port }))
  const io = new Server({ adapter: createAdapter(...connections) })
  let jobs = 0
  let seq = 0
  return {
    protocol: 'socket.io',
    url: await gateway.call('url'),
    pid: gateway.pid,
    newJobs: (amount) =>
      Array.from({ length: amount }, () => ({
        jobId: `00000000-0000-7000-8000-${String(jobs++).padStart(12, '0')}`,
      })),
    emit(targets, times) {
      for (const { jobId } of targets) {
        for (let time = 0; time < times; time++) {
          const event = { jobId, seq: ++seq, at: new Date().toISOString(), kind: 'chunk', data: DATA }
          io.to(jobId).emit('event', event)
        }
      }
    },
    async stop() {
      await gateway.stop()
      for (const connection of connections) connection.disconnect()
    },
  }
}

/** The limit: a gateway of `ws` that passes on what Jobcast publishes, as it comes. */
async function startBareSide(redis, { newJobs, emit }) {
  const gateway = await startContender('ws-gateway.mjs', {
    REDIS_PORT: redis.port,
    CHANNELS: `${KEYS}watch:`,
  })
  return {
    protocol: 'ws',
    url: await gateway.call('url'),
    pid: gateway.pid,
    newJobs,
    emit,
    stop: () => gateway.stop(),
  }
}
