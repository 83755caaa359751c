import { defineJob } from 'jobcast'
import { z } from 'zod'

export const square = defineJob({
  type: 'square',
  payload: z.object({ n: z.number() }),
  isolate: new URL('./square.ts', import.meta.url),
})
