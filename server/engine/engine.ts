import type { StatusCounts } from '../../shared/api.ts'
import type { JobErrorCode } from '../../shared/codes.ts'
import type { Cursor } from '../../shared/cursor.ts'
import type { JobEvent, LogLine } from '../../shared/event.ts'
import type { Job, Progress } from '../../shared/job.ts'
import type { Backoff, Labels, RunPolicy } from '../../shared/options.ts'
import type { SnapshotReason } from '../../shared/protocol.ts'
import type { JobStatus } from '../../shared/status.ts'

/**
 * Everything that a store must do, as one small set of verbs. A transition and its event are one atomic write:
 * whatever changes a job also gives the event its `seq`, keeps it for replay and hands it to the feed.
 *
 * All times come from the store's clock. Every call settles within two seconds of being made (bar `start`, which
 * gives a store a few seconds to come up, and a `claim` that waits, which has its own time before) and rejects with
 * `Unavailable` when the store is away and nothing was changed, or with `OutcomeUnknown` when a change was sent and
 * its answer was lost.
 *
 * What is retained for replay, a job: the newest 1,000 `status` events; of `log` and `chunk` together the newest
 * 1,000 and at most 4 MiB of `data`; of `progress` only the latest since the last claim or retry by hand.
 */
export interface Engine {
  readonly kind: 'sqlite' | 'redis'
  readonly feed: Feed

  /** Opens the store. Rejects with `Unavailable`, in one line that says what to do, where it cannot be used. */
  start(): Promise<void>
  /** Tolerates being called twice, and before `start`. */
  stop(): Promise<void>
  /**
   * Resolves when the store takes writes at this moment, to what is at risk with it all the same, each a sentence for
   * whoever runs it; rejects with `Unavailable` and the reason.
   */
  check(): Promise<readonly string[]>

  /**
   * Stores jobs, all or none, in order. Throws `IdempotencyMismatch` where the key was used with another body,
   * `Unavailable` or `OutcomeUnknown` (with the ids that may exist) where the store is away.
   */
  submit(request: SubmitRequest): Promise<SubmitReceipt>
  /** Null for what is unknown, expired, or not shaped like a job id at all. */
  get(jobId: string): Promise<Job | null>
  /** Newest first. Throws `BadPage` for a `page` or `since` that no list returned. */
  list(query: ListQuery): Promise<JobPage>

  /**
   * Takes up to `limit` jobs, highest priority first within a type, types taking turns. The same `claimId` within
   * a lease's time returns the same jobs under the same leases (as long as these are held), so that a claim
   * whose answer was lost can be made again. With a `limit` of 0 it only answers what that claim got before.
   *
   * With `waitMs` it waits where there is nothing to be had, and resolves as soon as it has a job: one that was handed over
   * the moment that it was stored, or those that it finds when it is woken. It resolves to none where these went to
   * others, after `waitMs`, and soon after `signal` fires; what it gets after that is given back, unspent. It rejects with
   * `OutcomeUnknown` where a job may have been handed over that it could not find out about: then the claim must be made again.
   *
   * A claim under the same `claimId`, also one that comes with a settlement, takes the place of one that waits: that resolves
   * to none, and what it got comes with the answer to the other.
   */
  claim(request: ClaimRequest & Partial<Wait>): Promise<Claim[]>
  /** Prolongs leases, counted from now. One verdict each, in order. */
  extend(request: { leases: readonly LeaseRef[]; leaseMs: number }): Promise<ExtendVerdict[]>
  /** Appends progress, log lines and chunks of runs. One verdict each, in order; `stale` stored nothing. */
  report(reports: readonly Report[]): Promise<('ok' | 'stale')[]>
  /**
   * Ends runs and, in the same atomic call, claims the next jobs. The verdict is the status that the job took;
   * `stale` where the lease is no longer held (nothing changed). Sent again for a run that this very lease
   * already settled, it answers the same and stores nothing more. Where a cancel was requested, every
   * outcome but `completed` becomes `cancelled`.
   */
  settle(request: SettleRequest): Promise<{ verdicts: SettleVerdict[]; claims: Claim[] }>

  /** A scheduled or queued job is cancelled at once; of a running one the cancel is requested (idempotent). */
  cancel(jobId: string): Promise<Change<'not_found' | 'already_finished'>>
  /** Back to the end of its queue, as if new: see PROTOCOL, section Status. */
  retry(jobId: string): Promise<Change<'not_found' | 'not_retryable'>>
  /** Forgets a terminal job with everything that belongs to it. */
  remove(jobId: string): Promise<'removed' | 'not_found' | 'not_finished'>

