import { defineJob, type InputOf, type OutputOf, type ResultOf } from 'jobcast'
import { z } from 'zod'

export const wordCount = defineJob({
  type: 'word-count',
  payload: z.object({ text: z.string(), at: z.coerce.date<string>().default(new Date(0)) }),
  maxAttempts: 5,
  run: ({ text, at }, { progress }) => {
    progress(50)
    return { words: text.length, year: at.getFullYear(), at }
  },
})

export const resize = defineJob({
  type: 'resize',
  payload: z.object({ width: z.number() }),
  async run({ width }, { log, signal }) {
    signal.throwIfAborted()
    log(`to ${width}`)
    return `x${width}`
  },
})

/** Its schema makes more of what the handler returned. */
export const report = defineJob({
  type: 'report',
  result: z.object({ pages: z.number(), title: z.string().default('untitled') }),
  run: async () => ({ pages: 3 }),
})

export const render = defineJob({
  type: 'render',
  payload: z.object({ scene: z.string() }),
  result: z.object({ picture: z.string() }),
  isolate: new URL('./render.js', import.meta.url),
})

export const paint = defineJob({
  type: 'paint',
  payload: z.object({ scene: z.string() }),
  result: z.custom<{ strokes: number }>(),
  isolate: './paint.js',
})

/** Any JSON goes. */
export const echo = defineJob({ type: 'echo', run: (payload) => ({ payload }) })
export const silent = defineJob({ type: 'silent', run() {} })
export const deferred = defineJob({ type: 'deferred', isolate: './deferred.js' })

export const jobs = [wordCount, resize, report, render, paint, echo, silent, deferred]
export const tuple = [wordCount, resize] as const
export const record = { wordCount, resize, notAJob: 1 }

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never
export const said: Equal<InputOf<typeof wordCount>, { text: string; at?: string | undefined }> = true
export const got: Equal<OutputOf<typeof wordCount>, { text: string; at: Date }> = true
/** A date goes as text. */
export const has: Equal<ResultOf<typeof wordCount>, { words: number; year: number; at: string }> = true
export const hasText: Equal<ResultOf<typeof resize>, string> = true
export const hasMore: Equal<ResultOf<typeof report>, { pages: number; title: string }> = true
export const hasPicture: Equal<ResultOf<typeof render>, { picture: string }> = true
export const hasStrokes: Equal<ResultOf<typeof paint>, { strokes: number }> = true
export const hasAny: Equal<ResultOf<typeof echo>, { payload: unknown }> = true
export const hasNothing: Equal<ResultOf<typeof silent>, null> = true
export const hasUnknown: Equal<ResultOf<typeof deferred>, unknown> = true
export const takesAny: Equal<InputOf<typeof echo>, unknown> = true
export const takesScene: Equal<InputOf<typeof paint>, { scene: string }> = true
