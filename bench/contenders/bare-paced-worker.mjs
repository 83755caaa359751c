import { Redis } from 'ioredis'
import { giveTurns, takeTurn, waitingJobs } from '../harness/paced.mjs'
import { serve } from '../harness/serve.mjs'
import { addBareScripts } from './bare-scripts.mjs'

const redis = addBareScripts(new Redis({ host: '127.0.0.1', port: Number(process.env.REDIS_PORT) }))

async function run(jobId) {
  const result = await takeTurn()
  const event = { jobId, kind: 'status', data: { status: 'completed', result } }
  await redis.bareSettle(jobId, JSON.stringify(result), JSON.stringify(event))
}

serve({
  /** There is no queue: all of them begin. */
  add(jobIds) {
    for (const jobId of jobIds) run(jobId)
  },
  waiting: waitingJobs,
  giveTurns,
})
