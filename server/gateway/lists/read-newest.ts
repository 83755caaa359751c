import { type JobSummary, summaryOf } from '../../../shared/job.ts'
import type { JobPage, ListQuery } from '../../engine/engine.ts'
import type { NewestFilter } from './filter.ts'

/** Where some are known already, few are asked for at first. */
const FIRST_PAGE = 4
const GROWTH = 4

/**
 * The newest jobs that match, down to the first that is known (exclusive), at most as many as the filter wants. A call of the store looks at
 * many and returns a few where few match: it is asked again for so many ms, so that this may be fewer than there are.
 * Rejects with `Unavailable`.
 */
export async function readNewest(
  list: (query: ListQuery) => Promise<JobPage>,
  { types, tags, limit }: NewestFilter,
  { isKnown, withinMs }: { isKnown: ((jobId: string) => boolean) | null; withinMs: number },
): Promise<JobSummary[]> {
  const until = performance.now() + withinMs
  const found: JobSummary[] = []
  let size = isKnown === null ? limit : FIRST_PAGE
  let page: string | null = null
  do {
    const query = { types, statuses: [], tags, limit: Math.min(size, limit - found.length), page }
    const answer = await list(query)
    for (const job of answer.jobs) {
      if (isKnown?.(job.jobId)) return found
      found.push(summaryOf(job))
    }
    page = answer.nextPage
    size *= GROWTH
  } while (page !== null && found.length < limit && performance.now() < until)
  return found
}
