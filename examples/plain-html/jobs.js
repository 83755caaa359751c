import { setTimeout as pause } from 'node:timers/promises'
import { defineJob } from 'jobcast'
import { z } from 'zod'

/** Finds the longest word of a text. */
export const longestWord = defineJob({
  type: 'longest-word',
  payload: z.object({ text: z.string().min(1) }),
  async run({ text }, job) {
    const words = text.match(/\p{L}+/gu) ?? []
    let longest = ''
    for (const [index, word] of words.entries()) {
      await pause(200, null, { signal: job.signal })
      if (word.length > longest.length) {
        longest = word
        job.log(`${word}, ${word.length} letters`)
      }
      job.progress((100 * (index + 1)) / words.length)
    }
    return { words: words.length, longest }
  },
})

export const jobs = [longestWord]
