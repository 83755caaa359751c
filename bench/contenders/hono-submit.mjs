import { z } from 'zod'
import { mailSchema } from './mail.mjs'

const payloads = { mail: mailSchema }

const Submission = z.strictObject({
  type: z.enum(Object.keys(payloads)),
  payload: z.unknown(),
  options: z
    .strictObject({
      priority: z.int().min(0).max(100),
      delay: z.int().min(0),
      attempts: z.int().min(1).max(100),
    })
    .partial()
    .optional(),
})
const Batch = z.strictObject({ jobs: z.array(Submission).min(1).max(1000) })

/**
 * Submitting one job and many, over any queue.
 *
 * @param {import('hono').Hono} app
 * @param {{ add(job: object): Promise<{ id: string }>, addBulk(jobs: object[]): Promise<{ id: string }[]> }} queue
 */
export function submitRoutes(app, queue) {
  app.post('/api/jobs', async (context) => {
    const submission = Submission.parse(await context.req.json())
    const { id } = await queue.add(toJob(submission))
    return context.json({ jobId: id, status: 'queued' }, 202)
  })
  app.post('/api/jobs/batch', async (context) => {
    const { jobs } = Batch.parse(await context.req.json())
    const added = await queue.addBulk(jobs.map(toJob))
    return context.json({ jobs: added.map(({ id }) => ({ jobId: id, status: 'queued' })) }, 202)
  })
  app.onError((error, context) => {
    if (error instanceof z.ZodError) return context.json({ errors: error.issues }, 400)
    if (error instanceof SyntaxError) return context.json({ errors: [{ message: 'not JSON' }] }, 400)
    return context.json({ errors: [{ message: 'internal error' }] }, 500)
  })
}

function toJob({ type, payload, options }) {
  return { name: type, data: payloads[type].parse(payload), opts: options }
}
