import { expect } from 'vitest'
import { z } from 'zod'
import type { Engine, ReadResult } from '../../server/engine/engine.ts'
import { formatCursor, parseCursor } from '../../shared/cursor.ts'
import { JobEvent } from '../../shared/event.ts'
import { fold } from '../../shared/fold.ts'
import { Job } from '../../shared/job.ts'
import { isTerminal, type JobStatus, TRANSITIONS } from '../../shared/status.ts'

/** The transitions that were seen, as `from > to by verb`. */
export type Coverage = Set<string>

function transition(from: JobStatus | null, to: JobStatus, by: string): string {
  return `${from ?? 'none'} > ${to} by ${by}`
}

export const ALLOWED: ReadonlySet<string> = new Set(
  TRANSITIONS.map(({ from, to, by }) => transition(from, to, by)),
)

/** Jobs beyond these are not followed: a case with a thousand of them would become slow. */
const FOLLOWED_JOBS = 24
const WholeJob = z.strictObject(Job.shape)

/**
 * An engine that is held to its contract after every change. It remembers each job as it last was, and after each
 * verb reads what happened since: the events must be well formed and without a gap, their transitions those of the
 * table for that verb, and folding them into the job must give what the engine says the job is now.
 */
export function audited(engine: Engine, coverage: Coverage): Engine {
  const audit = new Audit(engine, coverage)
  return {
    kind: engine.kind,
    get feed() {
      return engine.feed
    },
    start: () => engine.start(),
    stop: () => engine.stop(),
    check: () => engine.check(),
    submit: (request) =>
      audit.around('submit', async () => {
        const receipt = await engine.submit(request)
        // A replayed answer may name jobs that are long gone.
        if (!receipt.replayed) for (const { jobId } of receipt.jobs) audit.follow(jobId)
        return receipt
      }),
    get: (jobId) => engine.get(jobId),
    list: (query) => engine.list(query),
    claim: (request) => audit.around('claim', () => engine.claim(request)),
    extend: (request) => audit.around('extend', () => engine.extend(request)),
    report: (reports) => audit.around('report', () => engine.report(reports)),
    settle: (request) =>
      audit.around(request.next === undefined ? 'settle' : 'settle claim', () => engine.settle(request)),
    cancel: (jobId) => audit.around('cancel', () => engine.cancel(jobId)),
    retry: (jobId) => audit.around('retry', () => engine.retry(jobId)),
    remove: (jobId) => audit.around('remove', () => engine.remove(jobId)),
    promote: (request) => audit.around('promote', () => engine.promote(request)),
    rescue: (request) => audit.around('rescue', () => engine.rescue(request)),
    prune: (request) => audit.around('prune', () => engine.prune(request)),
    upcoming: () => engine.upcoming(),
    onScheduled: (listener) => engine.onScheduled(listener),
    types: () => engine.types(),
    hasQueued: () => engine.hasQueued(),
    registerTypes: (types) => engine.registerTypes(types),
    pause: (type) => engine.pause(type),
    resume: (type) => engine.resume(type),
    announce: (presence) => engine.announce(presence),
    withdraw: (id) => engine.withdraw(id),
    presences: () => engine.presences(),
    onCancel: (workerId, listener) => engine.onCancel(workerId, listener),
    secret: (name, candidate) => engine.secret(name, candidate),
  }
}

class Audit {
  readonly #engine: Engine
  readonly #coverage: Coverage
  /** Job -> as it was last seen; null before its first look. */
  readonly #followed = new Map<string, Job | null>()
  /** Verbs that may explain what the next look finds: those under way and those since the last quiet look. */
  readonly #verbs = new Set<string>()
  #underWay = 0
  /** Looks happen one after the other, however many verbs run at once. */
  #looks: Promise<void> = Promise.resolve()

  constructor(engine: Engine, coverage: Coverage) {
    this.#engine = engine
    this.#coverage = coverage
  }

