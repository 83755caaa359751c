import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { Unavailable } from '../errors.ts'
import { isJobId } from '../job-id.ts'
import { BulkInsert } from './bulk-insert.ts'
import { Catalog } from './catalog.ts'
import {
  type Database,
  isStorageFailure,
  openDatabase,
  type Row,
  type Statement,
  type Value,
} from './database.ts'
import { lockFolder, type ReleaseFolder } from './folder-lock.ts'
import { COLUMNS, decodeRow, encodeField, isExpired, type JobRow, NEW_FIELDS } from './job-row.ts'
import { checkOwner, migrate } from './migrations.ts'

/** A job's payload and result, as JSON; no result is null. */
export interface Bodies {
  readonly payload: string
  readonly result: string | null
}

/** The open file: the statements that several verbs use, and what is kept in memory beside it. */
export class Store {
  readonly path: string
  readonly epoch: string
  readonly catalog: Catalog
  readonly inserts: Inserts
  readonly #database: Database
  readonly #statements = new Map<string, Statement>()
  /** By the fields that they set: every kind of transition has a few of its own. */
  readonly #updates = new Map<string, Statement>()
  /** The jobs that run, whose rows are needed again soon; always as they are in the file. */
  readonly #running = new Map<string, JobRow>()
  readonly #release: ReleaseFolder
  readonly #inode: bigint | null
  #lastPlace: number

  /** Opens the folder's file, creating it where there is none. Throws `Unavailable` or `DatabaseError`. */
  constructor(folder: string) {
    this.path = join(folder, 'jobcast.db')
    this.#release = lockFolder(folder)
    let database: Database | undefined
    try {
      database = openDatabase(this.path)
      this.#database = database
      checkOwner(database, this.path)
      database.exec(`
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA cache_size = -65536;
        PRAGMA journal_size_limit = 67108864;
      `)
      migrate(database)
      this.#write('INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)', ['epoch', newEpoch()])
      this.#write('INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)', ['last_place', '0'])
      this.epoch = this.#meta('epoch')
      this.#lastPlace = Number(this.#meta('last_place'))
      this.catalog = new Catalog(database)
      this.inserts = newInserts(database)
      this.#inode = inodeOf(this.path)
    } catch (error) {
      database?.close()
      this.#release()
      throw error
    }
  }

  /** Merges the log of writes into the file and gives the folder back. */
  close(): void {
    try {
      this.#database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all([])
    } catch (error) {
      // The log stays beside the file, and the next start reads it.
      if (!isStorageFailure(error)) throw error
    } finally {
      this.#database.close()
      this.#release()
    }
  }

