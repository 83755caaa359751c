import type { JobEvent } from '../../../shared/event.ts'
import type { StatusChange } from '../../../shared/job.ts'
import { MAX_PLACE, RETAINED_EVENTS } from '../../../shared/limits.ts'
import { JOB_STATUSES, type JobStatus } from '../../../shared/status.ts'
import type { JobPage, ListQuery, Place, Position, ReadRequest, ReadResult } from '../engine.ts'
import { iso } from '../job/events.ts'
import { decodePage, encodePage } from '../job/pages.ts'
import { decodePolicy } from '../job/policy.ts'
import { type Bodies, eventsInOrder, isExpired, jobOf, judgeCursor } from '../job/stored-job.ts'
import type { Value } from './database.ts'
import { changeIn, eventsIn, type JobRow, olderChange, STATUS_CODES } from './job-row.ts'
import type { Store } from './store.ts'
import { tagKey } from './transaction.ts'

/** The job and its events, as the file has them now; null where it is unknown or expired. */
export function read(store: Store, request: ReadRequest, now: number): ReadResult | null {
  const row = store.liveJob(request.jobId, now)
  if (row === null) return null
  const { after, history, withJob } = request
  const { epoch } = store
  const at: Position = { epoch, seq: row.seq, status: row.status }
  const job = () => jobOf(row, store.bodies(row), epoch)
  const reason = judgeCursor(after, { epoch, seq: row.seq, trimmed: row.trimmed })
  if (reason === null) {
    const { events, lastUnknown } = retained(store, row, after?.seq ?? 0)
    if (lastUnknown === 0) return { ...at, mode: 'resume', job: withJob ? job() : null, events }
  }
  const { events, lastUnknown } = history || reason === null ? retained(store, row, 0) : NOTHING
  const trimmed = Math.max(row.trimmed, lastUnknown)
  const position = { ...at, mode: 'snapshot', reason: reason ?? 'trimmed' } as const
  return { ...position, job: job(), trimmed, events: history ? events : [] }
}

const NOTHING: Retained = { events: [], lastUnknown: 0 }

/** Where the job stands; null where it is unknown or expired. */
export function position(store: Store, jobId: string, now: number): Position | null {
  const row = store.liveJob(jobId, now)
  return row === null ? null : { epoch: store.epoch, seq: row.seq, status: row.status }
}

interface Retained {
  readonly events: JobEvent[]
  /** The seq of the last status event with a word of a newer version, which counts as no longer retained; 0: there is none. */
  readonly lastUnknown: number
}

/** The retained events after a seq, in order. */
function retained(store: Store, row: JobRow, after: number): Retained {
  if (after >= row.seq) return NOTHING
  const { events, lastUnknown } = changes(store, row, after)
  // The first event of a job that was queued at once has no row.
  const isFirstLeftOut = events[0]?.seq !== 1 && events.length < RETAINED_EVENTS
  const kept = [...events, ...outputs(store, row, after)]
  return { events: eventsInOrder(row, after, kept, isFirstLeftOut), lastUnknown }
}

function changes(store: Store, row: JobRow, after: number): Retained {
  const sql = 'SELECT seq, at, data FROM history WHERE n = ? AND seq > ? ORDER BY seq'
  // A result is stored once, beside the job: no job completes twice.
  const result = () => JSON.parse(store.result(row) ?? 'null')
  const events: JobEvent[] = []
  let lastUnknown = 0
  const add = (seq: number, at: number, data: StatusChange | null) => {
    if (data === null) lastUnknown = Math.max(lastUnknown, seq)
    else events.push({ seq, at: iso(at), kind: 'status', data })
  }
  for (const [seq, at, text] of store.all(sql, [row.n, after]) as [number, number, string][]) {
    add(seq, at, olderChange(text, at, result, store.newer))
  }
  for (const cells of eventsIn(row.history)) {
    const [seq, at] = cells
    if (seq > after) add(seq, at, changeIn(cells, result, store.newer))
  }
  return { events, lastUnknown }
}

