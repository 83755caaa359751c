import type { ListAnswer } from '../../shared/api.ts'
import type { Job } from '../../shared/job.ts'
import { isTerminal } from '../../shared/status.ts'
import type { JobcastClient, JobsQuery } from '../client.ts'
import { JobcastError } from '../errors.ts'
import { Store } from '../store.ts'
import type { JobWatch } from '../watch.ts'
import { VisibleTimer } from './visible-timer.ts'

/** A job in a list; payload and result are there once it is watched, or with `full`. */
export type ListedJob = ListAnswer['jobs'][number]

export interface JobsState {
  /** Newest first. A job that no longer matches the query stays, as it is now, until the next refresh. */
  readonly jobs: readonly ListedJob[]
  /** Until the first answer, and while `loadMore` is under way. */
  readonly loading: boolean
  readonly error: JobcastError | null
  readonly nextPage: string | null
  readonly hasMore: boolean
}

interface Watched {
  readonly watch: JobWatch
  readonly leave: () => void
}

/** Jobs of one list that are watched beside each other: the newest unfinished ones. */
const WATCHED = 100

/**
 * A list of jobs, kept live while somebody listens: the first page is read again every `refreshMs` while the page is
 * visible, which finds new jobs, and unfinished ones are watched in between. Jobs that stay in the list keep their watch.
 */
export class JobsStore extends Store<JobsState> {
  readonly #client: JobcastClient
  readonly #query: JobsQuery
  readonly #timer: VisibleTimer
  readonly #watched = new Map<string, Watched>()
  /** The first page as last read, and the pages after it. */
  #first: readonly ListedJob[] = []
  #more: readonly ListedJob[] = []
  #nextPage: string | null = null
  #abort: AbortController | null = null

  constructor(client: JobcastClient, query: JobsQuery, refreshMs: number) {
    super({ jobs: [], loading: true, error: null, nextPage: null, hasMore: false })
    this.#client = client
    this.#query = query
    this.#timer = new VisibleTimer(refreshMs, () => {
      if (this.#abort === null) void this.refresh()
    })
  }

  /** Reads the first page again. Never rejects: what went wrong is in the state. */
  readonly refresh = (): Promise<void> =>
    this.#read(this.#query, (answer) => {
      this.#more = this.#overtaken(answer)
      if (this.#more.length === 0) this.#nextPage = answer.nextPage
      this.#first = answer.jobs
    })

  /** Appends the next page, if there is one. */
  readonly loadMore = async (): Promise<void> => {
    const page = this.#nextPage
    if (page === null) return
    this.set({ ...this.getSnapshot(), loading: true })
    await this.#read({ ...this.#query, page }, (answer) => {
      this.#more = [...this.#more, ...answer.jobs]
      this.#nextPage = answer.nextPage
    })
  }

  protected override activated(): void {
    this.#timer.start()
    void this.refresh()
  }

  protected override deactivated(): void {
    this.#timer.stop()
    this.#abort?.abort()
    this.#abort = null
    for (const jobId of [...this.#watched.keys()]) this.#unwatch(jobId)
  }

  async #read(query: JobsQuery, apply: (answer: ListAnswer) => void): Promise<void> {
    this.#abort?.abort()
    const abort = new AbortController()
    this.#abort = abort
    try {
      const answer = await this.#client.list(query, { signal: abort.signal })
      if (this.#abort !== abort) return
      this.#abort = null
      apply(answer)
      this.#watchUnfinished()
      this.#show(null)
    } catch (error) {
      if (this.#abort !== abort) return
      this.#abort = null
      this.#show(error instanceof JobcastError ? error : new JobcastError('network', String(error)))
    }
  }

  /** What was on the first page and is not any more, because newer jobs came, stays above the pages that follow. */
  #overtaken(answer: ListAnswer): readonly ListedJob[] {
    const paged = this.#more.length > 0
    const last = answer.jobs.at(-1)
    if (!paged || last === undefined || answer.nextPage === null) return []
    const known = new Set(answer.jobs.map(({ jobId }) => jobId))
    const older = [...this.#first, ...this.#more]
    return older.filter((job) => !known.has(job.jobId) && job.createdAt <= last.createdAt)
  }

  #watchUnfinished(): void {
    const unfinished = [...this.#first, ...this.#more].filter(({ status }) => !isTerminal(status))
    const wanted = new Set(unfinished.slice(0, WATCHED).map(({ jobId }) => jobId))
    for (const jobId of [...this.#watched.keys()]) if (!wanted.has(jobId)) this.#unwatch(jobId)
    for (const jobId of wanted) if (!this.#watched.has(jobId)) this.#watch(jobId)
  }

  #watch(jobId: string): void {
    const watch = this.#client.watch(jobId)
    this.#watched.set(jobId, { watch, leave: watch.subscribe(() => this.#show(this.getSnapshot().error)) })
  }

  #unwatch(jobId: string): void {
    const watched = this.#watched.get(jobId)
    this.#watched.delete(jobId)
    watched?.leave()
    watched?.watch.close()
  }

  #show(error: JobcastError | null): void {
    const seen = new Set<string>()
    const jobs = [...this.#first, ...this.#more]
      .filter(({ jobId }) => !seen.has(jobId) && seen.add(jobId))
      .map((listed) => newer(listed, this.#watched.get(listed.jobId)?.watch.getSnapshot().job ?? null))
    this.set({ jobs, loading: false, error, nextPage: this.#nextPage, hasMore: this.#nextPage !== null })
  }
}

/** The watched job, unless the list was read after a history change that the watch has yet to see. */
function newer(listed: ListedJob, watched: Job | null): ListedJob {
  return watched ?? listed
}
