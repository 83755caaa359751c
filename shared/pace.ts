import { z } from 'zod'

/** How fast one worker runs the jobs of one type, as it announces it for the estimates of gateways. Times in ms. */
export const TypePace = z.object({
  type: z.string(),
  /** How long its runs take lately, on average; null before the first has ended. */
  meanMs: z.number().min(0).nullable(),
  /** Jobs of the type that the worker can be expected to run at once, beside those of other types. */
  slots: z.int().min(1),
  /** Of these, how many run nothing at all. */
  free: z.int().min(0),
  /** Of those that run the type, for how long the job has run, as far as it is told. */
  busyMs: z.array(z.number().min(0)),
})
export type TypePace = z.infer<typeof TypePace>

/** The types that a worker runs, as it announces them. */
export const WorkerTypes = z.object({ types: z.array(z.string()) })

/** The part of a worker's announcement that this is about. */
export const WorkerPace = z.object({ pace: z.array(TypePace) })
export type WorkerPace = z.infer<typeof WorkerPace>
