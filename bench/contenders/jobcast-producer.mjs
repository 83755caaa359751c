import { setTimeout as pause } from 'node:timers/promises'
import { nowMs } from '../harness/clock.mjs'
import { inLanes } from '../harness/lanes.mjs'
import { newJob, openEngine, PREFIX } from '../harness/product.mjs'
import { serve } from '../harness/serve.mjs'

const engine = await openEngine({ kind: 'redis', url: process.env.REDIS_URL, prefix: PREFIX })

serve({
  /** One by one, so many at a time. */
  add: (jobs, inFlight) => inLanes(jobs, inFlight, (n) => engine.submit({ jobs: [newJob('noop', { n })] })),
  /** In bulks, so many at a time. */
  addBulks: (jobs, bulk, inFlight) =>
    inLanes(jobs / bulk, inFlight, (n) =>
      engine.submit({ jobs: Array.from({ length: bulk }, (_, at) => newJob('noop', { n: n * bulk + at })) }),
    ),
  /** From each submission to the start of its handler, in µs, nothing else going on. */
  async pickups(samples, restMs) {
    const times = []
    for (let n = 0; n < samples; n++) {
      await pause(restMs)
      const { jobs } = await engine.submit({ jobs: [newJob('timed', { at: nowMs() })] })
      times.push(await resultOf(jobs[0].jobId, restMs))
    }
    return times
  },
})

async function resultOf(jobId, everyMs) {
  for (;;) {
    await pause(everyMs)
    const job = await engine.get(jobId)
    if (job.status === 'completed') return job.result.us
  }
}
