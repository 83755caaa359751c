import type { Value } from './database.ts'
import { decodeSubmitted, type JobRow } from './job-row.ts'
import type { Store } from './store.ts'

/** How many jobs of a type are to be claimed. */
export interface Turn {
  readonly type: string
  readonly limit: number
}

const NEXT = `
  SELECT queue.n AS moved, jobs.n, id, jobs.kind, policy, created_at, tags, payload
  FROM queue CROSS JOIN jobs ON jobs.n = coalesce(queue.n, place)
  WHERE queue.kind = ? ORDER BY priority DESC, place LIMIT ?`
/** Types that one statement looks at; a call into the binding costs more than finding a job. */
const MAX_TYPES = 64
/** By the types that they look at. One text for all jobs: to hand over a value costs more than to write and parse it. */
const statements = new Map<number, string>()
const LEAVE_UP_TO = 'DELETE FROM queue WHERE kind = ? AND priority = ? AND place <= ?'
const LEAVE = 'DELETE FROM queue WHERE kind = ? AND priority = ? AND place = ?'

/** Takes the next jobs of types off their lines, those of one type in line. What is collected has to be written before. */
export function takeNext(store: Store, turns: readonly Turn[]): JobRow[] {
  const rows = nextJobs(store, turns)
  for (const [index, row] of rows.entries()) {
    const following = rows[index + 1]
    // What stands before it in the same line was taken as well.
    if (following === undefined || !areInOneLine(row, following)) {
      store.run(LEAVE_UP_TO, [row.kind, row.policy.priority, row.order])
    }
  }
  return rows
}

/** Takes a job off its line. */
export function leaveLine(store: Store, row: JobRow): void {
  store.run(LEAVE, [row.kind, row.policy.priority, row.order])
}

function nextJobs(store: Store, turns: readonly Turn[]): JobRow[] {
  const known = turns.flatMap(({ type, limit }) => {
    const kind = store.catalog.kindOf(type)
    return kind === undefined ? [] : [{ kind, limit }]
  })
  const rows: JobRow[] = []
  let read = 0
  for (let size = MAX_TYPES; read < known.length; size /= 2) {
    for (; known.length - read >= size; read += size) {
      const some = known.slice(read, read + size)
      const parameters = some.flatMap(({ kind, limit }) => [kind, limit])
      const found = JSON.parse(store.get(statement(size), parameters)?.[0] as string) as Next[]
      for (const next of found) {
        const job = jobOf(store, next)
        if (job !== null) rows.push(job)
      }
    }
  }
  return rows
}

function statement(types: number): string {
  const known = statements.get(types)
  if (known !== undefined) return known
  const jobs = Array(types).fill(`SELECT * FROM (${NEXT})`).join(' UNION ALL ')
  const sql = `
    SELECT json_group_array(json_array(moved, n, id, kind, policy, created_at, tags, payload)) FROM (${jobs})`
  statements.set(types, sql)
  return sql
}

function jobOf(store: Store, next: Next): JobRow | null {
  const [moved, ...submitted] = next
  return moved === null ? decodeSubmitted(submitted, store.catalog.typeOf) : store.jobByNumber(moved)
}

function areInOneLine(one: JobRow, other: JobRow): boolean {
  return one.kind === other.kind && one.policy.priority === other.policy.priority
}

type Next = [moved: number | null, ...submitted: Value[]]
