import Queue from 'bee-queue'
import { serve } from '../harness/serve.mjs'

const redis = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) }
const queue = new Queue('noop', { redis, isWorker: false, getEvents: false })
await queue.ready()

serve({
  async addBulks(jobs, bulk) {
    for (let first = 0; first < jobs; first += bulk) {
      const failed = await queue.saveAll(
        Array.from({ length: bulk }, (_, n) => queue.createJob({ n: first + n })),
      )
      if (failed.size > 0) throw new Error(`${failed.size} jobs were not saved`)
    }
  },
})
