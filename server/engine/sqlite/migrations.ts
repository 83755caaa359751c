import { Unavailable } from '../errors.ts'
import type { Database } from './database.ts'

/** "JBCT": tells a file of Jobcast's from any other SQLite database. */
const APPLICATION_ID = 0x4a424354

/**
 * Each brings a file one version further; the file's `user_version` says how many it has had. Never change
 * one that was released: add another.
 *
 * Times are ms since the epoch. Free text (errors, worker names, keys, tags) is stored as JSON, since the
 * binding ends strings at NUL. What may be large and is written once (payload, result) has tables of its own,
 * or every update of a job would write it again.
 */
const MIGRATIONS = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE types (
    type TEXT PRIMARY KEY,
    paused INTEGER NOT NULL,
    policy TEXT,
    payload_schema TEXT
  ) STRICT, WITHOUT ROWID;

  -- The defaults are those of a new job: an insert names only what differs.
  -- n: order of submission. place: in the line of its type. fresh: neither scheduled, retried nor stalled so
  -- far. settled_lease, settled_as: the last run that was settled, for a settle that is sent again.
  -- statuses, outputs, output_bytes: what is retained in history and output. reported: the number of the last event
  -- that the run has reported.
  CREATE TABLE jobs (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    priority INTEGER NOT NULL,
    policy TEXT NOT NULL,
    tags TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seq INTEGER NOT NULL DEFAULT 1,
    trimmed INTEGER NOT NULL DEFAULT 0,
    statuses INTEGER NOT NULL DEFAULT 1,
    outputs INTEGER NOT NULL DEFAULT 0,
    output_bytes INTEGER NOT NULL DEFAULT 0,
    reported INTEGER NOT NULL DEFAULT 0,
    place INTEGER NOT NULL,
    fresh INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 1,
    stalls INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    progress TEXT,
    progress_seq INTEGER,
    progress_at INTEGER,
    error TEXT,
    error_code TEXT,
    scheduled_for INTEGER,
    started_at INTEGER,
    completed_at INTEGER,
    expires_at INTEGER,
    lease TEXT,
    worker TEXT,
    leased_until INTEGER,
    settled_lease TEXT,
    settled_as TEXT
  ) STRICT;
  CREATE UNIQUE INDEX jobs_id ON jobs (id);
  CREATE INDEX jobs_listed ON jobs (type, status, n);
  CREATE INDEX jobs_ready ON jobs (type, priority DESC, place) WHERE status = 'queued';
  CREATE INDEX jobs_due ON jobs (scheduled_for) WHERE status = 'scheduled';
  CREATE INDEX jobs_leased ON jobs (leased_until) WHERE status = 'processing';
  CREATE INDEX jobs_expiring ON jobs (expires_at) WHERE expires_at IS NOT NULL;

  CREATE TABLE payloads (n INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
  CREATE TABLE results (n INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
  CREATE TABLE tags (tag TEXT, n INTEGER, PRIMARY KEY (tag, n)) STRICT, WITHOUT ROWID;

  -- status events, without the result (that is in results); and log lines and chunks. The one progress event
  -- that is retained is in the job's row.
  CREATE TABLE history (n INTEGER, seq INTEGER, at INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (n, seq))
    STRICT, WITHOUT ROWID;
  CREATE TABLE output (
    n INTEGER,
    seq INTEGER,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (n, seq)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    body_hash TEXT NOT NULL,
    jobs TEXT NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX idempotency_expiring ON idempotency (expires_at);

  CREATE TABLE secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  `,
  `
  -- Runs are known to the process alone that owns the file, which took everything that was kept of them to the disk
  -- for nothing. Small payloads and results are in the row: a row of their own costs more than to write them again.
  CREATE TABLE jobs_2 (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    priority INTEGER NOT NULL,
    policy TEXT NOT NULL,
    tags TEXT NOT NULL,
    payload TEXT,
    created_at INTEGER NOT NULL,
    seq INTEGER NOT NULL DEFAULT 1,
    trimmed INTEGER NOT NULL DEFAULT 0,
    outputs INTEGER NOT NULL DEFAULT 0,
    output_bytes INTEGER NOT NULL DEFAULT 0,
    place INTEGER NOT NULL,
    fresh INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 1,
    stalls INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    progress TEXT,
    progress_seq INTEGER,
    progress_at INTEGER,
    error TEXT,
    error_code TEXT,
    result TEXT,
    scheduled_for INTEGER,
    started_at INTEGER,
    completed_at INTEGER,
    expires_at INTEGER,
    settled_lease TEXT,
    settled_as TEXT
  ) STRICT;
  INSERT INTO jobs_2
  SELECT
    n, id, type, status, priority, policy, tags, NULL, created_at, seq, trimmed, outputs, output_bytes, place, fresh,
    attempt, stalls, cancel_requested, progress, progress_seq, progress_at, error, error_code, NULL, scheduled_for,
    started_at, completed_at, expires_at, settled_lease, settled_as
  FROM jobs;
  DROP TABLE jobs;
  ALTER TABLE jobs_2 RENAME TO jobs;
  CREATE UNIQUE INDEX jobs_id ON jobs (id);
  CREATE INDEX jobs_listed ON jobs (type, status, n);
  CREATE INDEX jobs_ready ON jobs (type, priority DESC, place) WHERE status = 'queued';
  CREATE INDEX jobs_due ON jobs (scheduled_for) WHERE status = 'scheduled';
  CREATE INDEX jobs_expiring ON jobs (expires_at) WHERE expires_at IS NOT NULL;
  `,
  `
  -- A change writes little: what never changes (jobs) apart from what does (states), small numbers for types and
  -- statuses, recent events in the row. A claim, which takes a job off the queue and adds to the runs, writes neither.
  CREATE TABLE types_3 (
    kind INTEGER PRIMARY KEY,
    type TEXT NOT NULL UNIQUE,
    paused INTEGER NOT NULL,
    policy TEXT,
    payload_schema TEXT
  ) STRICT;
  INSERT INTO types_3 (type, paused, policy, payload_schema)
  SELECT type, paused, policy, payload_schema FROM types ORDER BY type;
  DROP TABLE types;
  ALTER TABLE types_3 RENAME TO types;

  -- n: order of submission. payload: JSON where it is small, else in payloads. tags: NULL where there are none.
  CREATE TABLE jobs_3 (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    policy TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    tags TEXT,
    payload TEXT
  ) STRICT;

  -- A job has no row here as long as nothing has happened to it but that it was queued at once, and maybe claimed.
  -- status: job-row.ts has the codes. history: recent status events, JSON; older ones are in the table history.
  -- place: in the line of its type, NULL where it is not in line, or at n. settled_lease, settled_as: the last run that
  -- was settled, for a settle that is sent again. more: JSON of what most jobs have no need of.
  CREATE TABLE states (
    n INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    status INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    history TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    place INTEGER,
    fresh INTEGER NOT NULL,
    scheduled_for INTEGER,
    started_at INTEGER,
    completed_at INTEGER,
    expires_at INTEGER,
    result TEXT,
    settled_lease TEXT,
    settled_as INTEGER,
    more TEXT
  ) STRICT;

  -- The jobs that are queued. n: NULL where it is the place, as of a job that has no row in states.
  CREATE TABLE queue (
    kind INTEGER,
    priority INTEGER,
    place INTEGER,
    n INTEGER,
    PRIMARY KEY (kind, priority DESC, place)
  ) STRICT, WITHOUT ROWID;

  -- The jobs that are processing, and when they were claimed: where states does not say so, this does.
  CREATE TABLE runs (n INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT;

  INSERT INTO jobs_3
  SELECT n, id, kind, jobs.policy, created_at, nullif(tags, '[]'), payload FROM jobs JOIN types USING (type);
  INSERT INTO states
  SELECT
    n, kind,
    CASE status
      WHEN 'scheduled' THEN 0 WHEN 'queued' THEN 1 WHEN 'processing' THEN 2
      WHEN 'completed' THEN 3 WHEN 'failed' THEN 4 ELSE 5
    END,
    seq, '', attempt, CASE WHEN status IN ('queued', 'processing') THEN nullif(place, n) END, fresh,
    scheduled_for, started_at, completed_at, expires_at, result, settled_lease,
    CASE settled_as
      WHEN 'scheduled' THEN 0 WHEN 'queued' THEN 1 WHEN 'completed' THEN 3 WHEN 'failed' THEN 4 WHEN 'cancelled' THEN 5
    END,
    json_object(
      'trimmed', trimmed, 'outputs', outputs, 'outputBytes', output_bytes, 'stalls', stalls,
      'cancelRequested', json(iif(cancel_requested, 'true', 'false')),
      'progress', json(progress), 'progressSeq', progress_seq, 'progressAt', progress_at,
      'error', json(error), 'errorCode', error_code
    )
  FROM jobs JOIN types USING (type) WHERE NOT (status = 'queued' AND seq = 1 AND place = n);
  INSERT INTO queue
  SELECT kind, priority, place, iif(seq = 1 AND place = n, NULL, n) FROM jobs JOIN types USING (type)
  WHERE status = 'queued';
  INSERT INTO runs SELECT n, coalesce(started_at, created_at) FROM jobs WHERE status = 'processing';

  DROP TABLE jobs;
  ALTER TABLE jobs_3 RENAME TO jobs;
  CREATE UNIQUE INDEX jobs_id ON jobs (id);
  CREATE INDEX states_listed ON states (kind, status, n);
  CREATE INDEX states_due ON states (scheduled_for) WHERE status = 0;
  CREATE INDEX states_expiring ON states (expires_at) WHERE expires_at IS NOT NULL;
  `,
  `
  -- NULL where an older version registered the type.
  ALTER TABLE types ADD COLUMN result_schema TEXT;
  `,
]

/** Changes nothing; `named` is what the folder is called where it was set. Throws `Unavailable` where the file is of a newer version, or not Jobcast's. */
export function checkOwner(database: Database, path: string, named = 'JOBCAST_DATA'): void {
  const version = pragma(database, 'user_version')
  if (version > MIGRATIONS.length) {
    throw new Unavailable(
      `${path} was written by a newer version of Jobcast (schema ${version}, this one knows ${MIGRATIONS.length}): ` +
        `install that version or newer, or set ${named} to another folder`,
    )
  }
  const isEmpty = version === 0 && pragma(database, 'schema_version') === 0
  if (!isEmpty && pragma(database, 'application_id') !== APPLICATION_ID) {
    throw new Unavailable(`${path} belongs to another program: set ${named} to another folder`)
  }
}

/** Brings the file up to date, or to an earlier version. */
export function migrate(database: Database, wanted: number = MIGRATIONS.length): void {
  const version = pragma(database, 'user_version')
  for (const [index, migration] of MIGRATIONS.entries()) {
    if (index < version || index >= wanted) continue
    database.exec('BEGIN IMMEDIATE')
    try {
      database.exec(migration)
      database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${index + 1}; COMMIT`)
    } catch (error) {
      database.exec('ROLLBACK')
      throw error
    }
  }
}

function pragma(database: Database, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get([])?.[0] ?? 0)
}
