import { z } from 'zod'
import { JOB_ERROR_CODES } from './codes.ts'
import { JobStatus, Progress, Timestamp } from './event.ts'

/** A job as every transport shows it. */
export const Job = z.object({
  jobId: z.string(),
  type: z.string(),
  status: JobStatus,
  payload: z.json(),
  progress: Progress.nullable(),
  result: z.json(),
  error: z.string().nullable(),
  errorCode: z.enum(JOB_ERROR_CODES).nullable(),
  attempt: z.int().min(1),
  maxAttempts: z.int().min(1),
  stalls: z.int().min(0),
  priority: z.int().min(0).max(9),
  tags: z.array(z.string()),
  createdAt: Timestamp,
  scheduledFor: Timestamp.nullable(),
  startedAt: Timestamp.nullable(),
  completedAt: Timestamp.nullable(),
  expiresAt: Timestamp.nullable(),
  cancelRequested: z.boolean(),
  cursor: z.string(),
})
export type Job = z.infer<typeof Job>

/**
 * Why a queued job does not start, however free the workers are: its type is paused, or no live worker runs it. Others
 * will come: whoever reads one that it does not know takes it for some reason.
 */
export const Held = z.enum(['paused', 'no_worker'])
export type Held = z.infer<typeof Held>

/** Where a queued job stands, as far as anybody knows; no part of the job, and of no history. */
export const QueuePlace = z.object({
  /** 1 is next of its type; null is further back than anybody counts (`MAX_PLACE`). */
  place: z.int().min(1).nullable(),
  /** When it is expected to start, which may be past; null where nobody knows, and while it is held. */
  startsAt: Timestamp.nullable(),
  /** Null: it starts when its turn comes. */
  held: Held.nullable(),
})
export type QueuePlace = z.infer<typeof QueuePlace>

/** A job in a list: everything but what may be large. */
export const JobSummary = Job.omit({ payload: true, result: true })
export type JobSummary = z.infer<typeof JobSummary>

export function summaryOf({ payload: _payload, result: _result, ...rest }: Job): JobSummary {
  return rest
}
