import { z } from 'zod'
import { LOG_LEVELS } from './codes.ts'
import { Progress, StatusChange, Timestamp } from './job.ts'

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
