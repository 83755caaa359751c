import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import { defineJob, type JobContext, UnrecoverableError } from 'jobcast'
import { z } from 'zod'

const Payload = z.strictObject({
  steps: z.int().min(1).max(10_000).default(10),
  /** Before each step, ms. */
  stepMs: z.int().min(0).max(60_000).default(500),
  failAtStep: z.int().optional(),
  /** How many attempts fail; left out: all. */
  failAttempts: z.int().optional(),
  unrecoverable: z.boolean().default(false),
  logs: z.boolean().default(false),
  chunks: z.boolean().default(false),
  /** Length of the result's `padding`. */
  resultBytes: z.int().min(0).max(100_000_000).optional(),
  ignoreAbort: z.boolean().default(false),
})
type Payload = z.infer<typeof Payload>

/** Counts steps; for demonstrations and debugging it can be told to report, fail, and misbehave. */
export const countdown = defineJob({
  type: 'countdown',
  payload: Payload,
  run: count,
})

async function count(payload: Payload, context: JobContext) {
  const { steps, logs, chunks, resultBytes } = payload
  for (let step = 1; step <= steps; step += 1) {
    await rest(payload, context.signal)
    failWhereAsked(payload, step, context.attempt)
    context.progress((100 * step) / steps, `step ${step} of ${steps}`)
    if (logs) context.log(`step ${step}`)
    if (chunks) context.chunk({ step })
  }
  return resultBytes === undefined ? { steps } : { steps, padding: '.'.repeat(resultBytes) }
}

/** Lets the process do other work even where no time is to pass. */
async function rest({ stepMs, ignoreAbort }: Payload, signal: AbortSignal): Promise<void> {
  const options = ignoreAbort ? {} : { signal }
  await (stepMs === 0 ? turn(undefined, options) : pause(stepMs, undefined, options))
}

function failWhereAsked(
  { failAtStep, failAttempts, unrecoverable }: Payload,
  step: number,
  attempt: number,
): void {
  if (step !== failAtStep || (failAttempts !== undefined && attempt > failAttempts)) return
  const message = `failed at step ${step}, as asked`
  throw unrecoverable ? new UnrecoverableError(message) : new Error(message)
}
