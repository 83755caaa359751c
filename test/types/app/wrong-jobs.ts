import { defineJob, type JobContext } from 'jobcast'
import { z } from 'zod'
import { render, resize, wordCount } from './jobs.js'

declare const context: JobContext

/** What a unit test of a handler does. */
export async function handlersAreCallable(): Promise<void> {
  const { words } = wordCount.run({ text: 'x', at: new Date() }, context)
  const text = await resize.run({ width: 3 }, context)
  const both: [number, string] = [words, text]
  void both
  // @ts-expect-error the handler gets what the schema made of the payload
  wordCount.run({ text: 'x' }, context)
  // @ts-expect-error it runs in a thread
  render.run({ scene: 'x' }, context)
}

defineJob({
  type: 'wrong-field',
  payload: z.object({ text: z.string() }),
  // @ts-expect-error the payload has no such field
  run: ({ txt }) => txt,
})

defineJob({
  type: 'wrong-result',
  result: z.object({ words: z.number() }),
  // @ts-expect-error the result's schema takes words
  run: () => ({ word: 1 }),
})

defineJob({
  type: 'wrong-result-later',
  result: z.object({ words: z.number() }),
  // @ts-expect-error the result's schema takes words
  async run() {
    return { word: 1 }
  },
})

defineJob({
  type: 'wrong-option',
  // @ts-expect-error there is no such option
  maxAttempt: 3,
  run: () => 1,
})

// @ts-expect-error neither run nor isolate
defineJob({ type: 'nothing-to-run' })

// @ts-expect-error both run and isolate
defineJob({ type: 'twice', run: () => 1, isolate: './x.js' })
