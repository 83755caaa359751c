import { type JobSummary, summaryOf } from '../../../shared/job.ts'
import type { JobPage, ListQuery } from '../../engine/engine.ts'
import type { NewestFilter } from './filter.ts'

export interface NewestJobs {
  readonly jobs: JobSummary[]
  /** Where to go on the next time: the `since` of what comes later. */
  readonly newest: string | null
}

/**
 * The newest jobs that match, of those submitted since an earlier look, at most as many as the filter wants. A call of the
 * store looks at many and returns a few where few match: it is asked again for so many ms, so that this may be fewer
 * than there are. Rejects with `Unavailable`.
 */
export async function readNewest(
  list: (query: ListQuery) => Promise<JobPage>,
  { types, tags, limit }: NewestFilter,
  { since, withinMs }: { since: string | null; withinMs: number },
): Promise<NewestJobs> {
  const until = performance.now() + withinMs
  const query = { types, statuses: [], tags, since, withBodies: false }
  const first = await list({ ...query, limit, page: null })
  const jobs = first.jobs.map(summaryOf)
  let page = first.nextPage
  while (page !== null && jobs.length < limit && performance.now() < until) {
    const more = await list({ ...query, limit: limit - jobs.length, page })
    jobs.push(...more.jobs.map(summaryOf))
    page = more.nextPage
  }
  return { jobs, newest: first.newest }
}
