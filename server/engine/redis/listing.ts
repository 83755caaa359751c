import type { Job } from '../../../shared/job.ts'
import type { JobPage, ListQuery } from '../engine.ts'
import type { NewerWords } from '../job/newer-words.ts'
import { decodePage, encodePage } from '../job/pages.ts'
import { JobHash } from './codec.ts'
import type { Commands } from './commands.ts'
import type { Keyspace } from './keys.ts'
import { list, text } from './reply.ts'
import { SCRIPTS } from './scripts.ts'

const MOST_JOBS = 200
/** A page is named by order and id of the last job looked at, and the newest job by its own. */
const PAGE = /^before ([1-9]\d{0,14}) (\S{36})$/

/** Newest first, by order of submission. Throws `BadPage`. */
export async function listJobs(
  commands: Commands,
  keys: Keyspace,
  newer: NewerWords,
  query: ListQuery,
): Promise<JobPage> {
  const { types, statuses, tags, limit, withBodies = true } = query
  const args = [
    ...boundary(query.page),
    ...boundary(query.since ?? null),
    Math.min(limit, MOST_JOBS),
    withBodies ? 'bodies' : '',
    types.length,
    ...types,
    statuses.length,
    ...statuses,
    tags.length,
    ...tags.map((tag) => JSON.stringify(tag)),
  ]
  const { reply, epoch } = withBodies
    ? await commands.readLarge(SCRIPTS.list, keys.home, args)
    : await commands.read(SCRIPTS.list, keys.home, args)
  const [next, rows, newest] = list(reply)
  const jobs: Job[] = []
  for (const entry of list(rows)) {
    const [jobId, row] = list(entry)
    const job = new JobHash(row, newer).job(text(jobId), epoch)
    // The script looks for tags in their text, where `,` may be found between two others.
    if (!tags.every((tag) => job.tags.includes(tag))) continue
    jobs.push(withBodies ? job : { ...job, payload: null, result: null })
  }
  return { jobs, nextPage: pageOf(next), newest: pageOf(newest) }
}

function pageOf(job: unknown): string | null {
  return job === '' ? null : encodePage(`before ${text(job)}`)
}

function boundary(page: string | null): readonly [order: string, jobId: string] {
  if (page === null) return ['', '']
  return decodePage(page, (words) => {
    const [, order, jobId] = PAGE.exec(words) ?? []
    return order === undefined || jobId === undefined ? null : ([order, jobId] as const)
  })
}
