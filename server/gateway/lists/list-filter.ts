import { type JobSummary, summaryOf } from '../../../shared/job.ts'
import { DEFAULT_LIST } from '../../../shared/limits.ts'
import type { ClientFrame } from '../../../shared/protocol.ts'
import type { JobPage, ListQuery, Submitted } from '../../engine/engine.ts'

/** Which jobs a list has. */
export type ListFilter = NewestFilter | JobsFilter

/** The newest jobs of any of these types (none: of all) with all of these tags. */
export interface NewestFilter {
  readonly kind: 'newest'
  readonly types: readonly string[]
  readonly tags: readonly string[]
  readonly limit: number
}

/** These jobs, in this order. */
interface JobsFilter {
  readonly kind: 'jobs'
  readonly jobIds: readonly string[]
}

export function filterOf(frame: Extract<ClientFrame, { op: 'watch' }>): ListFilter {
  const { type, tag, jobIds, limit = DEFAULT_LIST } = frame
  if (jobIds !== undefined) return { kind: 'jobs', jobIds: [...new Set(jobIds)] }
  return { kind: 'newest', types: sorted(type), tags: sorted(tag), limit }
}

/** The most jobs that the list may have. */
export function sizeOf(filter: ListFilter): number {
  return filter.kind === 'jobs' ? filter.jobIds.length : filter.limit
}

/** Equal filters have equal keys. */
export function keyOf(filter: ListFilter): string {
  return JSON.stringify(filter)
}

/** Whether jobs that match may be among those that were submitted. */
export function mayMatch({ types, tags }: NewestFilter, submitted: Submitted): boolean {
  if (types.length > 0 && !types.some((type) => submitted.types.includes(type))) return false
  return submitted.tags === null || tags.every((tag) => submitted.tags?.includes(tag))
}

interface NewestJobs {
  readonly jobs: JobSummary[]
  /** The `since` of the next look, which goes on where this one ended. */
  readonly newest: string | null
}

/**
 * Reads the newest jobs that match, of those submitted since an earlier look, at most as many as the filter wants. A call of the
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

function sorted(names: string | readonly string[] | undefined): string[] {
  return [...new Set(typeof names === 'string' ? [names] : names)].sort()
}
