import { Queue, Worker } from 'bullmq'
import { nowMs } from '../harness/clock.mjs'
import { serve } from '../harness/serve.mjs'

/** How late a delay and a backoff end, in ms. One process submits, another runs: `ROLE` says which this one is. */
const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null }

if (process.env.ROLE === 'worker') {
  const failedAt = new Map()
  const run = async ({ id, data: { dueAt, backoffMs } }) => {
    if (dueAt !== undefined) return { lateMs: nowMs() - dueAt }
    const at = failedAt.get(id)
    if (at !== undefined) return { lateMs: nowMs() - at - backoffMs }
    failedAt.set(id, nowMs())
    throw new Error('the first attempt fails')
  }
  const worker = new Worker('delayed', run, { connection, concurrency: 10 })
  await worker.waitUntilReady()
  serve({})
} else {
  const queue = new Queue('delayed', { connection })
  await queue.waitUntilReady()
  serve({
    async delay(ms) {
      const { id } = await queue.add('delayed', { dueAt: nowMs() + ms }, { delay: ms })
      return id
    },
    async fail(backoffMs) {
      const backoff = { type: 'fixed', delay: backoffMs }
      const { id } = await queue.add('failing', { backoffMs }, { attempts: 2, backoff })
      return id
    },
    /** Null where it has not ended yet. */
    async lateMs(id) {
      const { returnvalue } = await queue.getJob(id)
      return returnvalue?.lateMs ?? null
    },
  })
}
