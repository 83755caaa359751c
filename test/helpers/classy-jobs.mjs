// Job types whose schemas make more than JSON of a payload, each in process and in a thread.
import { isMainThread } from 'node:worker_threads'
import { z } from 'zod'
import { Money, run } from './classy-handler.mjs'

globalThis.classyJobs = true

const isolate = new URL('./classy-handler.mjs', import.meta.url)

const classes = z.strictObject({
  site: z.string().transform((text) => new URL(text)),
  price: z.string().transform(Money.parse),
  greet: z.string().transform((greeting) => (name) => `${greeting} ${name}`),
  bytes: z.base64().transform((text) => Buffer.from(text, 'base64')),
})

const clones = z.strictObject({
  at: z.string().transform((text) => new Date(text)),
  tags: z.array(z.string()).transform((list) => new Set(list)),
  big: z.string().transform(BigInt),
})

/** Of a result: what goes into the job is what it makes of it. */
const result = z
  .object({ isMainThread: z.boolean() })
  .loose()
  .transform((seen) => ({ ...seen, link: new URL('http://a.example/b') }))

/** Sees a thread's payload with other eyes. */
const partial = {
  '~standard': {
    version: 1,
    vendor: 'by hand',
    validate: () =>
      isMainThread ? { value: { greet: () => 1 } } : { issues: [{ message: 'not here', path: ['greet'] }] },
  },
}

export default [
  { type: 'classes-here', payload: classes, result, run },
  { type: 'classes-there', payload: classes, result, isolate },
  { type: 'clones-here', payload: clones, run },
  { type: 'clones-there', payload: clones, isolate },
  { type: 'refused-there', payload: partial, isolate },
]
