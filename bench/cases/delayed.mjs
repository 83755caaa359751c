import { setTimeout as pause } from 'node:timers/promises'
import { startContender, startJobcast } from '../harness/child.mjs'
import { nowMs } from '../harness/clock.mjs'
import { newFolder } from '../harness/folder.mjs'
import { median } from '../harness/measure.mjs'
import { PREFIX } from '../harness/product.mjs'
import { startRedis } from '../harness/redis.mjs'

const JOBS = new URL('../contenders/delayed-jobs.mjs', import.meta.url).pathname
/** One after the other: each is due before the next is submitted. */
const ALONE = [1, 50, 200]
/** Several are under way at once. */
const TOGETHER = [1000, 10_000]
const SAMPLES = 15
const BACKOFF_MS = 50
/** Between two jobs. */
const REST_MS = 40
const LOOK_EVERY_MS = 100
const LATE_MS = 15

/** How late the handler of a delayed job, or of a second attempt, starts. */
export default {
  name: 'delayed',
  order: 5,
  title: 'From when a job is due to the start of its handler',
  rounds: 3,
  setUp: async () => {
    const redis = await startRedis()
    const folder = await newFolder()
    return {
      redis,
      folder,
      tearDown: async () => {
        await redis.stop()
        await folder.remove()
      },
    }
  },
  contenders: {
    jobcast: async ({ redis }) => {
      await redis.flush()
      const env = { REDIS_URL: redis.url, JOBCAST_PREFIX: PREFIX, JOBCAST_JOBS: JOBS }
      const api = await startJobcast({ ...env, JOBCAST_ROLE: 'api', PORT: 0 })
      const worker = await startJobcast({ ...env, JOBCAST_ROLE: 'worker' })
      const figures = await lateness(overHttp(api.url))
      await Promise.all([api.stop(), worker.stop()])
      return figures
    },
    'jobcast embedded': async ({ folder }, round) => {
      const env = { JOBCAST_DATA: `${folder.path}/${round}`, JOBCAST_JOBS: JOBS, PORT: 0 }
      const server = await startJobcast(env)
      const figures = await lateness(overHttp(server.url))
      await server.stop()
      return figures
    },
    bullmq: async ({ redis }) => {
      await redis.flush()
      const start = (role) => startContender('bullmq-delayed.mjs', { REDIS_PORT: redis.port, ROLE: role })
      const [producer, worker] = await Promise.all([start('producer'), start('worker')])
      const figures = await lateness({
        delay: (ms) => producer.call('delay', ms),
        fail: (backoffMs) => producer.call('fail', backoffMs),
        lateMs: (id) => producer.call('lateMs', id),
      })
      await Promise.all([producer.stop(), worker.stop()])
      return figures
    },
  },
  figures: [
    ...[...ALONE, ...TOGETHER].map((ms) => ({
      id: `delay ${ms}`,
      what: `a delay of ${ms.toLocaleString('en')} ms`,
      unit: 'ms late',
      targets: [{ atMost: LATE_MS }],
    })),
    {
      id: 'backoff',
      what: `a backoff of ${BACKOFF_MS} ms`,
      unit: 'ms late',
      targets: [{ atMost: LATE_MS }],
    },
  ],
}

/** Medians by figure. The longest delays pass while the others are measured. */
async function lateness({ delay, fail, lateMs }) {
  const jobs = new Map()
  const submit = async (figure, submission) => {
    const ids = jobs.get(figure) ?? []
    jobs.set(figure, ids)
    ids.push(await submission)
  }
  for (const ms of TOGETHER.toReversed()) {
    for (let n = 0; n < SAMPLES; n++) {
      await submit(`delay ${ms}`, delay(ms))
      await pause(REST_MS)
    }
  }
  for (const ms of ALONE) {
    for (let n = 0; n < SAMPLES; n++) {
      await submit(`delay ${ms}`, delay(ms))
      await pause(ms + REST_MS)
    }
  }
  for (let n = 0; n < SAMPLES; n++) {
    await submit('backoff', fail(BACKOFF_MS))
    await pause(BACKOFF_MS + REST_MS)
  }
  const figures = {}
  for (const [figure, ids] of jobs) {
    const times = []
    for (const id of ids) times.push(await ended(() => lateMs(id)))
    figures[figure] = median(times)
  }
  return figures
}

async function ended(look) {
  for (;;) {
    const late = await look()
    if (late !== null) return late
    await pause(LOOK_EVERY_MS)
  }
}

function overHttp(url) {
  const submit = async (type, payload, options) => {
    const answer = await fetch(`${url}/api/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ type, payload, options }),
    })
    return (await answer.json()).jobId
  }
  return {
    delay: (delayMs) => submit('delayed', { dueAt: nowMs() + delayMs }, { delayMs }),
    fail: (backoffMs) =>
      submit('failing', { backoffMs }, { backoff: { kind: 'fixed', delayMs: backoffMs, jitter: 0 } }),
    lateMs: async (id) => (await (await fetch(`${url}/api/jobs/${id}`)).json()).result?.lateMs ?? null,
  }
}
