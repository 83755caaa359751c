import type { PollAnswer } from '../../../shared/api.ts'
import * as CLOSE from '../../../shared/close-codes.ts'
import { type Cursor, parseCursor } from '../../../shared/cursor.ts'
import type { Job } from '../../../shared/job.ts'
import { isTerminal } from '../../../shared/status.ts'
import type { FeedMessage, Position, ReadResult } from '../../engine/engine.ts'
import { Unavailable } from '../../engine/errors.ts'
import { statusOf } from '../../engine/job/events.ts'
import { isJobId } from '../../engine/job/ids.ts'
import type { Hub } from '../hub.ts'
import { isNews, type Standing, toQueuePlace } from '../queue-places.ts'
import type { Watcher } from '../session.ts'

export interface PollRequest {
  readonly jobId: string
  /** The cursor as the caller sent it; null or empty: none. */
  readonly after: string | null
  /** How long to hold the answer while there is nothing to tell. */
  readonly waitMs: number
  readonly history: boolean
  /**
   * The place in line that the caller has of a queued job, 0 for none: another one is something to tell. Left out: it
   * is told none.
   */
  readonly place?: number | undefined
  /** When the caller's token expires, in ms since the epoch; null: never. The answer is not held beyond it. */
  readonly expiresAt?: number | null
  /** Fires when the caller is gone. */
  readonly signal?: AbortSignal
}

/**
 * Answers as soon as there is something after the cursor, at once for a snapshot, a terminal job, or in a draining
 * process, else after `waitMs`, or the longest that the hub holds an answer, with no events. Null where there is no such job.
 * Rejects with `Unavailable`.
 */
export async function longPoll(hub: Hub, request: PollRequest): Promise<PollAnswer | null> {
  const { jobId, after, history, place, signal } = request
  const untilExpiryMs = (request.expiresAt ?? Number.POSITIVE_INFINITY) - Date.now()
  const waitMs = Math.min(request.waitMs, hub.holdMs, untilExpiryMs)
  if (!isJobId(jobId)) return null
  const cursor = after === null || after === '' ? null : parseCursor(after)
  const read = () => hub.read({ jobId, after: cursor, history, withJob: true })
  if (waitMs <= 0 || hub.draining) return answerOf(hub, await read(), place)
  return heldPoll(hub, async () => {
    // A held poll keeps nothing of what it read: jobs may be large and polls many. So it reads again when it answers.
    const wakeup = new Wakeup(() => true)
    await hub.watch(jobId, wakeup)
    try {
      const first = await read()
      if (first === null || !isQuiet(first)) return answerOf(hub, first, place)
      const standing = place === undefined ? null : await standingOf(hub, first)
      if (standing !== null && isNews({ ...standing, place: place || null }, standing, 0)) {
        return answerOf(hub, first, place)
      }
      const unwatchPlace =
        standing === null ? () => {} : hub.places.watch(jobId, null, () => wakeup.interrupt(), standing)
      await hold(hub, wakeup, position(first), waitMs, signal).finally(unwatchPlace)
    } finally {
      hub.unwatch(jobId, wakeup)
    }
    return signal?.aborted ? null : answerOf(hub, await read(), place)
  })
}

/**
 * The job once it is terminal. Null when `waitMs`, or the longest that the hub holds an answer, is over first, when there is
 * no such job, and when the process drains or the store is away: whoever waits has the job's id and can ask again.
 */
export async function awaitTerminal(
  hub: Hub,
  jobId: string,
  waitMs: number,
  signal?: AbortSignal,
): Promise<Job | null> {
  const deadline = performance.now() + Math.min(waitMs, hub.holdMs)
  try {
    return await heldPoll(hub, async () => {
      const wakeup = new Wakeup(mayBeTerminal)
      await hub.watch(jobId, wakeup)
      try {
        return await terminalJob(hub, jobId, wakeup, deadline, signal)
      } finally {
        hub.unwatch(jobId, wakeup)
      }
    })
  } catch (error) {
    if (error instanceof Unavailable) return null
    throw error
  }
}

