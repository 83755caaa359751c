// A job type of your own: JOBCAST_JOBS=examples/jobs.mjs npm start
import { defineJob, UnrecoverableError } from 'jobcast'
import { z } from 'zod'

const wordCount = defineJob({
  type: 'word-count',
  payload: z.strictObject({ text: z.string().min(1).max(100_000) }),
  result: z.object({ words: z.number(), longest: z.string() }),
  maxAttempts: 5,
  backoff: { kind: 'exponential', delayMs: 500 },
  timeoutMs: 30_000,
  async run({ text }, { progress, log, signal }) {
    const words = text.match(/\p{L}+/gu) ?? []
    if (words.length === 0) throw new UnrecoverableError('there is no word in the text')
    let longest = ''
    for (const [index, word] of words.entries()) {
      signal.throwIfAborted()
      if (word.length > longest.length) longest = word
      progress(((index + 1) / words.length) * 100, `${index + 1} of ${words.length} words`)
    }
    log(`the longest word is ${longest}`)
    return { words: words.length, longest }
  },
})

export default [wordCount]