  /**
   * Throws `Unavailable` where the file was removed or replaced: what is written to it then would be lost.
   */
  assertInPlace(): void {
    if (inodeOf(this.path) === this.#inode) return
    throw new Unavailable(`${this.path} was removed or replaced while in use: restart Jobcast`)
  }

  /** Proves that the file takes writes. */
  touch(now: number): void {
    this.run('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)', ['checked_at', String(now)])
  }

  begin(): void {
    this.run('BEGIN IMMEDIATE', [])
  }

  /** Writes what is still collected, and makes it durable. */
  commit(): void {
    this.flush()
    this.run('COMMIT', [])
  }

  rollback(): void {
    for (const insert of Object.values(this.inserts)) insert.discard()
    try {
      this.#database.exec('ROLLBACK')
    } catch {
      // Where the disk is full, SQLite has already ended the transaction itself.
    }
  }

  flush(): void {
    for (const insert of Object.values(this.inserts)) insert.flush()
  }

  run(sql: string, parameters: readonly Value[]): void {
    this.#statement(sql).run(parameters)
  }

  get(sql: string, parameters: readonly Value[]): Row | undefined {
    return this.#statement(sql).get(parameters)
  }

  all(sql: string, parameters: readonly Value[]): Row[] {
    return this.#statement(sql).all(parameters)
  }

  /** A number that is greater than all before it: a job's order of submission, its place in line. */
  nextPlace(): number {
    return ++this.#lastPlace
  }

  /** Keeps the last place for the next start. */
  savePlace(): void {
    this.run('UPDATE meta SET value = ? WHERE name = ?', [String(this.#lastPlace), 'last_place'])
  }

  /** The job as it stands at a time; null where it is unknown, expired, or the id is none. */
  liveJob(jobId: string, now: number): JobRow | null {
    const running = this.#running.get(jobId)
    if (running !== undefined) return running
    if (!isJobId(jobId)) return null
    const found = this.get(`SELECT ${ROW} FROM jobs WHERE id = ?`, [jobId])
    const row = found === undefined ? null : decodeRow(found)
    return row === null || isExpired(row, now) ? null : row
  }

  /** Writes some fields of a job. */
  saveJob(row: JobRow, fields: readonly (keyof JobRow)[]): void {
    const parameters = fields.map((field) => encodeField(row, field))
    parameters.push(row.n)
    this.#update(fields).run(parameters)
    if (row.status === 'processing') this.#running.set(row.id, row)
    else this.#running.delete(row.id)
  }

  /** Forgets what is known of a job beside the file, after a change that failed. */
  forgetRunning(jobId: string): void {
    this.#running.delete(jobId)
  }

  jobByNumber(n: number): JobRow | null {
    const row = this.get(`SELECT ${ROW} FROM jobs WHERE n = ?`, [n])
    return row === undefined ? null : decodeRow(row)
  }

  bodies(n: number): Bodies {
    const row = this.get(
      'SELECT payloads.json, results.json FROM payloads LEFT JOIN results USING (n) WHERE n = ?',
      [n],
    )
    return { payload: row?.[0] as string, result: (row?.[1] ?? null) as string | null }
  }

  /** The job's result, as JSON; null where there is none. */
  result(n: number): string | null {
    return (this.get('SELECT json FROM results WHERE n = ?', [n])?.[0] ?? null) as string | null
  }

  #update(fields: readonly (keyof JobRow)[]): Statement {
    const key = fields.join()
    const known = this.#updates.get(key)
    if (known !== undefined) return known
    const assignments = fields.map((field) => `${COLUMNS[field]} = ?`).join(', ')
    const statement = this.#database.prepare(`UPDATE jobs SET ${assignments} WHERE n = ?`)
    this.#updates.set(key, statement)
    return statement
  }

  #statement(sql: string): Statement {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#database.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  #write(sql: string, parameters: readonly Value[]): void {
    this.#database.prepare(sql).run(parameters)
  }

  #meta(name: string): string {
    return String(this.#database.prepare('SELECT value FROM meta WHERE name = ?').get([name])?.[0])
  }
}

/** All columns of a job's row, for `decodeRow`. */
export const ROW = Object.values(COLUMNS)
  .map((column) => `jobs.${column}`)
  .join(', ')

type Inserts = ReturnType<typeof newInserts>

function newInserts(database: Database) {
  return {
    jobs: new BulkInsert(
      database,
      'jobs',
      NEW_FIELDS.map((field) => COLUMNS[field]),
    ),
    payloads: new BulkInsert(database, 'payloads', ['n', 'json']),
    tags: new BulkInsert(database, 'tags', ['tag', 'n']),
    results: new BulkInsert(database, 'results', ['n', 'json']),
    history: new BulkInsert(database, 'history', ['n', 'seq', 'at', 'data']),
    output: new BulkInsert(database, 'output', ['n', 'seq', 'at', 'kind', 'bytes', 'data']),
  }
}

/** Tells a file from any other; null where there is none to be seen. */
function inodeOf(path: string): bigint | null {
  try {
    return statSync(path, { bigint: true }).ino
  } catch {
    return null
  }
}

/** Short, and without white space or dots. */
function newEpoch(): string {
  return randomBytes(6).toString('base64url')
}
