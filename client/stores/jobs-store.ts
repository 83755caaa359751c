import type { ListAnswer } from '../../shared/api.ts'
import { parseCursor } from '../../shared/cursor.ts'
import { isTerminal } from '../../shared/status.ts'
import type { JobcastClient, JobsQuery } from '../client.ts'
import { JobcastError } from '../errors.ts'
import type { ListWatch } from '../list-watch.ts'
import { VisibleTimer } from '../page-life.ts'
import { type Readable, Store } from '../store.ts'
import type { JobWatch, WatchState } from '../watch.ts'

/** A job in a list; payload and result are there once it is watched, or with `full`. */
export type ListedJob = ListAnswer['jobs'][number]

export interface JobsState {
  /** Newest first. A job that no longer matches the query stays, as it is now, until the next refresh. */
  readonly jobs: readonly ListedJob[]
  /** True until the first answer, and while `loadMore` is under way. */
  readonly loading: boolean
  readonly error: JobcastError | null
  readonly nextPage: string | null
  readonly hasMore: boolean
}

/** A list of jobs, kept live while somebody listens. */
export interface JobsHandle extends Readable<JobsState> {
  /** Reads the list again, as much of it as one call gives. Never rejects: what went wrong is in the state. */
  refresh(): Promise<void>
  /** Appends the next page, if there is one. Never rejects. */
  loadMore(): Promise<void>
}

/**
 * Makes the store of a list. Where the server does not tell of new jobs, it is read again every `refreshMs` (default 3,000)
 * while the page is visible.
 */
export function createJobsStore(
  client: JobcastClient,
  query: JobsQuery = {},
  { refreshMs = 3000 }: { readonly refreshMs?: number } = {},
): JobsHandle {
  return new JobsStore(client, query, refreshMs)
}

interface Watched {
  readonly watch: JobWatch
  readonly leave: () => void
}

/** Jobs of one list that are watched beside each other: the newest unfinished ones. */
const WATCHED = 100
/** What one call lists by default and at most, and at most with payloads. */
const PAGE = 50
const MAX_PAGE = 200
const MAX_FULL_PAGE = 20

/**
 * A list of jobs, kept live while somebody listens. Where the server tells of the newest jobs over a WebSocket, only those
 * that run are watched beside it, for their progress. Where it does not, for whatever reason and however long, the list
 * is read again every `refreshMs` while the page is visible, which finds new jobs, and all unfinished ones are watched in
 * between, as are those of further pages at all times. Jobs that stay in the list keep their watch.
 */
export class JobsStore extends Store<JobsState> implements JobsHandle {
  readonly #client: JobcastClient
  readonly #query: JobsQuery
  readonly #timer: VisibleTimer
  readonly #watched = new Map<string, Watched>()
  /** The newest jobs, as the server tells of them. */
  #live: { readonly list: ListWatch; readonly leave: () => void } | null = null
  /** The list was read once: only then it is known whether there are further pages. */
  #wasRead = false
  /** Jobs have left the end of the list since it was read: the next page begins too late. */
  #pushedOut = false
  #listed: readonly ListedJob[] = []
  #nextPage: string | null = null
  #abort: AbortController | null = null

