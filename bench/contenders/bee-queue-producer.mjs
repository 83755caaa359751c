import Queue from 'bee-queue'
import { inLanes } from '../harness/lanes.mjs'
import { serve } from '../harness/serve.mjs'

const redis = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) }
const queue = new Queue('noop', { redis, isWorker: false, getEvents: false })
await queue.ready()

serve({
  /** In bulks, so many at a time. */
  addBulks: (jobs, bulk, inFlight) =>
    inLanes(jobs / bulk, inFlight, async (n) => {
      const batch = Array.from({ length: bulk }, (_, at) => queue.createJob({ n: n * bulk + at }))
      const failed = await queue.saveAll(batch)
      if (failed.size > 0) throw new Error(`${failed.size} jobs were not saved`)
    }),
})
