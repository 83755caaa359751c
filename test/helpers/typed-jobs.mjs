// A user's own module of job types, with a schema that says of itself what it takes, and with none.
import { z } from 'zod'

const Letter = z.strictObject({
  to: z.array(z.email()).min(1),
  subject: z.string().min(1),
  priority: z.enum(['normal', 'high']).default('normal'),
  copies: z.int().min(1).optional(),
})

export default [
  { type: 'letter', payload: Letter, run: ({ subject }) => ({ sent: subject }) },
  { type: 'anything', run: (payload) => payload },
  // Called like a sample, whose form it is not to have.
  { type: 'render', run: () => null },
]
