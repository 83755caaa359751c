import { defineJob } from 'jobcast'
import { z } from 'zod'

const side = z.int({ error: 'must be a whole number from 64 to 1024' }).min(64).max(1024)

const Payload = z.strictObject({
  prompt: z.string().min(1).max(500),
  width: side,
  height: side,
})

/** Paints a picture from a prompt, tile by tile, in a thread of its own; the same prompt is always the same picture. */
export const render = defineJob({
  type: 'render',
  payload: Payload,
  isolate: new URL('./thread.js', import.meta.url),
  concurrency: 2,
  timeoutMs: 300_000,
})
