import Queue from 'bee-queue'
import { serve } from '../harness/serve.mjs'

const BULK = 1000
const queue = new Queue('noop', {
  redis: { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) },
  isWorker: true,
  getEvents: false,
})
let completed = 0
queue.on('succeeded', () => {
  completed++
})
await queue.ready()

serve({
  async fill(jobs) {
    for (let first = 0; first < jobs; first += BULK) {
      const failed = await queue.saveAll(
        Array.from({ length: BULK }, (_, n) => queue.createJob({ n: first + n })),
      )
      if (failed.size > 0) throw new Error(`${failed.size} jobs were not saved`)
    }
  },
  begin() {
    queue.process(Number(process.env.CONCURRENCY), async () => ({ ok: true }))
  },
  completed: () => completed,
})
