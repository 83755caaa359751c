import { setTimeout as pause } from 'node:timers/promises'
import { startContender, startJobcast } from '../harness/child.mjs'
import { memoryProbe } from '../harness/memory.mjs'
import { newJob, openEngine, PREFIX } from '../harness/product.mjs'
import { startRedis } from '../harness/redis.mjs'

const POLLS = 5000
const WARM_UP = 1000
const ANSWER_MS = 20_000

/** Requests that one process holds, all for news of one job; then there is some. */
export default {
  name: 'polls',
  order: 23,
  rounds: 3,
  title: `${POLLS.toLocaleString('en')} held long-polls`,
  async setUp() {
    const redis = await startRedis()
    const clients = await startContender('polls.mjs')
    const engine = await openEngine({ kind: 'redis', url: redis.url, prefix: PREFIX })
    return {
      redis,
      clients,
      engine,
      async tearDown() {
        await Promise.all([clients.stop(), engine.stop()])
        await redis.stop()
      },
    }
  },
  contenders: {
    async jobcast({ redis, clients, engine }) {
      const probe = await memoryProbe()
      const env = { REDIS_URL: redis.url, JOBCAST_PREFIX: PREFIX, JOBCAST_ROLE: 'api', PORT: 0, ...probe.env }
      const gateway = await startJobcast(env, probe.nodeArgs)
      let job
      const figures = await measure(clients, gateway.url, probe, {
        async path() {
          const { jobs } = await engine.submit({ jobs: [newJob('idle', {})] })
          job = jobs[0]
          return `/api/jobs/${job.jobId}?after=${job.cursor}&wait=60`
        },
        async held() {
          const text = await (await fetch(`${gateway.url}/metrics`)).text()
          return Number(/^jobcast_gateway_connections\{transport="poll"\} (\d+)/m.exec(text)?.[1] ?? 0)
        },
        tell: () => engine.cancel(job.jobId),
      })
      await gateway.stop()
      return figures
    },
  },
  figures: [
    { id: 'memory', what: 'memory of a held poll', unit: 'KB', targets: [{ atMost: 18 }] },
    { id: 'held', what: 'held of all', unit: '%', targets: [{ atLeast: 100 }] },
    { id: 'answered', what: 'answered after one event', unit: '%', targets: [{ atLeast: 100 }] },
    { id: 'answering', what: 'until the last one was answered', unit: 'ms' },
  ],
}

async function measure(clients, url, probe, { path, held, tell }) {
  await hold(WARM_UP)
  await clients.call('close')
  while ((await held()) > 0) await pause(10)
  const before = await probe.heldBytes()
  const figures = await hold(POLLS, async () => ((await probe.heldBytes()) - before) / 1000 / POLLS)
  await clients.call('close')
  return figures

  async function hold(amount, memory) {
    const one = await path()
    await clients.call('ask', url, Array(amount).fill(one))
    const deadline = performance.now() + ANSWER_MS
    while ((await held()) < amount && performance.now() < deadline) await pause(10)
    const figures = { held: ((await held()) / amount) * 100, memory: await memory?.() }
    const started = performance.now()
    await tell()
    let answers
    do {
      await pause(2)
      answers = await clients.call('answers')
    } while (answers.answered < amount && performance.now() < deadline)
    return {
      ...figures,
      answered: ((answers.answered - answers.refused) / amount) * 100,
      answering: performance.now() - started,
    }
  }
}
