import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { defineJob } from '../../dist/server/index.js'

/** What the examples in other languages submit. */
export const wordCount = defineJob({
  type: 'word-count',
  payload: z.strictObject({ text: z.string().min(1), most: z.int().default(1000) }),
  result: z.object({ words: z.int() }),
  maxAttempts: 1,
  async run({ text, most }, job) {
    const words = text.split(' ').slice(0, most)
    for (const [at, word] of words.entries()) {
      if (word === 'stop') throw new Error('told to stop')
      await pause(1)
      job.log(word)
      job.progress((100 * (at + 1)) / words.length)
    }
    return { words: words.length }
  },
})

export default [wordCount, defineJob({ type: 'anything', run: () => null })]