function outputs(store: Store, { n, outputs }: JobRow, after: number): JobEvent[] {
  if (outputs === 0) return []
  const sql = 'SELECT seq, at, kind, data FROM output WHERE n = ? AND seq > ? ORDER BY seq'
  return store.all(sql, [n, after]).flatMap(([seq, at, kind, text]): JobEvent[] => {
    if (kind !== 'log' && kind !== 'chunk') {
      store.newer.note('event', String(kind))
      return []
    }
    return [{ seq: seq as number, at: iso(at as number), kind, data: JSON.parse(text as string) }]
  })
}

/** The jobs of one type and priority that are asked for: id and place, in the order of these. */
interface Group {
  readonly kind: number
  readonly priority: number
  readonly spots: [jobId: string, place: number][]
}

const SPOTS = `
  SELECT json_group_array(json_array(jobs.id, jobs.kind, policy, coalesce(place, jobs.n)))
  FROM json_each(?) CROSS JOIN jobs ON jobs.id = value LEFT JOIN states USING (n)`
const IN_FRONT = 'SELECT count(*) FROM (SELECT 1 FROM queue WHERE kind = ? AND priority > ? LIMIT ?)'
const NTH = 'SELECT place FROM queue WHERE kind = ? AND priority = ? ORDER BY place LIMIT 1 OFFSET ?'
/** Of each spot whether there is such a row, and how many rows there are from the spot before it on. */
const STEPS = `
  SELECT json_group_array(json_array(
    EXISTS (SELECT 1 FROM queue WHERE kind = ?1 AND priority = ?2 AND place = spot),
    (SELECT count(*) FROM queue WHERE kind = ?1 AND priority = ?2 AND place >= min(last, ?3) AND place < min(spot, ?3))
  ))
  FROM (SELECT value AS spot, lag(value, 1, 0) OVER (ORDER BY key) AS last FROM json_each(?4))`

/**
 * The places of those jobs that are queued, by id. Each line is walked from its head, from one job that is asked for to the
 * next: however many these are, each row of the queue is looked at once, and none behind `MAX_PLACE`.
 */
export function places(store: Store, jobIds: readonly string[]): Map<string, Place> {
  const found = new Map<string, Place>()
  for (const { kind, priority, spots } of groupsOf(store, jobIds)) {
    const type = store.catalog.typeOf(kind)
    const paused = store.catalog.isPaused(type)
    const inFront = numberOf(store, IN_FRONT, [kind, priority, MAX_PLACE]) ?? 0
    // The first that is too far back, and what is never reached where there is none.
    const end = numberOf(store, NTH, [kind, priority, MAX_PLACE - inFront]) ?? Number.MAX_SAFE_INTEGER
    const numbers = JSON.stringify(spots.map(([, place]) => place))
    const steps = JSON.parse(store.get(STEPS, [kind, priority, end, numbers])?.[0] as string) as Step[]
    let before = inFront
    for (const [index, [jobId, spot]] of spots.entries()) {
      const [isQueued, step] = steps[index] ?? [0, 0]
      before += step
      if (isQueued === 1) found.set(jobId, { type, place: spot < end ? before + 1 : null, paused })
    }
  }
  return found
}

type Step = [isQueued: 0 | 1, step: number]

function groupsOf(store: Store, jobIds: readonly string[]): Iterable<Group> {
  const rows = JSON.parse(store.get(SPOTS, [JSON.stringify(jobIds)])?.[0] as string) as [
    ...[jobId: string, kind: number, policy: string, place: number],
  ][]
  const groups = new Map<string, Group>()
  for (const [jobId, kind, policy, place] of rows) {
    const { priority } = decodePolicy(policy)
    const key = `${kind} ${priority}`
    const group = groups.get(key) ?? { kind, priority, spots: [] }
    if (group.spots.length === 0) groups.set(key, group)
    group.spots.push([jobId, place])
  }
  for (const { spots } of groups.values()) spots.sort(([, one], [, other]) => one - other)
  return groups.values()
}

function numberOf(store: Store, sql: string, parameters: readonly number[]): number | undefined {
  return store.get(sql, parameters)?.[0] as number | undefined
}

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
