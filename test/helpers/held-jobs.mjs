// Jobs that end when the test says so, as JOBCAST_JOBS loads them: once a file is there, and not before some ms.
import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

export default [
  {
    type: 'held',
    async run({ file, ms = 0 }, { signal }) {
      await pause(ms, undefined, { signal })
      while (!existsSync(file)) await pause(20, undefined, { signal })
      return null
    },
  },
]
