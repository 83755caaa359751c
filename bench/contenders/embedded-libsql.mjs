/**
 * What the embedded engine has to write, and nothing else: no checks, no random ids, no policies, leases, tags or
 * feed. Rows and index entries are as in `server/engine/sqlite/migrations.ts`:
 *
 * - a submission inserts a job (the row, and entries for its id, its list and its queue) and an event,
 * - a claim finds the next jobs in the queue, updates each (the row, its entries in list and queue) and inserts an event,
 * - a settlement updates a job (the row, its entry in the list, a new one for its expiry) and inserts an event.
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
    n INTEGER PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, status TEXT NOT NULL, priority INTEGER NOT NULL,
    payload TEXT NOT NULL, result TEXT, created_at INTEGER NOT NULL, started_at INTEGER, completed_at INTEGER,
    expires_at INTEGER, lease TEXT
  ) STRICT;
  CREATE UNIQUE INDEX jobs_id ON jobs (id);
  CREATE INDEX jobs_listed ON jobs (type, status, n);
  CREATE INDEX jobs_ready ON jobs (type, priority DESC, n) WHERE status = 'queued';
  CREATE INDEX jobs_expiring ON jobs (expires_at) WHERE expires_at IS NOT NULL;
  CREATE TABLE events (n INTEGER, seq INTEGER, at INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (n, seq))
    STRICT, WITHOUT ROWID;
`)
const DAY_MS = 86_400_000
let last = 0

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
  INSERT INTO jobs (created_at, n, id, type, status, priority, payload)
  SELECT ?, column1, column2, 'noop', 'queued', 0, column3 FROM ${rows}`,
)
const insertEvents = forRows(1, (rows) => `INSERT INTO events SELECT column1, ?, ?, ? FROM ${rows}`)
const updateClaimed = forRows(
  1,
  (rows) => `UPDATE jobs SET status = 'processing', started_at = ? FROM ${rows} WHERE n = column1`,
)
const updateSettled = forRows(
  3,
  (rows) => `
  UPDATE jobs SET status = 'completed', completed_at = ?, expires_at = ?, result = column2, lease = column3
  FROM ${rows} WHERE n = column1`,
)
const next = database
  .prepare(`
    SELECT n, id, payload FROM jobs INDEXED BY jobs_ready
    WHERE type = ? AND status = 'queued' ORDER BY priority DESC, n LIMIT ?`)
  .raw()
const begin = database.prepare('BEGIN IMMEDIATE')
const commit = database.prepare('COMMIT')

function submit(amount, now) {
  const numbers = Array.from({ length: amount }, () => ++last)
  const start = `${now.toString(16).padStart(12, '0')}-7000-8000-`
  insertJobs(amount).run([
    now,
    ...numbers.flatMap((n) => [n, start + n.toString(16).padStart(14, '0'), `{"n":${n}}`]),
  ])
  insertEvents(amount).run([1, now, 'queued', ...numbers])
}

function claim(amount, now) {
  const numbers = next.all(['noop', amount]).map(([n]) => n)
  if (numbers.length === 0) return numbers
  updateClaimed(numbers.length).run([now, ...numbers])
  insertEvents(numbers.length).run([2, now, 'claimed', ...numbers])
  return numbers
}

function settle(numbers, now) {
  if (numbers.length === 0) return
  const values = numbers.flatMap((n) => [n, '{"ok":true}', `0123456789abcdefghijkl.${n % 100}`])
  updateSettled(numbers.length).run([now, now + DAY_MS, ...values])
  insertEvents(numbers.length).run([3, now, `completed ${now + DAY_MS}`, ...numbers])
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
    let running = []
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
    let running = []
    for (let claimed = 0; claimed < jobs; claimed += running.length) {
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
