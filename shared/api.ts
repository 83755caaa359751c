import { z } from 'zod'
import { PROBLEMS, type ProblemCode } from './codes.ts'
import { JobEvent } from './event.ts'
import { Job, JobStatus, JobSummary, QueuePlace, Timestamp } from './job.ts'
import { MAX_BATCH } from './limits.ts'
import { SubmitOptions } from './options.ts'
import { SnapshotReason, Trimmed } from './protocol.ts'

/** Name of a job type; every type is its own queue. */
export const TypeName = z.string().regex(/^[a-z][a-z0-9._-]{0,63}$/, {
  error: 'must match [a-z][a-z0-9._-]{0,63}',
})

export const SubmitBody = z.strictObject({
  type: TypeName,
  payload: z.json(),
  options: SubmitOptions.optional(),
})
export type SubmitBody = z.infer<typeof SubmitBody>

/** Of the classic submit-and-poll pattern: the type may be left to the server. */
export const ClassicSubmitBody = SubmitBody.partial({ type: true })

export const BatchBody = z.strictObject({ jobs: z.array(SubmitBody).min(1).max(MAX_BATCH) })

/** Answer to a submission: 202. */
export const SubmitAnswer = z.object({
  jobId: z.string(),
  status: JobStatus,
  type: z.string(),
  createdAt: Timestamp,
  cursor: z.string(),
  /** Job token, where authorization is on. */
  token: z.string().optional(),
  /** Paths, as they are reached from where the caller is: with what a base path or a proxy puts before them. */
  links: z.object({ self: z.string(), events: z.string(), cancel: z.string(), socket: z.string() }),
})
export type SubmitAnswer = z.infer<typeof SubmitAnswer>

export const BatchAnswer = z.object({ jobs: z.array(SubmitAnswer) })
export type BatchAnswer = z.infer<typeof BatchAnswer>

/** Of a queued job only; null where its place could not be had. */
const queue = QueuePlace.nullable().optional()

/** Answer to a long-poll: the job's own fields, flat, and what happened after the cursor. */
export const PollAnswer = z.discriminatedUnion('mode', [
  Job.extend({
    mode: z.literal('snapshot'),
    reason: SnapshotReason,
    trimmed: Trimmed.optional(),
    events: z.array(JobEvent),
    queue,
  }),
  Job.extend({ mode: z.literal('resume'), events: z.array(JobEvent), queue }),
])
export type PollAnswer = z.infer<typeof PollAnswer>

export const ListAnswer = z.object({
  jobs: z.array(z.union([Job, JobSummary])),
  /** Opaque; pass it as `page`. Null on the last page. */
  nextPage: z.string().nullable(),
})
export type ListAnswer = z.infer<typeof ListAnswer>

export const StatusCounts = z.record(JobStatus, z.int().min(0))
export type StatusCounts = z.infer<typeof StatusCounts>

export const TypeInfo = z.object({
  type: z.string(),
  counts: StatusCounts,
  paused: z.boolean(),
  /** Jobs of this type that all live workers together may run at once. */
  concurrency: z.int(),
  /** Live worker processes that run this type. */
  workers: z.int(),
  /** JSON Schema (draft 2020-12) of the payload as it is submitted, or null where any JSON goes, or the schema does not tell. */
  payloadSchema: z.record(z.string(), z.json()).nullable(),
  /** The same of the result. */
  resultSchema: z.record(z.string(), z.json()).nullable(),
})
export type TypeInfo = z.infer<typeof TypeInfo>

export const TypesAnswer = z.object({ types: z.array(TypeInfo) })
export type TypesAnswer = z.infer<typeof TypesAnswer>

/** Durations in ms over recent runs; null before the first. */
export const Latency = z.object({ p50: z.number(), p99: z.number() }).nullable()
export type Latency = z.infer<typeof Latency>

export const WorkerInfo = z.object({
  id: z.string(),
  host: z.string(),
  pid: z.int(),
  startedAt: Timestamp,
  types: z.array(z.string()),
  concurrency: z.int(),
  running: z.int(),
  /** Settled runs a second, over the last minute. */
  ratePerSecond: z.number(),
  /** From queued to claimed. */
  waitMs: Latency,
  /** From claimed to settled. */
  runMs: Latency,
})
export type WorkerInfo = z.infer<typeof WorkerInfo>

export const GatewayInfo = z.object({
  id: z.string(),
  host: z.string(),
  pid: z.int(),
  startedAt: Timestamp,
  sockets: z.int(),
  streams: z.int(),
  polls: z.int(),
  subscriptions: z.int(),
  /** Events delivered a second, over the last minute. */
  ratePerSecond: z.number(),
})
export type GatewayInfo = z.infer<typeof GatewayInfo>

export const OverviewAnswer = z.object({
  engine: z.enum(['sqlite', 'redis']),
  version: z.string(),
  counts: StatusCounts,
  workers: z.array(WorkerInfo),
  gateways: z.array(GatewayInfo),
})
export type OverviewAnswer = z.infer<typeof OverviewAnswer>

export const TokenAnswer = z.object({ token: z.string() })

const problemCodes = Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]

/** RFC 9457 problem details. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.enum(problemCodes),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  /** With `outcome_unknown`: the job that may have been stored. */
  jobId: z.string().optional(),
  jobIds: z.array(z.string()).optional(),
})
export type Problem = z.infer<typeof Problem>
