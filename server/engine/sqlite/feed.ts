import type { JobEvent } from '../../../shared/event.ts'
import { RETAINED_EVENTS } from '../../../shared/limits.ts'
import type { Position, ReadRequest, ReadResult } from '../engine.ts'
import { iso } from '../job/events.ts'
import { eventsInOrder, jobOf, judgeCursor } from '../job/stored-job.ts'
import { changeIn, eventsIn, type JobRow } from './job-row.ts'
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
  const older = store.all(sql, [row.n, after]).map(([seq, at, text]) => ({
    ...{ seq: seq as number, at: at as number, kept: JSON.parse(text as string) },
  }))
  const recent = eventsIn(row.history).filter(({ seq }) => seq > after)
  // A result is stored once, beside the job: no job completes twice.
  const result = () => JSON.parse(store.result(row) ?? 'null')
  const events: JobEvent[] = []
  let lastUnknown = 0
  for (const { seq, at, kept } of [...older, ...recent]) {
    const data = changeIn(kept, at, result, store.newer)
    if (data === null) lastUnknown = Math.max(lastUnknown, seq)
    else events.push({ seq, at: iso(at), kind: 'status', data })
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
