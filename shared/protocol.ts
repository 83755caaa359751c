import { z } from 'zod'
import { FRAME_ERRORS, type FrameErrorCode, UNSUBSCRIBED_CODES, type UnsubscribedCode } from './codes.ts'
import { JobEvent } from './event.ts'
import { Job, JobStatus, JobSummary, QueuePlace } from './job.ts'
import { MAX_LIST, MAX_LIST_TAGS, MAX_LIST_TYPES } from './limits.ts'

/** The WebSocket subprotocol that the server accepts; none is required. */
export const SUBPROTOCOL = 'jobcast.v1'

const jobId = z.string().min(1)
const token = z.string().min(1).max(4096)
/** What the client calls a list of its own. */
const list = z.string().min(1).max(64)

function oneOrMany(one: z.ZodString, most: number) {
  return z.union([one, z.array(one).max(most)])
}

/** What a client may send. Unknown fields are an error. */
export const ClientFrame = z.discriminatedUnion('op', [
  z.strictObject({
    op: z.literal('subscribe'),
    jobId,
    /** The last cursor applied; empty or left out: none, start with a snapshot. */
    after: z.string().optional(),
    token: token.optional(),
    /** A snapshot then also carries the retained events up to its cursor. */
    history: z.boolean().optional(),
  }),
  z.strictObject({ op: z.literal('unsubscribe'), jobId }),
  z.strictObject({ op: z.literal('token'), jobId, token }),
  z
    .strictObject({
      op: z.literal('watch'),
      list,
      /** Any of them; left out or empty: all. */
      type: oneOrMany(z.string().min(1).max(64), MAX_LIST_TYPES).optional(),
      /** All of them. */
      tag: oneOrMany(z.string().min(1).max(64), MAX_LIST_TAGS).optional(),
      /** These jobs, instead of the newest ones that match. */
      jobIds: z.array(jobId).min(1).max(MAX_LIST).optional(),
      limit: z.int().min(1).max(MAX_LIST).optional(),
      /** An API key. */
      token: token.optional(),
    })
    .refine(({ jobIds, type, tag, limit }) => !jobIds || (type ?? tag ?? limit) === undefined, {
      path: ['jobIds'],
      error: 'cannot be combined with type, tag or limit',
    }),
  z.strictObject({ op: z.literal('unwatch'), list }),
  z.strictObject({ op: z.literal('ping') }),
  z.strictObject({ op: z.literal('pong') }),
])
export type ClientFrame = z.infer<typeof ClientFrame>

/** Why a subscriber gets a snapshot instead of the events after its cursor. */
export const SnapshotReason = z.enum(['new', 'epoch', 'trimmed', 'ahead'])
export type SnapshotReason = z.infer<typeof SnapshotReason>

/**
 * The highest seq of a `status`, `log` or `chunk` event that is no longer retained: of those after it none is missing.
 * Left out where all are retained.
 */
export const Trimmed = z.int().min(1)

const position = z.object({ cursor: z.string() })

/** The two ways in which a subscription starts: the whole job, or exactly what came after the cursor. */
export const Replay = z.discriminatedUnion('mode', [
  position.extend({
    mode: z.literal('snapshot'),
    reason: SnapshotReason,
    job: Job,
    trimmed: Trimmed.optional(),
    /** The retained events up to the cursor, where history was asked for; already folded into the job. */
    events: z.array(JobEvent).optional(),
  }),
  position.extend({ mode: z.literal('resume'), events: z.array(JobEvent) }),
])
export type Replay = z.infer<typeof Replay>

const frameErrors = Object.keys(FRAME_ERRORS) as [FrameErrorCode, ...FrameErrorCode[]]
const unsubscribedCodes = Object.keys(UNSUBSCRIBED_CODES) as [UnsubscribedCode, ...UnsubscribedCode[]]

const eventFrame = { op: z.literal('event'), jobId, prev: z.int().min(0) }

/** What the server sends. Clients ignore fields and `op`s that they do not know. */
export const ServerFrame = z.union([
  z.object({
    op: z.literal('hello'),
    protocol: z.literal(1),
    heartbeatMs: z.int(),
    maxSubscriptions: z.int(),
    maxFrameBytes: z.int(),
  }),
  z.object({ op: z.literal('subscribed'), jobId }).and(Replay),
  z.object(eventFrame).and(JobEvent),
  /** Of a queued job. It has no seq, and any of them may be missing: the latest counts. */
  QueuePlace.extend({ op: z.literal('place'), jobId }),
  z.object({ op: z.literal('end'), jobId, cursor: z.string(), status: JobStatus }),
  z.object({ op: z.literal('unsubscribed'), jobId, code: z.enum(unsubscribedCodes), retry: z.boolean() }),
  z.object({
    op: z.literal('list'),
    list,
    reason: SnapshotReason,
    /** Newest first, or in the order in which they were asked for. */
    jobs: z.array(JobSummary),
    /** Of the jobs asked for, those that there are not. */
    missing: z.array(jobId).optional(),
  }),
  z.object({ op: z.literal('changes'), list, jobs: z.array(JobSummary), gone: z.array(jobId) }),
  z.object({ op: z.literal('unwatched'), list, code: z.enum(unsubscribedCodes), retry: z.boolean() }),
  z.object({
    op: z.literal('error'),
    jobId: jobId.optional(),
    list: list.optional(),
    code: z.enum(frameErrors),
    message: z.string(),
    retry: z.boolean(),
  }),
  z.object({
    op: z.literal('ping'),
    /** The server cannot reach its store: what it told last may be old. Gone with the first ping after that. */
    unavailable: z.literal(true).optional(),
  }),
  z.object({ op: z.literal('pong') }),
  z.object({ op: z.literal('drain'), reconnectMs: z.tuple([z.int(), z.int()]) }),
])
export type ServerFrame = z.infer<typeof ServerFrame>
