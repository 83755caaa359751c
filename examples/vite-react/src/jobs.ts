import { setTimeout as pause } from 'node:timers/promises'
import { defineJob } from 'jobcast'
import { z } from 'zod'

/** What is streamed while an answer grows. */
export type Piece = { text: string }

export const answer = defineJob({
  type: 'answer',
  payload: z.object({ question: z.string().min(1) }),
  async run({ question }, job) {
    const words = think(question)
    for (const [index, word] of words.entries()) {
      // Your model goes here. It stops at once where somebody cancels.
      await pause(120, null, { signal: job.signal })
      job.chunk({ text: `${word} ` } satisfies Piece)
      job.progress((100 * (index + 1)) / words.length, 'Answering')
    }
    return { text: words.join(' ') }
  },
})

export const jobs = [answer]

function think(question: string): string[] {
  return `“${question}” is a good question. Nobody here knows the answer, but every word of this one was pushed to your page the moment it was there.`.split(
    ' ',
  )
}
