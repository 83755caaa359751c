import type { JobEvent } from '../../../shared/event.ts'
import type { StatusChange } from '../../../shared/job.ts'
import { MAX_PLACE, RETAINED_EVENTS } from '../../../shared/limits.ts'
import type { Place, Position, ReadRequest, ReadResult } from '../engine.ts'
import { iso } from '../job/events.ts'
import { decodePolicy } from '../job/policy.ts'
import { eventsInOrder, jobOf, judgeCursor } from '../job/stored-job.ts'
import { changeIn, eventsIn, type JobRow, olderChange } from './job-row.ts'
import type { Store } from './store.ts'

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
