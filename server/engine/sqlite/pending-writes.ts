import { type Bulk, bulkDelete, bulkInsert } from './bulk.ts'
import type { Database } from './database.ts'
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
  enqueue({ n, order, kind, policy }: JobRow, isUntouched: boolean): void {
    this.#queue.add([order, kind, policy.priority, isUntouched ? null : n])
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
