import { z } from 'zod'
import { JOB_ERROR_CODES, LOG_LEVELS } from './codes.ts'
import { JOB_STATUSES } from './status.ts'

export const JobStatus = z.enum(JOB_STATUSES)

/** ISO 8601 in UTC with milliseconds, from the store's clock. */
export const Timestamp = z.iso.datetime({ precision: 3 })

export const Progress = z.object({
  /** 0–100. */
  percent: z.number().min(0).max(100),
  /** At most `MAX_LINE_BYTES`. */
  note: z.string().nullable(),
})
export type Progress = z.infer<typeof Progress>

/** The fields that a `status` event may change; each is assigned as it stands. */
export const StatusChange = z
  .object({
    status: JobStatus,
    progress: Progress.nullable(),
    result: z.json(),
    error: z.string().nullable(),
    errorCode: z.enum(JOB_ERROR_CODES).nullable(),
    attempt: z.int().min(1),
    stalls: z.int().min(0),
    createdAt: Timestamp,
    scheduledFor: Timestamp.nullable(),
    startedAt: Timestamp.nullable(),
    completedAt: Timestamp.nullable(),
    expiresAt: Timestamp.nullable(),
    cancelRequested: z.boolean(),
  })
  .partial()
export type StatusChange = z.infer<typeof StatusChange>

export const LogLevel = z.enum(LOG_LEVELS)
export type LogLevel = z.infer<typeof LogLevel>

export const LogLine = z.object({ level: LogLevel, line: z.string() })
export type LogLine = z.infer<typeof LogLine>

const position = { seq: z.int().min(1), at: Timestamp }

/** An immutable record of one change to a job. */
export const JobEvent = z.discriminatedUnion('kind', [
  z.object({ ...position, kind: z.literal('status'), data: StatusChange }),
  z.object({ ...position, kind: z.literal('progress'), data: Progress }),
  z.object({ ...position, kind: z.literal('log'), data: LogLine }),
  z.object({ ...position, kind: z.literal('chunk'), data: z.json() }),
])
export type JobEvent = z.infer<typeof JobEvent>