async function terminalJob(
  hub: Hub,
  jobId: string,
  wakeup: Wakeup,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<Job | null> {
  for (;;) {
    const at = await hub.position(jobId)
    if (at === null) return null
    if (isTerminal(at.status)) {
      const result = await hub.read({ jobId, after: null, history: false, withJob: true })
      return result?.job ?? null
    }
    const leftMs = deadline - performance.now()
    if (leftMs <= 0 || hub.draining || signal?.aborted) return null
    await hold(hub, wakeup, at, leftMs, signal)
  }
}

async function heldPoll<T>(hub: Hub, poll: () => Promise<T>): Promise<T> {
  hub.traffic.opened('poll')
  try {
    return await poll()
  } finally {
    hub.traffic.closed('poll', CLOSE.normal)
  }
}

/** Resolves when there is something after the position, after `waitMs`, at a drain, or when the caller is gone. */
function hold(
  hub: Hub,
  wakeup: Wakeup,
  at: Cursor,
  waitMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, waitMs)
    signal?.addEventListener('abort', done)
    const offDrain = hub.onDrain(done)
    wakeup.beyond(at, done)
    if (signal?.aborted) done()

    function done() {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      // A drain that has already begun calls back before there is anything to take off.
      queueMicrotask(() => offDrain())
      resolve()
    }
  })
}

/** Remembers how far the feed has come, and calls back once when that is beyond a position. */
class Wakeup implements Watcher {
  readonly #matters: (message: FeedMessage) => boolean
  #latest = 0
  #awaited: { readonly at: Cursor; readonly callback: () => void } | null = null

  constructor(matters: (message: FeedMessage) => boolean) {
    this.#matters = matters
  }

  beyond(at: Cursor, callback: () => void): void {
    this.#awaited = { at, callback }
    if (this.#latest > at.seq) this.#wake()
  }

  message(message: FeedMessage): void {
    if (!this.#matters(message)) return
    this.#latest = Math.max(this.#latest, seqOf(message))
    if (this.#awaited !== null && this.#latest > this.#awaited.at.seq) this.#wake()
  }

  lags(position: Position): boolean {
    const at = this.#awaited?.at
    return at !== undefined && (position.epoch !== at.epoch || position.seq > at.seq)
  }

  refresh(): void {
    this.#wake()
  }

  vanish(): void {
    this.#wake()
  }

  /** Something else than an event is to be told. */
  interrupt(): boolean {
    this.#wake()
    return true
  }

  #wake(): void {
    const awaited = this.#awaited
    this.#awaited = null
    awaited?.callback()
  }
}

function seqOf(message: FeedMessage): number {
  if (message.kind === 'gone') return Number.POSITIVE_INFINITY
  return message.kind === 'event' ? message.event.seq : message.seq
}

function mayBeTerminal(message: FeedMessage): boolean {
  if (message.kind !== 'event') return true
  const status = statusOf(message.event)
  return status !== undefined && isTerminal(status)
}

/** Whether there is nothing to tell yet. */
function isQuiet(result: ReadResult): boolean {
  return result.mode === 'resume' && result.events.length === 0 && !isTerminal(result.status)
}

function position({ epoch, seq }: ReadResult): Cursor {
  return { epoch, seq }
}

async function answerOf(
  hub: Hub,
  result: ReadResult | null,
  place: number | undefined,
): Promise<PollAnswer | null> {
  if (result === null) return null
  const answer = toAnswer(result)
  if (result.status !== 'queued' || place === undefined) return answer
  const standing = await standingOf(hub, result)
  return { ...answer, queue: standing && toQueuePlace(standing) }
}

/** Null where the job is not queued, or the store is away. */
async function standingOf(hub: Hub, { job, status }: ReadResult): Promise<Standing | null> {
  return job === null || status !== 'queued' ? null : hub.places.look(job.jobId, job.type)
}

/** Those who share a read share its answer too. */
const answers = new WeakMap<ReadResult, PollAnswer>()

function toAnswer(result: ReadResult): PollAnswer {
  const known = answers.get(result)
  if (known !== undefined) return known
  const answer = makeAnswer(result)
  answers.set(result, answer)
  return answer
}

function makeAnswer({ job, ...result }: ReadResult): PollAnswer {
  if (job === null) throw new Error('the feed left out the job that was asked for')
  return result.mode === 'resume'
    ? { ...job, mode: 'resume', events: result.events }
    : {
        ...job,
        mode: 'snapshot',
        reason: result.reason,
        ...(result.trimmed > 0 && { trimmed: result.trimmed }),
        events: result.events,
      }
}
