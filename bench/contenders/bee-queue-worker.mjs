import Queue from 'bee-queue'
import { serve } from '../harness/serve.mjs'

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
  begin() {
    queue.process(Number(process.env.CONCURRENCY), async () => ({ ok: true }))
  },
  completed: () => completed,
})
