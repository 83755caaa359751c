import { randomBytes, randomUUID } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { Unavailable } from '../errors.ts'
import { isJobId } from '../job/ids.ts'
import { NewerWords } from '../job/newer-words.ts'
import { type Bodies, isExpired } from '../job/stored-job.ts'
import { CLAIMED } from '../job/transitions.ts'
import { Catalog } from './catalog.ts'
import {
  type Database,
  isStorageFailure,
  lockFolder,
  openDatabase,
  type ReleaseFolder,
  type Row,
  type Statement,
  type Value,
} from './database.ts'
import { decodeRow, type JobRow, ROW, takeEvent } from './job-row.ts'
import { checkOwner, migrate } from './migrations.ts'
import { PendingWrites } from './pending-writes.ts'

interface StoreOptions {
  readonly newer?: NewerWords
  /** What the folder is called where it was set; left out: as the variable of the environment is. */
  readonly named?: string | undefined
  readonly now?: () => number
}

/** How many numbers are reserved at a time, so that not every submission writes which one was the last. */
const RESERVED_NUMBERS = 10_000

/**
 * Where the file is: in a folder, which is made where there is none, and belongs to one process at a time; or in this
 * process' memory, where those of one name are the same; null: one that nobody else has, and that nobody finds again.
 */
export type StoreLocation = { readonly folder: string } | { readonly memory: string | null }

/** The open file: the statements that several verbs use, and what is kept in memory beside it. */
export class Store {
  readonly path: string
  /** Tells the time, in ms since 1970. */
  readonly now: () => number
  readonly epoch: string
  readonly newer: NewerWords
  readonly catalog: Catalog
  readonly pending: PendingWrites
  /**
   * The jobs that run, by id, as they are once all that was committed counts; the only place where their runs are kept.
   * At first those that a process which is gone had begun.
   */
  readonly running = new Map<string, JobRow>()
  readonly #database: Database
  readonly #statements = new Map<string, Statement>()
  readonly #release: ReleaseFolder
  /** Null in memory, where nobody can take the file away. */
  readonly #inode: bigint | null
  #lastNumber: number
  /** Numbers up to this one are known to the file as taken. */
  #reservedNumber: number

  /** Opens the file, creating it where there is none. Throws `Unavailable` or `DatabaseError`. */
  constructor(
    location: StoreLocation,
    { newer = new NewerWords(), named, now = Date.now }: StoreOptions = {},
  ) {
    this.newer = newer
    this.now = now
    this.path =
      'folder' in location ? join(location.folder, 'jobcast.db') : memoryPath(location.memory ?? randomUUID())
    this.#release = 'folder' in location ? lockFolder(location.folder, named) : () => {}
    let database: Database | undefined
    try {
      database = openDatabase(this.path)
      this.#database = database
      checkOwner(database, this.path, named)
      database.exec(`
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA wal_autocheckpoint = 4000;
        PRAGMA cache_size = -65536;
        PRAGMA journal_size_limit = 67108864;
      `)
      migrate(database)
      this.#write('INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)', ['epoch', newEpoch()])
      this.#write('INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)', ['last_place', '0'])
      this.epoch = this.#meta('epoch')
      this.#reservedNumber = Number(this.#meta('last_place'))
      this.#lastNumber = this.#reservedNumber
      this.catalog = new Catalog(database)
      this.pending = new PendingWrites(database)
      this.#readRuns()
      this.#inode = 'folder' in location ? inodeOf(this.path) : null
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
    if (this.#inode === null || inodeOf(this.path) === this.#inode) return
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
    this.pending.discard()
    try {
      this.#database.exec('ROLLBACK')
    } catch {
      // Where the disk is full, SQLite has already ended the transaction itself.
    }
  }

  /** Writes what is collected, so that it can be read back. */
  flush(): void {
    this.pending.flush()
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

  /** A number that is greater than all before it: a job's order of submission, its spot in line. */
  nextNumber(): number {
    return ++this.#lastNumber
  }

  /** Keeps for the next start that the numbers given out are taken; returns how to take that back. */
  saveNumbers(): () => void {
    const before = this.#reservedNumber
    if (this.#lastNumber > before) {
      const reserved = this.#lastNumber + RESERVED_NUMBERS
      this.run('UPDATE meta SET value = ? WHERE name = ?', [String(reserved), 'last_place'])
      // Only now: where the write fails, the next transaction has to make it.
      this.#reservedNumber = reserved
    }
    return () => {
      this.#reservedNumber = before
    }
  }

  /** The job as it stands at a time; null where it is unknown, expired, or the id is none. */
  liveJob(jobId: string, now: number): JobRow | null {
    const running = this.running.get(jobId)
    if (running !== undefined) return running
    if (!isJobId(jobId)) return null
    const found = this.get(`SELECT ${ROW} FROM jobs LEFT JOIN states USING (n) WHERE id = ?`, [jobId])
    const row = found === undefined ? null : this.decode(found)
    return row === null || isExpired(row, now) ? null : row
  }

  jobByNumber(n: number): JobRow | null {
    const found = this.get(`SELECT ${ROW} FROM jobs LEFT JOIN states USING (n) WHERE jobs.n = ?`, [n])
    if (found === undefined) return null
    const row = this.decode(found)
    return this.running.get(row.jobId) ?? row
  }

  /** A row that was selected by `ROW`. What it says of a job that runs may be out of date: see `running`. */
  decode(row: Row): JobRow {
    return decodeRow(row, this.catalog.typeOf, this.newer)
  }

  bodies(row: JobRow): Bodies {
    return { payload: this.payload(row), result: this.result(row) }
  }

  /** The job's payload, as JSON. */
  payload({ n, payload }: JobRow): string {
    return payload ?? (this.get('SELECT json FROM payloads WHERE n = ?', [n])?.[0] as string)
  }

  /** The job's result, as JSON; null where there is none. */
  result({ n, status, result }: JobRow): string | null {
    if (result !== null || status !== 'completed') return result
    return (this.get('SELECT json FROM results WHERE n = ?', [n])?.[0] ?? null) as string | null
  }

  #readRuns(): void {
    const runs = this.#database.prepare(`
      SELECT ${ROW}, runs.at FROM runs CROSS JOIN jobs ON jobs.n = runs.n LEFT JOIN states ON states.n = runs.n`)
    for (const columns of runs.all([])) {
      const row = this.decode(columns)
      // Nothing was written of the job since it was claimed.
      if (row.status !== 'processing') takeEvent(row, CLAIMED, columns.at(-1) as number)
      this.running.set(row.jobId, row)
    }
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

/** Every connection of the process that opens it is on the same database (https://sqlite.org/inmemorydb.html). */
export function memoryPath(name: string): string {
  return `file:jobcast-${name}?mode=memory&cache=shared`
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
