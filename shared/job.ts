import { z } from 'zod'
import { JOB_ERROR_CODES } from './codes.ts'
import { LABELS, POLICY } from './options.ts'
import { JOB_STATUSES } from './status.ts'
import { type Marked, shapeOf, table, withMark, withoutMark } from './table.ts'

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

/**
 * Every field of a job: what is shown of one on every transport, what lists leave out, what events may change, what its
 * handler is told, OpenAPI and the reference in docs/protocol.md follow from it. CONTRIBUTING.md says how one is added.
 */
export const JOB = table({
  jobId: { schema: z.string(), from: 'store', inContext: true, about: 'a UUIDv7: ids sort by time' },
  type: { schema: z.string(), from: 'submission', inContext: true, about: 'selects the handler' },
  status: { schema: JobStatus, from: 'events', about: 'where it stands in its life' },
  payload: { schema: z.json(), from: 'submission', isLarge: true, about: 'as submitted' },
  progress: { schema: Progress.nullable(), from: 'events', about: 'the latest; null after every claim' },
  result: { schema: z.json(), from: 'events', isLarge: true, about: 'what the handler returned; else null' },
  error: { schema: z.string().nullable(), from: 'events', about: 'of the last failure; 8 KiB at most' },
  errorCode: { schema: z.enum(JOB_ERROR_CODES).nullable(), from: 'events', about: 'of the last failure' },
  attempt: { schema: z.int().min(1), from: 'events', inContext: true, about: 'counted from 1' },
  maxAttempts: { schema: POLICY.maxAttempts.schema, from: 'policy', about: POLICY.maxAttempts.about },
  stalls: {
    schema: z.int().min(0),
    from: 'events',
    about: 'runs that were cut short since their lease was lost',
  },
  priority: { schema: POLICY.priority.schema, from: 'policy', about: POLICY.priority.about },
  ...LABELS,
  createdAt: { schema: Timestamp, from: 'store', about: 'when it was submitted' },
  scheduledFor: { schema: Timestamp.nullable(), from: 'events', about: 'when a scheduled job is due' },
  startedAt: { schema: Timestamp.nullable(), from: 'events', about: 'when it was claimed last' },
  completedAt: { schema: Timestamp.nullable(), from: 'events', about: 'when it became terminal' },
  expiresAt: { schema: Timestamp.nullable(), from: 'events', about: 'when a terminal job will be forgotten' },
  cancelRequested: { schema: z.boolean(), from: 'events', about: 'whether somebody cancelled it' },
  cursor: { schema: z.string(), from: 'store', about: 'of its last event' },
})

/** The fields that handlers find in their `ctx`. */
export type ToldField = Marked<typeof JOB, { readonly inContext: true }>

/** A job as every transport shows it. */
export const Job = z.object(shapeOf(JOB))
export type Job = z.infer<typeof Job>

/** The fields that a `status` event may change; each is assigned as it stands. */
export const StatusChange = z.object(shapeOf(withMark(JOB, { from: 'events' }))).partial()
export type StatusChange = z.infer<typeof StatusChange>

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
export const JobSummary = z.object(shapeOf(withoutMark(JOB, { isLarge: true })))
export type JobSummary = z.infer<typeof JobSummary>

/** Names what is large once more, since this is made for every change in a list: to go through names takes longer. */
export function summaryOf({ payload: _payload, result: _result, ...rest }: Job): JobSummary {
  return rest
}
