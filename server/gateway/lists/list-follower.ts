import type { JobSummary } from '../../../shared/job.ts'
import type { SnapshotReason } from '../../../shared/protocol.ts'
import type { ListQuery, Unsubscribe } from '../../engine/engine.ts'
import { Unavailable } from '../../engine/errors.ts'
import type { Hub } from '../hub.ts'
import { FollowedJob, type FollowedJobOwner } from './followed-job.ts'
import { keyOf, type ListFilter, mayMatch, readNewest } from './list-filter.ts'
import { Throttle } from './throttle.ts'

/** All in ms. */
export interface ListTimes {
  /** The time between two looks for new jobs, and between two reports of changes. */
  readonly everyMs: number
  /** The time between two looks at the newest jobs where nothing was heard of new ones. */
  readonly healMs: number
}

/** Lists are told three times a second. */
const LIST_TIMES: ListTimes = { everyMs: 334, healMs: 10_000 }

/** A whole list; `missing` has the ids for which there is no job, null where none were asked for. */
export interface ListContent {
  readonly jobs: JobSummary[]
  readonly missing: readonly string[] | null
}

/** What has become of some jobs of a list. */
export interface ListChanges {
  readonly jobs: readonly JobSummary[]
  /** Ids of those that no longer belong to it. */
  readonly gone: readonly string[]
}

/** Whoever shows the list to one client. */
export interface ListReader {
  /** Hears that what it had is worth nothing any more: the whole list is to be shown anew. */
  replaced(reason: SnapshotReason): void
  changed(changes: ListChanges): void
  /** Hears of every sweep. */
  sweep(): void
}

/** How long the store is asked for jobs where few match: at first, and later. */
const FIRST_LOOK_MS = 200
const LATER_LOOK_MS = 100
/** Whole jobs that are read at a time. */
const READ_TOGETHER = 16

const CLOSED = 'the list is no longer followed'

type State =
  | { readonly is: 'new' }
  | { readonly is: 'opening'; readonly opened: Promise<void> }
  | { readonly is: 'following' }
  /** History changed, and the store could not be read since. */
  | { readonly is: 'away' }
  | { readonly is: 'closed' }

/**
 * The jobs of one filter, for all who watch it: a window of the newest that match, or a fixed set. Each is followed
 * through the hub, and what changes is told three times a second at most, merged to the latest of each job. Of new jobs
 * the feed tells, as long as no message is lost; a look at the newest from time to time makes up for that.
 *
 * Modes: `new`; `opening` (the list is read, at first or because history has changed); `following`; `away` (it could
 * not be read again, and soon will be); `closed`.
 */
export class ListFollower implements FollowedJobOwner {
  readonly readers = new Set<ListReader>()
  readonly #hub: Hub
  readonly #filter: ListFilter
  readonly #times: ListTimes
  readonly #throttle: Throttle
  readonly #jobs = new Map<string, FollowedJob>()
  /** What changed since it was last told, gone or not. */
  #changed = new Set<string>()
  /** The history that the jobs belong to. */
  #epoch = ''
  #look: 'none' | 'newest' | 'all' = 'none'
  /** The job up to which the newest were looked at. */
  #since: string | null = null
  #lookedAt = 0
  #state: State = { is: 'new' }
  #cleanups: Unsubscribe[] = []

  constructor(hub: Hub, filter: ListFilter, times: ListTimes) {
    this.#hub = hub
    this.#filter = filter
    this.#times = times
    this.#throttle = new Throttle(times.everyMs, () => this.#step())
  }