  constructor(client: JobcastClient, query: JobsQuery, refreshMs: number) {
    super({ jobs: [], loading: true, error: null, nextPage: null, hasMore: false })
    this.#client = client
    this.#query = query
    // A refresh that takes longer than the interval is not overtaken.
    this.#timer = new VisibleTimer(refreshMs, () => {
      if (this.#abort === null && !(this.#isLive() && this.#wasRead)) void this.refresh()
    })
  }

  readonly refresh = (): Promise<void> => {
    const most = this.#query.full === true ? MAX_FULL_PAGE : MAX_PAGE
    const page = this.#query.limit ?? Math.min(PAGE, most)
    const limit = Math.min(most, Math.max(page, this.#listed.length))
    return this.#read({ ...this.#query, limit }, (answer) => {
      this.#wasRead = true
      const beyond = this.#beyond(answer)
      this.#listed = [...answer.jobs, ...beyond]
      if (beyond.length > 0) return
      this.#nextPage = answer.nextPage
      this.#pushedOut = false
    })
  }

  readonly loadMore = async (): Promise<void> => {
    if (this.#pushedOut) await this.refresh()
    const page = this.#nextPage
    if (page === null) return
    this.set({ ...this.getSnapshot(), loading: true })
    await this.#read({ ...this.#query, page }, (answer) => {
      const known = new Set(this.#listed.map(({ jobId }) => jobId))
      this.#listed = [...this.#listed, ...answer.jobs.filter(({ jobId }) => !known.has(jobId))]
      this.#nextPage = answer.nextPage
    })
  }

  protected override activated(): void {
    this.#timer.start()
    void this.refresh()
    this.#follow()
  }

  protected override deactivated(): void {
    this.#timer.stop()
    this.#live?.leave()
    this.#live?.list.close()
    this.#live = null
    this.#abort?.abort()
    this.#abort = null
    for (const jobId of [...this.#watched.keys()]) this.#unwatch(jobId)
  }

  async #read(query: JobsQuery, apply: (answer: ListAnswer) => void): Promise<void> {
    this.#abort?.abort()
    const abort = new AbortController()
    this.#abort = abort
    let error: JobcastError | null = null
    try {
      const answer = await this.#client.list(query, { signal: abort.signal })
      if (this.#abort !== abort) return
      apply(answer)
      this.#watchUnfinished()
    } catch (thrown) {
      if (this.#abort !== abort) return
      error = thrown instanceof JobcastError ? thrown : new JobcastError('network', String(thrown))
    }
    this.#abort = null
    this.#show({ loading: false, error })
  }

  /** Pages that were loaded once, past what one call gives. */
  #beyond(answer: ListAnswer): readonly ListedJob[] {
    const last = answer.jobs.at(-1)
    if (last === undefined || answer.nextPage === null) return []
    const known = new Set(answer.jobs.map(({ jobId }) => jobId))
    const older = this.#listed.filter((job) => !known.has(job.jobId) && job.createdAt <= last.createdAt)
    return answer.jobs.length < this.#listed.length ? older : []
  }

  #follow(): void {
    const { type, tag, limit, status, page, full } = this.#query
    if (isFilter(status) || page !== undefined || full === true) return
    let list: ListWatch
    try {
      list = this.#client.watchList({
        ...(isFilter(type) && { type }),
        ...(isFilter(tag) && { tag }),
        ...(limit !== undefined && { limit }),
      })
    } catch {
      // The client is closed, or no list can be like this: reading the list tells as well.
      return
    }
    const leave = list.subscribe(() => this.#followed())
    this.#live = { list, leave }
    this.#followed()
  }

  #isLive(): boolean {
    return this.#live?.list.getSnapshot().phase === 'live'
  }

  /** Takes over what the server tells of the newest jobs; those of further pages stay behind them. */
  #followed(): void {
    const live = this.#live?.list.getSnapshot()
    const isUntold = live?.phase === 'refused' || live?.phase === 'unsupported'
    if (isUntold && live.error?.code !== 'closed') this.#watchUnfinished()
    // An interruption is mostly over before the list is read again, and what is unfinished watched with it.
    if (live?.phase !== 'live') return
    const known = new Set(live.jobs.map(({ jobId }) => jobId))
    const last = live.jobs.at(-1)
    const isFull = live.jobs.length >= (this.#query.limit ?? PAGE)
    const older = this.#listed.filter(
      ({ jobId, createdAt }) => !known.has(jobId) && last !== undefined && createdAt <= last.createdAt,
    )
    // While only the first page is shown, what newer jobs push out of it leaves.
    const beyond = isFull && this.#listed.length > live.jobs.length ? older : []
    if (isFull && older.length > beyond.length) this.#pushedOut = true
    this.#listed = [...live.jobs, ...beyond]
    this.#watchUnfinished()
    this.#show({ loading: false, error: null })
  }

  #watchUnfinished(): void {
    const live = this.#live?.list.getSnapshot()
    // The server is about to tell.
    if (live?.phase === 'connecting') return
    const told = live?.phase === 'live' ? live.jobs : []
    const isTold = new Set(told.map(({ jobId }) => jobId))
    const unfinished = this.#listed
      // The server does not tell the progress of those that run.
      .filter(({ jobId, status }) => (isTold.has(jobId) ? status === 'processing' : !isTerminal(status)))
      .slice(0, WATCHED)
    const wanted = new Set(unfinished.map(({ jobId }) => jobId))
    for (const jobId of [...this.#watched.keys()]) if (!wanted.has(jobId)) this.#unwatch(jobId)
    for (const listed of unfinished) {
      const state = this.#watched.get(listed.jobId)?.watch.getSnapshot()
      // A finished job that is listed as unfinished was retried, unless the list is merely older.
      if (state?.phase === 'ended' && current(listed, state) === listed) this.#unwatch(listed.jobId)
      if (!this.#watched.has(listed.jobId)) this.#watch(listed.jobId)
    }
  }

  #watch(jobId: string): void {
    const watch = this.#client.watch(jobId)
    let seen = watch.getSnapshot()
    const leave = watch.subscribe(() => {
      const before = seen
      seen = watch.getSnapshot()
      // The place in line changes more often than the job, and is nothing that a list has.
      if (seen.job !== before.job || seen.phase !== before.phase) this.#show(this.getSnapshot())
    })
    this.#watched.set(jobId, { watch, leave })
  }

  #unwatch(jobId: string): void {
    const watched = this.#watched.get(jobId)
    this.#watched.delete(jobId)
    watched?.leave()
    watched?.watch.close()
  }

  #show({ loading, error }: { loading: boolean; error: JobcastError | null }): void {
    const jobs = this.#listed.map((listed) => {
      const watched = this.#watched.get(listed.jobId)
      return watched === undefined ? listed : current(listed, watched.watch.getSnapshot())
    })
    const hasMore = this.#nextPage !== null || this.#pushedOut
    this.set({ jobs, loading, error, nextPage: this.#nextPage, hasMore })
  }
}

/** An empty filter is none, as in a form. */
function isFilter(filter: string | readonly string[] | undefined): filter is string | readonly string[] {
  return filter !== undefined && filter.length > 0
}

/** Whichever is newer; a watch that is cut off may know less than the list. */
function current(listed: ListedJob, { job, phase }: WatchState): ListedJob {
  if (job === null) return listed
  const [watched, read] = [parseCursor(job.cursor), parseCursor(listed.cursor)]
  const isWatchedNewer = watched.epoch === read.epoch ? watched.seq >= read.seq : phase === 'live'
  return isWatchedNewer ? job : listed
}
