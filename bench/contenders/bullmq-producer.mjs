import { setTimeout as pause } from 'node:timers/promises'
import { Queue } from 'bullmq'
import { nowMs } from '../harness/clock.mjs'
import { inLanes } from '../harness/lanes.mjs'
import { serve } from '../harness/serve.mjs'

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) }
const { KEPT_EVENTS } = process.env
const streams = KEPT_EVENTS && { events: { maxLen: Number(KEPT_EVENTS) } }
const queue = new Queue('noop', { connection, ...(streams && { streams }) })
await queue.waitUntilReady()

serve({
  /** One by one, so many at a time. */
  add: (jobs, inFlight) => inLanes(jobs, inFlight, (n) => queue.add('noop', { n })),
  /** In bulks, so many at a time. */
  addBulks: (jobs, bulk, inFlight) =>
    inLanes(jobs / bulk, inFlight, (n) =>
      queue.addBulk(Array.from({ length: bulk }, (_, at) => ({ name: 'noop', data: { n: n * bulk + at } }))),
    ),
  /** From each submission to the start of its handler, in µs, nothing else going on. */
  async pickups(samples, restMs) {
    const times = []
    for (let n = 0; n < samples; n++) {
      await pause(restMs)
      const { id } = await queue.add('noop', { at: nowMs() })
      times.push(await resultOf(id, restMs))
    }
    return times
  },
})

async function resultOf(id, everyMs) {
  for (;;) {
    await pause(everyMs)
    const job = await queue.getJob(id)
    if (job.returnvalue !== null) return job.returnvalue.us
  }
}
