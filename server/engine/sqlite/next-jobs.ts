import type { Row } from './database.ts'
import { type JobRow, untouchedRow } from './job-row.ts'
import type { Store } from './store.ts'

/** How many jobs of a type are to be claimed. */
export interface Turn {
  readonly type: string
  readonly limit: number
}

/** Few columns, since each costs something for every job that is claimed; most say all that there is to know. */
const NEXT = `
  SELECT n, id, type, priority, policy, tags, payload, created_at, place, seq FROM jobs INDEXED BY jobs_ready
  WHERE type = ? AND status = 'queued' ORDER BY priority DESC, place LIMIT ?`
/** Types that one statement looks at; a call into the binding costs more than finding a job. */
const MAX_TYPES = 64
/** Of a job that nothing has happened to since it was queued. */
const FIRST_SEQ = 1

/** The next jobs of types, those of one type in line. What is collected has to be written before. */
export function nextJobs(store: Store, turns: readonly Turn[]): JobRow[] {
  const rows: JobRow[] = []
  let read = 0
  for (let size = MAX_TYPES; read < turns.length; size /= 2) {
    for (; turns.length - read >= size; read += size) {
      const some = turns.slice(read, read + size)
      const sql = Array(size).fill(`SELECT * FROM (${NEXT})`).join(' UNION ALL ')
      const found = store.all(
        sql,
        some.flatMap(({ type, limit }) => [type, limit]),
      )
      for (const row of found) {
        const job = jobOf(store, row)
        if (job !== null) rows.push(job)
      }
    }
  }
  return rows
}

function jobOf(store: Store, row: Row): JobRow | null {
  const [n, id, type, priority, policy, tags, payload, createdAt, place, seq] = row as Columns
  return seq === FIRST_SEQ
    ? untouchedRow({ n, id, type, priority, policy, tags, payload, createdAt, place })
    : store.jobByNumber(n)
}

type Columns = [
  ...[
    n: number,
    id: string,
    type: string,
    priority: number,
    policy: string,
    tags: string,
    payload: string | null,
  ],
  ...[createdAt: number, place: number, seq: number],
]
