/** A job type with a schema, as submissions of it are measured; nobody runs it. */
import { z } from 'zod'

export const mailSchema = z.strictObject({
  to: z.email(),
  subject: z.string().min(1).max(200),
  template: z.enum(['welcome', 'receipt', 'reminder']),
  userId: z.int().min(1),
})
