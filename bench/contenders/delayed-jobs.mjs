/** For JOBCAST_JOBS: how late a delay and a backoff end, in ms. */
import { nowMs } from '../harness/clock.mjs'

/** When the first attempt of each job failed. */
const failedAt = new Map()

export default [
  { type: 'delayed', run: async ({ dueAt }) => ({ lateMs: nowMs() - dueAt }) },
  {
    type: 'failing',
    async run({ backoffMs }, { jobId }) {
      const at = failedAt.get(jobId)
      if (at !== undefined) return { lateMs: nowMs() - at - backoffMs }
      failedAt.set(jobId, nowMs())
      throw new Error('the first attempt fails')
    },
  },
]
