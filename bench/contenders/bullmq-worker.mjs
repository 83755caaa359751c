import { Queue, Worker } from 'bullmq'
import { serve } from '../harness/serve.mjs'

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null }
const BULK = 1000

const queue = new Queue('noop', { connection })
const worker = new Worker('noop', async () => ({ ok: true }), {
  connection,
  concurrency: Number(process.env.CONCURRENCY),
  autorun: false,
})
let completed = 0
worker.on('completed', () => {
  completed++
})
await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()])

serve({
  async fill(jobs) {
    for (let first = 0; first < jobs; first += BULK) {
      await queue.addBulk(Array.from({ length: BULK }, (_, n) => ({ name: 'noop', data: { n: first + n } })))
    }
  },
  /** One by one, so many at a time. */
  async add(jobs, inFlight) {
    let next = 0
    const lane = async () => {
      while (next < jobs) await queue.add('noop', { n: next++ })
    }
    await Promise.all(Array.from({ length: inFlight }, lane))
  },
  begin() {
    void worker.run()
  },
  completed: () => completed,
})
