import type { JobEvent } from '../../../shared/event.ts'
import { RETAINED_EVENTS } from '../../../shared/limits.ts'
import { judgeCursor, type Position, type ReadRequest, type ReadResult } from '../engine.ts'
import { type JobRow, jobOf } from './job-row.ts'
import { knownChangeOf, parseChange, recentEvents } from './status-event.ts'
import type { Store } from './store.ts'
import { iso } from './time-text.ts'

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
  if (after >= row.seq) return { events: [], lastUnknown: 0 }
  const { events: changes, lastUnknown } = statuses(store, row, after)
  const events = [...changes, ...outputs(store, row, after)]
  const { progress, progressSeq, progressAt } = row
  if (progress !== null && progressSeq !== null && progressAt !== null && progressSeq > after) {
    events.push({ seq: progressSeq, at: iso(progressAt), kind: 'progress', data: progress })
  }
  return { events: events.sort((a, b) => a.seq - b.seq), lastUnknown }
}

function statuses(store: Store, row: JobRow, after: number): Retained {
  const found = store.all('SELECT seq, at, data FROM history WHERE n = ? AND seq > ? ORDER BY seq', [
    row.n,
    after,
  ])
  const older = found.map(([seq, time, text]) => {
    const at = iso(time as number)
    return { seq: seq as number, at, data: parseChange(text as string, at, store.newer) }
  })
  const recent = recentEvents(row.history).flatMap(({ seq, at, event }) =>
    seq > after ? { seq, at: iso(at), data: knownChangeOf(event, iso(at), store.newer) } : [],
  )
  let lastUnknown = 0
  const events = [...older, ...recent].flatMap(({ seq, at, data }): JobEvent[] => {
    if (data === null) lastUnknown = Math.max(lastUnknown, seq)
    if (data === null) return []
    // A result is stored once, beside the job: no job completes twice.
    if (data.status === 'completed') data.result = JSON.parse(store.result(row) ?? 'null')
    return [{ seq, at, kind: 'status', data }]
  })
  // The first event of a job that was queued at once has no row: the job's says as much.
  if (after === 0 && events[0]?.seq !== 1 && events.length < RETAINED_EVENTS) {
    events.unshift({ seq: 1, at: iso(row.createdAt), kind: 'status', data: { status: 'queued' } })
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
