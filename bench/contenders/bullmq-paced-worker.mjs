import { Queue, Worker } from 'bullmq'
import { giveTurns, takeTurn, waitingJobs } from '../harness/paced.mjs'
import { serve } from '../harness/serve.mjs'

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null }
const BULK = 1000

const queue = new Queue('paced', { connection })
const worker = new Worker('paced', takeTurn, {
  connection,
  concurrency: Number(process.env.CONCURRENCY),
})
await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()])

serve({
  async add(jobIds) {
    for (let first = 0; first < jobIds.length; first += BULK) {
      await queue.addBulk(
        jobIds.slice(first, first + BULK).map((jobId) => ({ name: 'paced', data: {}, opts: { jobId } })),
      )
    }
  },
  waiting: waitingJobs,
  giveTurns,
})
