import type { Database, Statement, Value } from './database.ts'
import { encodeState, encodeSubmitted, type JobRow, STATE_COLUMNS, SUBMITTED_COLUMNS } from './job-row.ts'

/** What a transaction is still to write: rows of the same kind go in one statement. */
export class PendingWrites {
  readonly payloads: Bulk
  readonly tags: Bulk
  readonly results: Bulk
  readonly history: Bulk
  readonly output: Bulk
  readonly #jobs: Bulk
  readonly #states: Bulk
  readonly #queue: Bulk
  readonly #runs: Bulk
  readonly #endedRuns: Bulk
  /** In the order in which they are written: what comes and goes in one transaction comes first. */
  readonly #all: readonly Bulk[]
  /** Jobs whose states are to be written, as they are by then. */
  readonly #changed = new Set<JobRow>()

  constructor(database: Database) {
    this.#jobs = bulkInsert(database, 'jobs', SUBMITTED_COLUMNS)
    this.payloads = bulkInsert(database, 'payloads', ['n', 'json'])
    this.tags = bulkInsert(database, 'tags', ['n', 'tag'])
    this.results = bulkInsert(database, 'results', ['n', 'json'])
    this.history = bulkInsert(database, 'history', ['seq', 'n', 'at', 'data'])
    this.output = bulkInsert(database, 'output', ['seq', 'n', 'at', 'kind', 'bytes', 'data'])
    this.#states = bulkInsert(database, 'states', STATE_COLUMNS, 'INSERT OR REPLACE')
    this.#queue = bulkInsert(database, 'queue', ['place', 'kind', 'priority', 'n'])
    this.#runs = bulkInsert(database, 'runs', ['n', 'at'])
    this.#endedRuns = bulkDelete(database, 'runs')
    this.#all = [
      ...[this.#jobs, this.payloads, this.tags, this.results, this.history, this.output],
      ...[this.#states, this.#queue, this.#runs, this.#endedRuns],
    ]
  }

  /** A job that is new. */
  submit(job: JobRow): void {
    this.#jobs.add(encodeSubmitted(job))
  }

  /** What changes of a job has changed. */
  change(job: JobRow): void {
    this.#changed.add(job)
  }

  /** A job is in line from now on. `isUntouched`: it has no states. */
  enqueue({ n, spot, kind, policy }: JobRow, isUntouched: boolean): void {
    this.#queue.add([spot, kind, policy.priority, isUntouched ? null : n])
  }

  startRun({ n }: JobRow, at: number): void {
    this.#runs.add([n, at])
  }

  endRun({ n }: JobRow): void {
    this.#endedRuns.add([n])
  }

  /** Writes what was collected. */
  flush(): void {
    for (const job of this.#changed) this.#states.add(encodeState(job))
    this.#changed.clear()
    for (const bulk of this.#all) bulk.flush()
  }

  /** Forgets what was collected. */
  discard(): void {
    this.#changed.clear()
    for (const bulk of this.#all) bulk.discard()
  }
}

/** Rows a statement; a call into the binding costs several times what one more row does. */
const MAX_ROWS = 128

/**
 * Makes a statement for many rows. `columns`: an expression for each value of a row; `source`: where they come from, to
 * be named after FROM. The columns' expressions come first.
 */
type ToSql = (columns: readonly string[], source: string) => string

/**
 * Collects rows for one kind of statement, and writes them many at a time. A value that all of them share, as rows of
 * one transaction often do, is handed over once: to bind a value costs about as much as to store it.
 */
class Bulk {
  readonly #database: Database
  readonly #toSql: ToSql
  /** By their rows (a power of two) and by which values are shared; made when first needed. */
  readonly #statements = new Map<string, Statement>()
  #rows: (readonly Value[])[] = []

  constructor(database: Database, toSql: ToSql) {
    this.#database = database
    this.#toSql = toSql
  }

  /** The first value tells a row from the others. */
  add(row: readonly Value[]): void {
    this.#rows.push(row)
  }

  /** Writes what was collected. */
  flush(): void {
    const rows = this.#rows
    const [first] = rows
    if (first === undefined) return
    this.#rows = []
    const isShared = first.map((value, at) => at > 0 && isSame(rows, at, value))
    const shared = first.filter((_, at) => isShared[at])
    let written = 0
    for (let size = MAX_ROWS; written < rows.length; size /= 2) {
      for (; rows.length - written >= size; written += size) {
        const values = [...shared]
        for (const row of rows.slice(written, written + size)) {
          for (let at = 0; at < row.length; at++) if (!isShared[at]) values.push(row[at] ?? null)
        }
        this.#statement(size, isShared).run(values)
      }
    }
  }

  /** Forgets what was collected. */
  discard(): void {
    this.#rows = []
  }

  #statement(rows: number, isShared: readonly boolean[]): Statement {
    const key = `${rows} ${isShared.join()}`
    const known = this.#statements.get(key)
    if (known !== undefined) return known
    let own = 0
    const columns = isShared.map((shared) => (shared ? '?' : `new.column${++own}`))
    const row = `(${Array(own).fill('?').join(', ')})`
    const source = `(VALUES ${Array(rows).fill(row).join(', ')}) AS new`
    const statement = this.#database.prepare(this.#toSql(columns, source))
    this.#statements.set(key, statement)
    return statement
  }
}

function isSame(rows: readonly (readonly Value[])[], at: number, value: Value): boolean {
  for (const row of rows) if (row[at] !== value) return false
  return true
}

/** The first of the columns tells a row from the others. */
function bulkInsert(
  database: Database,
  table: string,
  names: readonly string[],
  verb: 'INSERT' | 'INSERT OR REPLACE' = 'INSERT',
): Bulk {
  return new Bulk(
    database,
    (columns, source) =>
      `${verb} INTO ${table} (${names.join(', ')}) SELECT ${columns.join(', ')} FROM ${source}`,
  )
}

/** Of the rows of a table by their numbers. */
function bulkDelete(database: Database, table: string): Bulk {
  return new Bulk(
    database,
    (columns, source) => `DELETE FROM ${table} WHERE n IN (SELECT ${columns.join()} FROM ${source})`,
  )
}
