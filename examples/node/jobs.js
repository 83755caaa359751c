import { setTimeout as pause } from 'node:timers/promises'
import { defineJob } from 'jobcast'
import { z } from 'zod'

export const wordCount = defineJob({
  type: 'word-count',
  payload: z.object({ text: z.string() }),
  result: z.object({ words: z.int() }),
  async run({ text }, job) {
    const words = text.split(/\s+/).filter((word) => word !== '')
    for (const [index, word] of words.entries()) {
      await pause(100)
      job.log(word)
      job.progress((100 * (index + 1)) / words.length)
    }
    return { words: words.length }
  },
})

export const jobs = [wordCount]