  /** Moves scheduled jobs whose time has come to the end of their queues; says when the next one is due. */
  promote(request: { limit: number }): Promise<{ promoted: number; nextInMs: number | null }>
  /** Takes jobs back whose lease has run out: queued again at their old place, or failed, or cancelled. */
  rescue(request: { limit: number }): Promise<{ rescued: number }>
  /** Forgets terminal jobs past their `expiresAt`, and idempotency records past their 24 hours. */
  prune(request: { limit: number }): Promise<{ pruned: number }>

  /** When there will be something to promote, to rescue and to prune, as far as is known now. */
  upcoming(): Promise<Upcoming>
  /**
   * Calls back soon after a job was scheduled that may be due before all others, and possibly not at all: whoever promotes
   * looks from time to time.
   */
  onScheduled(listener: (scheduled: Scheduled) => void): Unsubscribe

  /** Every type that was ever registered, submitted to, or paused. */
  types(): Promise<TypeState[]>
  /** Whether any job is queued, of whatever type: a cheap question, however many types there are. */
  hasQueued(): Promise<boolean>
  /** Makes job types known to every process that shares this store. */
  registerTypes(types: readonly TypeRegistration[]): Promise<void>
  /** A paused type takes submissions and is not claimed. Unknown types may be paused. */
  pause(type: string): Promise<void>
  resume(type: string): Promise<void>

  /** Says that a process is alive, for `ttlMs`; the same id again replaces what it said before. */
  announce(presence: Presence & { ttlMs: number }): Promise<void>
  withdraw(id: string): Promise<void>
  presences(): Promise<Presence[]>

  /** Calls back within well under a second when a cancel is requested for a job that this worker runs. */
  onCancel(workerId: string, listener: (lease: LeaseRef) => void): Promise<Unsubscribe>
  /** The value under this name, shared by all processes; stores `candidate` where there is none yet. */
  secret(name: string, candidate: string): Promise<string>
}

export type Unsubscribe = () => void
export type Json = Job['payload']

/** A job to store: checked by the caller. A label that is left out says nothing. */
export interface NewJob extends Partial<Labels> {
  readonly type: string
  readonly payload: Json
  readonly policy: RunPolicy
  /** From now, or at a time (ms since the epoch); 0 or a time past: at once. */
  readonly when: { readonly delayMs: number } | { readonly runAt: number }
}

export interface SubmitRequest {
  readonly jobs: readonly NewJob[]
  readonly idempotency?: {
    /** Whose key it is: the name of the API key, or empty. */
    readonly scope: string
    readonly key: string
    /** Digest of the body as sent; another one under the same key is a mismatch. */
    readonly bodyHash: string
  }
}

export interface SubmittedJob {
  readonly jobId: string
  readonly type: string
  readonly status: JobStatus
  /** ISO 8601. */
  readonly createdAt: string
  readonly cursor: string
}

export interface SubmitReceipt {
  readonly jobs: SubmittedJob[]
  /** True where an idempotency key brought back the first answer. */
  readonly replayed: boolean
}

export interface ListQuery {
  /** Any of them; empty: all. */
  readonly types: readonly string[]
  readonly statuses: readonly JobStatus[]
  /** All of them. */
  readonly tags: readonly string[]
  readonly limit: number
  readonly page: string | null
  /** The `newest` of an earlier list: only what was submitted after it. */
  readonly since?: string | null
  /** False: payloads and results are not read, and are null. */
  readonly withBodies?: boolean
}

/** A page may hold fewer than `limit` jobs and still not be the last one. */
export interface JobPage {
  readonly jobs: Job[]
  readonly nextPage: string | null
  /** Names the job that was submitted last, whether it matches or not; null where there is none. */
  readonly newest: string | null
}

export interface ClaimRequest {
  /** Names this claim, so that it can be sent again: unique, at most 64 characters. */
  readonly claimId: string
  readonly workerId: string
  /** Jobs in all, at most `MAX_CALL_JOBS`. */
  readonly limit: number
  /** Free slots a type; types with none are left out. */
  readonly types: readonly { readonly type: string; readonly limit: number }[]
  readonly leaseMs: number
}

