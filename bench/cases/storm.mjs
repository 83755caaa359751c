import { setTimeout as pause } from 'node:timers/promises'
import { startContender, startJobcast, within } from '../harness/child.mjs'
import { percentile } from '../harness/measure.mjs'
import { newJob, openEngine, PREFIX } from '../harness/product.mjs'
import { startRedis } from '../harness/redis.mjs'

const SUBSCRIBERS = 5000
/** Jobs that run all the while, each with as many subscribers. */
const JOBS = 500
/** Between two events of each job. */
const EVERY_MS = 500
/** Jobs that one call claims, or reports of. */
const CALL = 200
const LEASE_MS = 600_000
/** Before the gateway is killed, and for the last event to arrive. */
const CALM_MS = 1000
const LIMIT_MS = 60_000
const LOOK_EVERY_MS = 20

/** A gateway is killed under thousands of subscribers, who come back to another one while their jobs go on. */
export default {
  name: 'storm',
  order: 24,
  rounds: 3,
  title: `kill -9 of a gateway with ${SUBSCRIBERS.toLocaleString('en')} subscribers, who come back to another one`,
  async setUp() {
    const redis = await startRedis()
    const clients = await startContender('storm-clients.mjs')
    const engine = await openEngine({ kind: 'redis', url: redis.url, prefix: PREFIX })
    const runs = await runningJobs(engine)
    const other = await startJobcast(gatewayOn(redis))
    return {
      redis,
      clients,
      engine,
      runs,
      other,
      async tearDown() {
        await Promise.all([clients.stop(), other.stop(), engine.stop()])
        await redis.stop()
      },
    }
  },
  contenders: { jobcast: storm },
  figures: [
    { id: 'p50', what: 'back again, half of them', unit: 's' },
    { id: 'last', what: 'back again, the last one', unit: 's', targets: [{ atMost: 15 }] },
    { id: 'events', what: 'events of each job in between', unit: '' },
    { id: 'missed', what: 'subscribers that missed one', unit: '', targets: [{ atMost: 0 }] },
  ],
}

async function storm({ redis, clients, engine, runs, other }) {
  const gateway = await startJobcast(gatewayOn(redis))
  const jobIds = Array.from({ length: SUBSCRIBERS }, (_, n) => runs[n % JOBS].jobId)
  await clients.call('open', gateway.url, jobIds)
  await clients.call('comeBackTo', [other.url])
  const talk = talkAll(engine, runs)
  await pause(CALM_MS)
  const before = talk.events()
  const killedAt = performance.now()
  process.kill(gateway.pid, 'SIGKILL')
  while ((await clients.call('away')) === 0) await pause(LOOK_EVERY_MS)
  const ages = await within(clients.call('back'), LIMIT_MS, 'not everybody came back')
  const healedAt = performance.now()
  const between = talk.events() - before
  await pause(CALM_MS)
  await talk.stop()
  const positions = new Map(
    (await engine.feed.positions(runs.map(({ jobId }) => jobId))).map((position, n) => [
      runs[n].jobId,
      position.seq,
    ]),
  )
  // An event on the wrong place ends the clients, and with them the round.
  const isMissing = (seq, n) => seq < positions.get(jobIds[n])
  let missed = 0
  const deadline = performance.now() + CALM_MS
  do {
    missed = (await clients.call('seqs')).filter(isMissing).length
  } while (missed > 0 && performance.now() < deadline)
  await clients.call('close')
  await gateway.stop()
  const times = ages.map((age) => (healedAt - killedAt - age) / 1000)
  return { p50: percentile(times, 0.5), last: Math.max(...times), events: between, missed }
}

function gatewayOn(redis) {
  return { REDIS_URL: redis.url, JOBCAST_PREFIX: PREFIX, JOBCAST_ROLE: 'api', PORT: 0 }
}

async function runningJobs(engine) {
  const runs = []
  for (let first = 0; first < JOBS; first += CALL) {
    const jobs = Array.from({ length: Math.min(CALL, JOBS - first) }, () => newJob('storm', {}))
    await engine.submit({ jobs })
    const types = [{ type: 'storm', limit: CALL }]
    const claim = { claimId: `storm-${first}`, workerId: 'storm', limit: CALL, types, leaseMs: LEASE_MS }
    runs.push(...(await engine.claim(claim)))
  }
  return runs
}

/** Every run reports a chunk now and then, until it is stopped. */
function talkAll(engine, runs) {
  let events = 0
  let isOver = false
  const done = (async () => {
    while (!isOver) {
      for (let first = 0; first < runs.length; first += CALL) {
        const reports = runs
          .slice(first, first + CALL)
          .map(({ jobId, lease }) => ({ jobId, lease, events: [{ kind: 'chunk', data: 'a few words' }] }))
        const verdicts = await engine.report(reports)
        if (verdicts.some((verdict) => verdict !== 'ok')) throw new Error('a report was refused')
      }
      events++
      await pause(EVERY_MS)
    }
  })()
  return {
    events: () => events,
    stop: () => {
      isOver = true
      return done
    },
  }
}
