import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import * as v from 'valibot'
import { z } from 'zod'
import { defineJob } from '../../dist/server/index.js'

/** One type for each way in which a worker's schema may be told to a process that does not have it. */
export default [
  defineJob({
    type: 'by-zod',
    payload: z.strictObject({ width: z.int().min(16), scale: z.coerce.number().default(2) }),
    result: z.object({ area: z.number() }),
    run: ({ width, scale }) => ({ area: width * scale }),
  }),
  defineJob({ type: 'by-arktype', payload: type({ width: 'number >= 16' }), run: ({ width }) => width }),
  defineJob({
    type: 'by-valibot',
    payload: toStandardJsonSchema(v.object({ width: v.pipe(v.number(), v.minValue(16)) })),
    run: ({ width }) => width,
  }),
  defineJob({
    type: 'untold',
    payload: v.object({ width: v.pipe(v.number(), v.minValue(16)) }),
    run: ({ width }) => width,
  }),
]
