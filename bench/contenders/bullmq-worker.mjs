import { Worker } from 'bullmq'
import { nowMs } from '../harness/clock.mjs'
import { serve } from '../harness/serve.mjs'

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null }

const worker = new Worker(
  'noop',
  async ({ data }) => (data.at ? { us: (nowMs() - data.at) * 1000 } : { ok: true }),
  {
    connection,
    concurrency: Number(process.env.CONCURRENCY),
    autorun: false,
  },
)
let completed = 0
worker.on('completed', () => {
  completed++
})
await worker.waitUntilReady()

serve({
  begin() {
    void worker.run()
  },
  completed: () => completed,
})