/** Jobs that one call claims, settles, extends, promotes, rescues or prunes at most. */
export const MAX_CALL_JOBS = 200

export interface LeaseRef {
  readonly jobId: string
  /** Proof of ownership of one run; random, and refused once the run was settled or taken back. */
  readonly lease: string
}

export interface Claim extends LeaseRef, Labels {
  readonly type: string
  readonly payload: Json
  readonly attempt: number
  readonly stalls: number
  readonly policy: RunPolicy
  /** From submission to this claim, ms; null where it was scheduled, retried or stalled before. */
  readonly waitMs: number | null
  /**
   * On `performance.now()`: from when its lease counts, which is no later than it began: when it was asked for, or, of a job
   * that was handed over, when it was last known not to have been.
   */
  readonly leasedAt: number
}

/** How a claim waits for work. */
export interface Wait {
  readonly waitMs: number
  /** Ends the wait: nothing more is wanted. */
  readonly signal: AbortSignal
}

export type ExtendVerdict = 'held' | 'cancel_requested' | 'stale'

export type RunEvent = {
  /**
   * Rises within a run, from 1. The store skips what it already has of the run, so that events whose answer was lost
   * can be sent again; without a number they are always stored.
   */
  readonly n?: number
} & (
  | { readonly kind: 'progress'; readonly data: Progress }
  | { readonly kind: 'log'; readonly data: LogLine }
  | { readonly kind: 'chunk'; readonly data: Json }
)

export interface Report extends LeaseRef {
  readonly events: readonly RunEvent[]
}

/** JSON as its text: what is only passed on is neither copied nor written anew. */
export class JsonText {
  readonly text: string
  /** In UTF-8. */
  readonly bytes: number
  /** Nothing else has it, whatever it says of itself. */
  readonly #mark = true

  constructor(text: string, bytes = Buffer.byteLength(text)) {
    this.text = text
    this.bytes = bytes
  }

  /** Looks at nothing of what may be anybody's. */
  static is(value: unknown): value is JsonText {
    return typeof value === 'object' && value !== null && #mark in value
  }
}

export function textOf(json: Json | JsonText): string {
  return JsonText.is(json) ? json.text : JSON.stringify(json)
}

/** How a run ended; all that an engine ever learns of it. */
export type Outcome =
  | { readonly kind: 'completed'; readonly result: Json | JsonText }
  /** No further attempt. */
  | { readonly kind: 'failed'; readonly error: string; readonly errorCode: JobErrorCode }
  /** Another attempt, `attempt` + 1, after `delayMs`. */
  | {
      readonly kind: 'retry'
      readonly error: string
      readonly errorCode: JobErrorCode
      readonly delayMs: number
    }
  /** Put off: the same attempt, and no failure, after `delayMs`. */
  | { readonly kind: 'later'; readonly delayMs: number }
  | { readonly kind: 'cancelled' }
  /** Given back by a stopping worker: queued at its old place, nothing counted. */
  | { readonly kind: 'released' }

export interface Settlement extends LeaseRef {
  readonly outcome: Outcome
  /** Reports not sent yet; stored before the outcome. */
  readonly events: readonly RunEvent[]
}

export interface SettleRequest {
  readonly settlements: readonly Settlement[]
  readonly next?: ClaimRequest
}

export type SettleVerdict = JobStatus | 'stale'

export type Change<Refusal extends string> =
  | { readonly ok: true; readonly job: Job }
  | { readonly ok: false; readonly reason: Refusal }

/** In how many ms from now; 0: overdue; null: nothing is under way. */
export interface Upcoming {
  readonly promoteInMs: number | null
  /** Unless the lease is extended. */
  readonly rescueInMs: number | null
  readonly pruneInMs: number | null
}

export interface Scheduled {
  /** In how many ms from now it is due. */
  readonly inMs: number
  /** Whether it was this very engine that stored it. */
  readonly isOwn: boolean
}

export type JsonSchema = Record<string, Json>

export interface TypeRegistration {
  readonly type: string
  readonly policy: RunPolicy
  /** What is refused by it is refused by the type's own schema; null where any JSON goes, or the schema cannot be told. */
  readonly payloadSchema: JsonSchema | null
  /**
   * Of what handlers return. Left out by an older version, which made the other one for people to read: it may refuse what
   * the type accepts.
   */
  readonly resultSchema?: JsonSchema | null
}

