// Jobs that end when the test says so, as JOBCAST_JOBS loads them: once a file is there.
import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

export default [
  {
    // Tells what it is given to tell at once, ends not before some ms, and with the result that it is given.
    type: 'held',
    async run({ file, ms = 0, progress, chunks = [], result = null }, context) {
      if (progress !== undefined) context.progress(progress)
      for (const chunk of chunks) context.chunk(chunk)
      await pause(ms, undefined, context)
      while (!existsSync(file)) await pause(20, undefined, context)
      return result
    },
  },
  {
    // Counts aloud every 100 ms, to 1,000 where nobody stops it; its result is how far it came.
    type: 'counting',
    async run({ file }, context) {
      let step = 0
      while (!existsSync(file)) {
        await pause(100, undefined, context)
        step += 1
        context.chunk({ step })
        context.progress(step / 10)
      }
      return { steps: step }
    },
  },
]