  /** Resolves once the list can be shown. Rejects with `Unavailable`. */
  async open(): Promise<void> {
    const { is } = this.#state
    if (is === 'closed') throw new Unavailable(CLOSED)
    if (is === 'new') this.#become({ is: 'opening', opened: this.#openFirst() })
    if (is === 'away') this.#become({ is: 'opening', opened: this.#openAgain() })
    if (this.#state.is === 'opening') await this.#state.opened
  }

  get isClosed(): boolean {
    return this.#state.is === 'closed'
  }

  /** Tolerates being called twice. */
  close(): void {
    this.#become({ is: 'closed' })
    this.#throttle.stop()
    this.#forgetJobs()
    for (const cleanup of this.#cleanups.splice(0)) cleanup()
  }

  /** The whole list as it is now. */
  show(): ListContent {
    const asked = this.#filter.kind === 'jobs' ? this.#filter.jobIds : null
    return {
      jobs: this.#summaries(),
      missing: asked?.filter((jobId) => !this.#jobs.has(jobId)) ?? null,
    }
  }

  /** What has become of some jobs. */
  changesOf(jobIds: ReadonlySet<string>): ListChanges {
    const jobs = this.#summaries().filter(({ jobId }) => jobIds.has(jobId))
    const there = new Set(jobs.map(({ jobId }) => jobId))
    return { jobs, gone: [...jobIds].filter((jobId) => !there.has(jobId)) }
  }

  changed(jobId: string): void {
    if (this.#state.is !== 'following') return
    this.#changed.add(jobId)
    this.#throttle.request()
  }

  gone(jobId: string): void {
    if (this.#state.is !== 'following') return
    const filter = this.#filter
    // An older job takes the place that it leaves.
    if (filter.kind === 'newest' && this.#jobs.size === filter.limit) this.#look = 'all'
    this.#jobs.delete(jobId)
    this.changed(jobId)
  }

  otherHistory(): void {
    if (this.#state.is === 'following') void this.#reopen()
  }

  async #openFirst(): Promise<void> {
    try {
      await this.#listen()
      await this.#readAll()
    } catch (error) {
      this.close()
      throw asUnavailable(this.#hub, error)
    }
  }

  async #openAgain(): Promise<void> {
    try {
      await this.#readAll()
    } catch (error) {
      this.#forgetJobs()
      this.#become({ is: 'away' })
      throw asUnavailable(this.#hub, error)
    }
    for (const reader of this.readers) reader.replaced('epoch')
  }

  /** Comes before the first read, so that nothing falls in between. */
  async #listen(): Promise<void> {
    const filter = this.#filter
    this.#cleanups.push(this.#hub.onReset(() => this.#reset()))
    this.#cleanups.push(this.#hub.onSweep((now) => this.#sweep(now)))
    if (filter.kind !== 'newest') return
    const off = await this.#hub.onSubmitted((submitted) => {
      if (mayMatch(filter, submitted)) this.#lookFor('newest')
    })
    if (this.isClosed) off()
    else this.#cleanups.push(off)
  }

  /** Reads until what was read is of one history. */
  async #readAll(): Promise<void> {
    do {
      this.#epoch = this.#hub.epoch
      this.#forgetJobs()
      if (this.#filter.kind === 'jobs') await this.#readJobs(this.#filter.jobIds)
      else await this.#readNewest()
      if (this.isClosed) throw new Unavailable(CLOSED)
    } while (this.#epoch !== this.#hub.epoch)
    this.#become({ is: 'following' })
    for (const job of this.#jobs.values()) this.#follow(job)
  }

  async #readJobs(jobIds: readonly string[]): Promise<void> {
    for (let from = 0; from < jobIds.length && !this.isClosed; from += READ_TOGETHER) {
      const some = jobIds.slice(from, from + READ_TOGETHER).map((jobId) => this.#add(jobId, null))
      await Promise.all(some.map((job) => job.start()))
    }
    for (const { jobId, summary } of [...this.#jobs.values()]) if (summary === null) this.#jobs.delete(jobId)
  }

  async #readNewest(): Promise<void> {
    for (const summary of await this.#listNewest('all', FIRST_LOOK_MS)) this.#add(summary.jobId, summary)
  }

  async #listNewest(look: 'newest' | 'all', withinMs: number): Promise<JobSummary[]> {
    if (this.#filter.kind !== 'newest') return []
    this.#lookedAt = performance.now()
    const since = look === 'all' ? null : this.#since
    const list = (query: ListQuery) => this.#hub.list(query)
    const { jobs, newest } = await readNewest(list, this.#filter, { since, withinMs })
    this.#since = newest
    return jobs
  }

  #reset(): void {
    if (this.#state.is !== 'following') return
    // Where history is the same, what was missed is found by the sessions, but for new jobs.
    if (this.#epoch !== this.#hub.epoch) void this.#reopen()
    else this.#lookFor('newest')
  }

  async #reopen(): Promise<void> {
    this.#become({ is: 'away' })
    this.#forgetJobs()
    // Where that fails, the next sweep tries again.
    await this.open().catch(() => undefined)
  }

  #sweep(now: number): void {
    for (const reader of this.readers) reader.sweep()
    if (this.#state.is === 'away') void this.#reopen()
    if (this.#state.is !== 'following') return
    for (const job of this.#jobs.values()) if (!job.isFollowed) this.#follow(job)
    if (now - this.#lookedAt >= this.#times.healMs) this.#lookFor('newest')
    else if (this.#look !== 'none') this.#throttle.request()
  }

  #lookFor(look: 'newest' | 'all'): void {
    if (this.#filter.kind !== 'newest') return
    if (this.#look !== 'all') this.#look = look
    this.#throttle.request()
  }

  /** As often as the throttle lets it: looks for new jobs where there may be some, and tells what has changed. */
  async #step(): Promise<void> {
    if (this.#state.is !== 'following') return
    const state = this.#state
    const look = this.#look
    this.#look = 'none'
    try {
      const listed = look === 'none' ? [] : await this.#listNewest(look, LATER_LOOK_MS)
      if (this.#state !== state) return
      this.#moveTo(listed)
    } catch (error) {
      asUnavailable(this.#hub, error)
      // The next sweep looks again.
      if (this.#look === 'none' || look === 'all') this.#look = look
    }
    if (this.#state === state) this.#tell()
  }

  /** Takes listed jobs in, and leaves out what is no longer among the newest. */
  #moveTo(listed: readonly JobSummary[]): void {
    if (this.#filter.kind !== 'newest') return
    const fresh = listed.filter(({ jobId }) => !this.#jobs.has(jobId))
    const newest = [...this.#summaries(), ...fresh].sort(newestFirst).slice(0, this.#filter.limit)
    const kept = new Set(newest.map(({ jobId }) => jobId))
    for (const [jobId, job] of this.#jobs) {
      if (kept.has(jobId)) continue
      job.close()
      this.#jobs.delete(jobId)
      this.#changed.add(jobId)
    }
    for (const summary of fresh) {
      if (!kept.has(summary.jobId)) continue
      this.#changed.add(summary.jobId)
      this.#follow(this.#add(summary.jobId, summary))
    }
  }

  #tell(): void {
    if (this.#changed.size === 0) return
    const changes = this.changesOf(this.#changed)
    this.#changed = new Set()
    for (const reader of this.readers) reader.changed(changes)
  }

  #add(jobId: string, summary: JobSummary | null): FollowedJob {
    const job = new FollowedJob(this.#hub, this, jobId, summary)
    this.#jobs.set(jobId, job)
    return job
  }

  /** Starts to follow a job, or does so at the next sweep where that fails. */
  #follow(job: FollowedJob): void {
    job.start().catch((error: unknown) => asUnavailable(this.#hub, error))
  }

  #summaries(): JobSummary[] {
    const all = [...this.#jobs.values()].flatMap(({ summary }) => summary ?? [])
    return this.#filter.kind === 'newest' ? all.sort(newestFirst) : all
  }

  #forgetJobs(): void {
    for (const job of this.#jobs.values()) job.close()
    this.#jobs.clear()
    this.#changed.clear()
    this.#look = 'none'
  }

  #become(state: State): void {
    if (this.#state.is !== 'closed') this.#state = state
  }
}

/** A reader's share of a follower. */
export interface Membership {
  readonly follower: ListFollower
  /** Tolerates being called twice. */
  readonly leave: Unsubscribe
}

/** The followers of all lists that are watched, by filter; each is there for as long as it has a reader. */
export class Lists {
  readonly #hub: Hub
  readonly #times: ListTimes
  readonly #followers = new Map<string, ListFollower>()

  constructor(hub: Hub, times: Partial<ListTimes> = {}) {
    this.#hub = hub
    this.#times = { ...LIST_TIMES, ...times }
  }

  /** Resolves once the list can be shown; the reader hears of what changes from then on. Rejects with `Unavailable`. */
  async join(filter: ListFilter, reader: ListReader): Promise<Membership> {
    const key = keyOf(filter)
    const follower = this.#followerOf(key, filter)
    const leave = () => {
      follower.readers.delete(reader)
      if (follower.readers.size > 0) return
      follower.close()
      if (this.#followers.get(key) === follower) this.#followers.delete(key)
    }
    follower.readers.add(reader)
    try {
      await follower.open()
    } catch (error) {
      leave()
      throw error
    }
    return { follower, leave }
  }

  #followerOf(key: string, filter: ListFilter): ListFollower {
    const known = this.#followers.get(key)
    if (known !== undefined && !known.isClosed) return known
    const follower = new ListFollower(this.#hub, filter, this.#times)
    this.#followers.set(key, follower)
    return follower
  }
}

/** Makes any failure one of the store, for whoever asked; what it really was is noted. */
function asUnavailable(hub: Hub, error: unknown): Unavailable {
  if (error instanceof Unavailable) return error
  hub.noteFailure('list', error)
  return new Unavailable('the store gave an answer that cannot be used')
}

/** Orders by the time of submission; of the same time, by id. */
function newestFirst(one: JobSummary, other: JobSummary): number {
  if (one.createdAt !== other.createdAt) return one.createdAt < other.createdAt ? 1 : -1
  return one.jobId < other.jobId ? 1 : -1
}