export interface TypeState {
  readonly type: string
  readonly counts: StatusCounts
  readonly paused: boolean
  /** Null for a type that was used and never registered. */
  readonly registration: TypeRegistration | null
  /** It was registered, and that was so long ago that it counts no more. */
  readonly isOutdated?: true
}

export interface Presence {
  readonly id: string
  readonly role: 'worker' | 'gateway'
  /** What the process tells about itself: JSON. */
  readonly info: Json
}

/** Retained events and live ones: all that the gateway sees of an engine. */
export interface Feed {
  /** Names the store's history as this process knows it now. */
  readonly epoch: string
  /**
   * Calls back with everything that happens to the job from the moment the promise resolves: each message once,
   * mostly in order, and possibly not at all. Whoever watches repairs a gap of `seq` by reading.
   * Rejects with `Unavailable`.
   */
  watch(jobId: string, listener: (message: FeedMessage) => void): Promise<Unsubscribe>
  /** One result each, in order; null where there is no such job. Each is read atomically. */
  read(requests: readonly ReadRequest[]): Promise<(ReadResult | null)[]>
  /** Where jobs stand, cheaply; null where there is no such job. */
  positions(jobIds: readonly string[]): Promise<(Position | null)[]>
  /** Where queued jobs stand in line, cheaply. Rejects with `Unavailable`. */
  places(jobs: readonly PlaceQuestion[]): Promise<PlaceAnswers>
  /** Calls back when messages may have been lost or history changed: everything watched must be read again. */
  onReset(listener: () => void): Unsubscribe
  /** As `Engine.list`. */
  list(query: ListQuery): Promise<JobPage>
  /**
   * Calls back soon after jobs were stored from when the promise resolves on, once for those of a call or of several, and
   * possibly not at all: whoever keeps a list looks at it from time to time. Rejects with `Unavailable`.
   */
  onSubmitted(listener: (submitted: Submitted) => void): Promise<Unsubscribe>
}

/** What jobs that were stored have among them; which of them has what is not told. */
export interface Submitted {
  readonly types: readonly string[]
  /** Null: too many to tell. */
  readonly tags: readonly string[] | null
}

export type FeedMessage =
  | { readonly kind: 'event'; readonly event: JobEvent }
  /** The event of this seq, of about so many bytes, is too large to send: read it. */
  | { readonly kind: 'advance'; readonly seq: number; readonly bytes: number }
  | { readonly kind: 'gone'; readonly reason: 'removed' | 'expired' }

export interface ReadRequest {
  readonly jobId: string
  /** The last event applied; null: from a snapshot. */
  readonly after: Cursor | null
  /** With a snapshot, the retained events up to it as well. */
  readonly history: boolean
  /** With a resume, the job after the last event as well (a snapshot always has it). */
  readonly withJob: boolean
}

export interface Position extends Cursor {
  readonly status: JobStatus
}

export interface PlaceQuestion {
  readonly jobId: string
  /** The job's type, where an earlier answer told it: it spares the store a look. Null: not known. */
  readonly type: string | null
}

export interface PlaceAnswers {
  /** The store's clock, ms since the epoch. */
  readonly now: number
  /** One each, in order; null where the job is not queued, or there is no such job. */
  readonly places: (Place | null)[]
}

export interface Place {
  readonly type: string
  /** 1 is next; null is further back than `MAX_PLACE`. */
  readonly place: number | null
  /** Nothing of its type is claimed at present. */
  readonly paused: boolean
}

export type ReadResult = Position &
  (
    | {
        readonly mode: 'snapshot'
        readonly reason: SnapshotReason
        readonly job: Job
        /** The highest seq that is no longer retained (merged progress apart), 0 if none. */
        readonly trimmed: number
        /** Empty where history was not asked for. */
        readonly events: JobEvent[]
      }
    | { readonly mode: 'resume'; readonly job: Job | null; readonly events: JobEvent[] }
  )

/** Delay before the attempt after `attempt`, in ms: exponential doubles from `delayMs` up to `maxMs`. */
export function backoffDelay(attempt: number, policy: Backoff, random: () => number): number {
  const grown = policy.kind === 'fixed' ? policy.delayMs : policy.delayMs * 2 ** (attempt - 1)
  const capped = Math.min(grown, policy.maxMs)
  return Math.round(capped * (1 - policy.jitter * random()))
}
