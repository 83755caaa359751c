/**
 * What the embedded engine has to write, and nothing else: no checks, no random ids, no policies, leases, tags or
 * feed. Rows and index entries are as in `server/engine/sqlite/migrations.ts`:
 *
 * - a submission inserts a job, with an entry for its id, and puts it in the queue,
 * - a claim finds the next jobs in the queue, takes them off and inserts a run for each,
 * - a settlement inserts what became of a job, with its events and entries in the list and for its expiry, and
 *   deletes the run.
 *
 * All of a batch is one durable transaction, with one statement for all rows of a kind, prepared once, to which values that
 * the rows share are bound once: the fastest way found.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'libsql'
import { median } from '../harness/measure.mjs'
import { serve } from '../harness/serve.mjs'

const folder = process.env.FOLDER
const database = new Database(join(folder, 'bare.db'))
database.exec(`
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA cache_size = -65536;
  PRAGMA wal_autocheckpoint = 4000;
  CREATE TABLE jobs (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL, kind INTEGER NOT NULL, created_at INTEGER NOT NULL, payload TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX jobs_id ON jobs (id);
  CREATE TABLE states (
    n INTEGER PRIMARY KEY, kind INTEGER NOT NULL, status INTEGER NOT NULL, seq INTEGER NOT NULL, history TEXT NOT NULL,
    started_at INTEGER, completed_at INTEGER, expires_at INTEGER, result TEXT, lease TEXT
  ) STRICT;
  CREATE INDEX states_listed ON states (kind, status, n);
  CREATE INDEX states_expiring ON states (expires_at) WHERE expires_at IS NOT NULL;
  CREATE TABLE queue (kind INTEGER, priority INTEGER, place INTEGER, PRIMARY KEY (kind, priority DESC, place))
    STRICT, WITHOUT ROWID;
  CREATE TABLE runs (n INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT;
`)
const DAY_MS = 86_400_000
const KIND = 1
const PRIORITY = 0
const COMPLETED = 3
let last = 0
const NOTHING = { numbers: [], at: 0 }

/** A statement for each amount of rows, prepared once. `values`: of a row; what all rows share comes first. */
function forRows(values, sql) {
  const bySize = new Map()
  return (amount) => {
    let statement = bySize.get(amount)
    if (statement === undefined) {
      const row = `(${Array(values).fill('?').join(', ')})`
      statement = database.prepare(sql(`(VALUES ${Array(amount).fill(row).join(', ')}) AS new`))
      bySize.set(amount, statement)
    }
    return statement
  }
}

const insertJobs = forRows(
  3,
  (rows) => `
  INSERT INTO jobs (kind, created_at, n, id, payload) SELECT ?, ?, column1, column2, column3 FROM ${rows}`,
)
const insertQueued = forRows(1, (rows) => `INSERT INTO queue SELECT ?, ?, column1 FROM ${rows}`)
const insertRuns = forRows(1, (rows) => `INSERT INTO runs (at, n) SELECT ?, column1 FROM ${rows}`)
const insertStates = forRows(
  3,
  (rows) => `
  INSERT INTO states (kind, status, seq, history, started_at, completed_at, expires_at, n, result, lease)
  SELECT ?, ?, ?, ?, ?, ?, ?, column1, column2, column3 FROM ${rows}`,
)
const deleteRuns = forRows(1, (rows) => `DELETE FROM runs WHERE n IN (SELECT column1 FROM ${rows})`)
const deleteQueued = database.prepare('DELETE FROM queue WHERE kind = ? AND priority = ? AND place <= ?')
const next = database
  .prepare(`
    SELECT n, id, payload FROM queue CROSS JOIN jobs ON n = place
    WHERE queue.kind = ? ORDER BY priority DESC, place LIMIT ?`)
  .raw()
const begin = database.prepare('BEGIN IMMEDIATE')
const commit = database.prepare('COMMIT')

function submit(amount, now) {
  const numbers = Array.from({ length: amount }, () => ++last)
  const start = `${now.toString(16).padStart(12, '0')}-7000-8000-`
  insertJobs(amount).run([
    ...[KIND, now],
    ...numbers.flatMap((n) => [n, start + n.toString(16).padStart(14, '0'), `{"n":${n}}`]),
  ])
  insertQueued(amount).run([KIND, PRIORITY, ...numbers])
}

/** Returns the numbers of the jobs, and when they were claimed. */
function claim(amount, now) {
  const numbers = next.all([KIND, amount]).map(([n]) => n)
  if (numbers.length > 0) {
    deleteQueued.run([KIND, PRIORITY, numbers.at(-1)])
    insertRuns(numbers.length).run([now, ...numbers])
  }
  return { numbers, at: now }
}

function settle({ numbers, at }, now) {
  if (numbers.length === 0) return
  const history = `[2,${at},"claimed"],[3,${now},"completed",${now + DAY_MS}]`
  const values = numbers.flatMap((n) => [n, '{"ok":true}', `0123456789abcdefghijkl.${n % 100}`])
  insertStates(numbers.length).run([KIND, COMPLETED, 3, history, at, now, now + DAY_MS, ...values])
  deleteRuns(numbers.length).run(numbers)
}

function transaction(write) {
  begin.run([])
  const answer = write(Date.now())
  commit.run([])
  return answer
}

serve({
  lifecycles(jobs, size) {
    const start = performance.now()
    let running = NOTHING
    for (let submitted = 0; submitted < jobs; submitted += size) {
      running = transaction((now) => {
        submit(size, now)
        settle(running, now)
        return claim(size, now)
      })
    }
    return performance.now() - start
  },
  fill(jobs) {
    for (let first = 0; first < jobs; first += 1000) transaction((now) => submit(1000, now))
  },
  /** Claims and settles what was filled in. */
  drain(jobs, size) {
    const start = performance.now()
    let running = NOTHING
    for (let claimed = 0; claimed < jobs; claimed += running.numbers.length) {
      running = transaction((now) => {
        settle(running, now)
        return claim(size, now)
      })
    }
    return performance.now() - start
  },
  /** Median of ms that it takes to make so many bytes durable. */
  fsync(bytes) {
    const file = openSync(join(folder, 'fsync'), 'w')
    const block = Buffer.alloc(bytes, 1)
    const times = Array.from({ length: 100 }, () => {
      writeSync(file, block, 0, bytes, 0)
      const start = performance.now()
      fsyncSync(file)
      return performance.now() - start
    })
    closeSync(file)
    return median(times)
  },
})
