import { JOB_STATUSES, type JobStatus } from '../../../shared/status.ts'
import type { JobPage, ListQuery } from '../engine.ts'
import { decodePage, encodePage } from '../job/pages.ts'
import { type Bodies, isExpired, jobOf } from '../job/stored-job.ts'
import type { Value } from './database.ts'
import { type JobRow, STATUS_CODES } from './job-row.ts'
import type { Store } from './store.ts'
import { tagKey } from './transaction.ts'

/** Jobs that one page looks at, for what no index answers. */
const MAX_EXAMINED = 2000
/** Characters of payloads and results after which a page ends, so that a list of large jobs stays short. */
const MAX_PAGE_CHARACTERS = 16 * 1024 * 1024
/** Jobs that are read from an index at a time. */
const BLOCK = 64

const NO_BODIES: Bodies = { payload: 'null', result: null }

/** Newest first. Throws `BadPage`. */
export function list(store: Store, query: ListQuery, now: number): JobPage {
  const jobs: JobPage['jobs'] = []
  let examined = 0
  let characters = 0
  let last = query.page === null ? Number.MAX_SAFE_INTEGER : parsePage(query.page, store.epoch)
  const since = query.since == null ? 0 : parsePage(query.since, store.epoch)
  const newest = newestPage(store)
  for (const n of candidates(store, query, last)) {
    if (n <= since) break
    if (jobs.length >= query.limit || examined >= MAX_EXAMINED || characters > MAX_PAGE_CHARACTERS) {
      return { jobs, nextPage: formatPage(last, store.epoch), newest }
    }
    examined++
    last = n
    const row = store.jobByNumber(n)
    if (row === null || isExpired(row, now) || !matches(row, query)) continue
    const bodies = query.withBodies === false ? NO_BODIES : store.bodies(row)
    characters += bodies.payload.length + (bodies.result?.length ?? 0)
    jobs.push(jobOf(row, bodies, store.epoch))
  }
  return { jobs, nextPage: null, newest }
}

function newestPage(store: Store): string | null {
  const [n] = store.get('SELECT max(n) FROM jobs', []) ?? []
  return typeof n === 'number' ? formatPage(n, store.epoch) : null
}

function matches(row: JobRow, { types, statuses, tags }: ListQuery): boolean {
  if (types.length > 0 && !types.includes(row.type)) return false
  if (statuses.length > 0 && !statuses.includes(row.status)) return false
  return tags.every((tag) => row.labels.tags.includes(tag))
}

/** The numbers of the jobs that may match, newest first, from the narrowest index there is. */
function candidates(store: Store, { types, statuses, tags }: ListQuery, before: number): Iterable<number> {
  const [tag] = tags
  if (tag !== undefined) {
    return blocks(
      store,
      'SELECT n FROM tags WHERE tag = ? AND n < ? ORDER BY n DESC LIMIT ?',
      [tagKey(tag)],
      before,
    )
  }
  if (types.length === 0 && statuses.length === 0) {
    return blocks(store, 'SELECT n FROM jobs WHERE n < ? ORDER BY n DESC LIMIT ?', [], before)
  }
  const streams: Iterator<number>[] = []
  for (const type of types.length > 0 ? new Set(types) : store.catalog.names()) {
    for (const status of statuses.length > 0 ? new Set(statuses) : JOB_STATUSES) {
      if (store.catalog.count(type, status) > 0) streams.push(...listed(store, type, status, before))
    }
  }
  return newestOf(streams)
}

/** Streams that hold all jobs of a type and status; jobs of other statuses may be among them. */
function listed(store: Store, type: string, status: JobStatus, before: number): Iterator<number>[] {
  if (status === 'processing') return [running(store, type, before)]
  const kind = store.catalog.kindOf(type)
  if (kind === undefined) return []
  const sql = `
    SELECT n FROM states INDEXED BY states_listed
    WHERE kind = ? AND status = ? AND n < ? ORDER BY n DESC LIMIT ?`
  const changed = blocks(store, sql, [kind, STATUS_CODES[status]], before)
  return status === 'queued' ? [changed, ...untouched(store, kind, before)] : [changed]
}

function running(store: Store, type: string, before: number): Iterator<number> {
  const rows = [...store.running.values()].filter((row) => row.type === type && row.n < before)
  return rows
    .map(({ n }) => n)
    .sort((one, other) => other - one)
    [Symbol.iterator]()
}

/** Queued jobs that have no states: the lines have them in their order, one line a priority. */
function untouched(store: Store, kind: number, before: number): Iterator<number>[] {
  const nextPriority =
    'SELECT priority FROM queue WHERE kind = ? AND priority < ? ORDER BY priority DESC LIMIT 1'
  const sql = `
    SELECT place FROM queue
    WHERE kind = ? AND priority = ? AND place < ? AND n IS NULL ORDER BY place DESC LIMIT ?`
  const lines: Iterator<number>[] = []
  let priority = Number.MAX_SAFE_INTEGER
  for (;;) {
    const [next] = store.get(nextPriority, [kind, priority]) ?? []
    if (typeof next !== 'number') return lines
    priority = next
    lines.push(blocks(store, sql, [kind, priority], before))
  }
}

/**
 * Everything that a statement finds below a number, downwards. A first look is short: often one of many
 * streams.
 */
function* blocks(store: Store, sql: string, keys: readonly Value[], before: number): Generator<number> {
  let below = before
  for (let size = 1; ; size = BLOCK) {
    const found = store.all(sql, [...keys, below, size])
    for (const [n] of found) {
      below = Number(n)
      yield below
    }
    if (found.length < size) return
  }
}

/** Merges streams that go downwards into one, in which every number comes once. */
function* newestOf(streams: readonly Iterator<number>[]): Generator<number> {
  const heads = streams.map((stream) => ({ stream, next: stream.next() })).filter(({ next }) => !next.done)
  let last = Number.POSITIVE_INFINITY
  while (heads.length > 0) {
    let newest = 0
    for (let index = 1; index < heads.length; index++) {
      if ((heads[index]?.next.value ?? 0) > (heads[newest]?.next.value ?? 0)) newest = index
    }
    const head = heads[newest]
    if (head === undefined || head.next.done === true) return
    if (head.next.value < last) yield head.next.value
    last = head.next.value
    head.next = head.stream.next()
    if (head.next.done === true) heads.splice(newest, 1)
  }
}

/** Names the store as well: a page of another store is none that this list returned. */
function formatPage(n: number, epoch: string): string {
  return encodePage(`${epoch}.${n}`)
}

function parsePage(page: string, epoch: string): number {
  return decodePage(page, (words) => {
    const n = Number(words.slice(epoch.length + 1))
    return Number.isSafeInteger(n) && words === `${epoch}.${n}` ? n : null
  })
}