  follow(jobId: string): void {
    if (this.#followed.size < FOLLOWED_JOBS && !this.#followed.has(jobId)) this.#followed.set(jobId, null)
  }

  async around<T>(verbs: string, call: () => Promise<T>): Promise<T> {
    for (const verb of verbs.split(' ')) this.#verbs.add(verb)
    this.#underWay += 1
    try {
      const answer = await call()
      const look = this.#looks.then(() => this.#lookAtAll())
      this.#looks = look.catch(() => undefined)
      await look
      return answer
    } finally {
      this.#underWay -= 1
      if (this.#underWay === 0) this.#verbs.clear()
    }
  }

  async #lookAtAll(): Promise<void> {
    const jobs = [...this.#followed]
    const reads = await this.#engine.feed.read(
      jobs.map(([jobId, before]) => ({
        jobId,
        after: before === null ? null : parseCursor(before.cursor),
        history: before === null,
        withJob: true,
      })),
    )
    expect(reads).toHaveLength(jobs.length)
    for (const [index, [jobId, before]] of jobs.entries()) {
      const read = reads[index] ?? null
      if (read === null) await this.#expectForgotten(jobId, before)
      else this.#followed.set(jobId, await this.#look(jobId, before, read))
    }
  }

  async #look(jobId: string, before: Job | null, read: ReadResult): Promise<Job> {
    const { epoch, seq, status, events } = read
    const now = WholeJob.parse(read.job)
    expect({ jobId, status, cursor: formatCursor(epoch, seq) }).toEqual({
      jobId: now.jobId,
      status: now.status,
      cursor: now.cursor,
    })
    this.#checkEvents(events, before, seq)
    if (before !== null && read.mode === 'resume') {
      expect(events.reduce(fold, before), 'the events folded into the job before').toEqual(now)
    } else {
      const reason = read.mode === 'snapshot' ? read.reason : read.mode
      expect(reason).toBe(before === null ? 'new' : 'trimmed')
    }
    await this.#expectSameElsewhere(now)
    return now
  }

  #checkEvents(events: readonly JobEvent[], before: Job | null, top: number): void {
    let seq = before === null ? 0 : parseCursor(before.cursor).seq
    let status = before?.status ?? null
    // Only reports (also those that come with a settle) make progress, and only progress leaves holes.
    const mayMerge = this.#verbs.has('report') || this.#verbs.has('settle')
    for (const event of events) {
      expect(JobEvent.parse(event)).toEqual(event)
      if (mayMerge) expect(event.seq).toBeGreaterThan(seq)
      else expect(event.seq).toBe(seq + 1)
      seq = event.seq
      if (event.kind !== 'status' || event.data.status === undefined) continue
      this.#checkTransition(status, event.data.status)
      status = event.data.status
    }
    expect(seq).toBeLessThanOrEqual(top)
  }

  #checkTransition(from: JobStatus | null, to: JobStatus): void {
    const candidates = [...this.#verbs].map((verb) => transition(from, to, verb))
    const seen = candidates.filter((candidate) => ALLOWED.has(candidate))
    expect(seen, `${candidates.join(' or ')} is in the table`).not.toHaveLength(0)
    if (seen.length === 1) for (const one of seen) this.#coverage.add(one)
  }

  /** Every way to read a job says the same. A verb that runs meanwhile may have moved it on, and then is not compared. */
  async #expectSameElsewhere(now: Job): Promise<void> {
    const [got, [position], [snapshot]] = await Promise.all([
      this.#engine.get(now.jobId),
      this.#engine.feed.positions([now.jobId]),
      this.#engine.feed.read([{ jobId: now.jobId, after: null, history: false, withJob: true }]),
    ])
    if (this.#underWay > 1 || isExpired(now)) return
    expect(got, 'get, against the feed').toEqual(now)
    expect(position).toEqual({ ...parseCursor(now.cursor), status: now.status })
    expect(snapshot).toEqual({
      ...parseCursor(now.cursor),
      status: now.status,
      mode: 'snapshot',
      reason: 'new',
      job: now,
      trimmed: expect.toSatisfy((trimmed: number) => trimmed >= 0 && trimmed < parseCursor(now.cursor).seq),
      events: [],
    })
  }

  async #expectForgotten(jobId: string, before: Job | null): Promise<void> {
    const forgotten = this.#verbs.has('remove') || this.#verbs.has('prune')
    expect(forgotten || isExpired(before), `${jobId} is gone by remove or prune, or expired`).toBe(true)
    if (before !== null) expect(isTerminal(before.status)).toBe(true)
    expect(await this.#engine.get(jobId)).toBeNull()
    expect(await this.#engine.feed.positions([jobId])).toEqual([null])
    this.#followed.delete(jobId)
  }
}

/** A job past its time may be gone from one read to the next. */
function isExpired(job: Job | null): boolean {
  return job !== null && job.expiresAt !== null && Date.parse(job.expiresAt) <= Date.now()
}
