import { Queue, Worker } from 'bullmq'
import { serve } from '../harness/serve.mjs'

/** One process that could submit and one that would run, both of which do nothing: `ROLE` says which this one is. */
const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null }

if (process.env.ROLE === 'worker') {
  const worker = new Worker('idle', async () => ({ ok: true }), { connection, concurrency: 10 })
  await worker.waitUntilReady()
  serve({})
} else {
  const queue = new Queue('idle', { connection })
  await queue.waitUntilReady()
  serve({
    async warmUp(jobs) {
      for (let n = 0; n < jobs; n++) await queue.add('idle', { n })
    },
  })
}
