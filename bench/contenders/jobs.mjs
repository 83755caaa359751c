import { nowMs } from '../harness/clock.mjs'

/** Handlers that do nothing, for JOBCAST_JOBS. */
export default [
  { type: 'noop', run: async () => ({ ok: true }) },
  { type: 'timed', run: async ({ at }) => ({ us: (nowMs() - at) * 1000 }) },
]
