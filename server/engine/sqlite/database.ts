import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import Libsql from 'libsql'
import { Unavailable } from '../errors.ts'

/** What goes into SQLite and comes out of it. */
export type Value = string | number | null
export type Row = readonly Value[]

/** A prepared statement; parameters by position. */
export interface Statement {
  run(parameters: readonly Value[]): void
  get(parameters: readonly Value[]): Row | undefined
  all(parameters: readonly Value[]): Row[]
}

/** The little of SQLite that the engine uses, so that another binding can stand in for this one. */
export interface Database {
  prepare(sql: string): Statement
  /** Statements without parameters and answers. */
  exec(sql: string): void
  close(): void
}

/** SQLite refused: `code` is its primary result code (https://sqlite.org/rescode.html). */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  readonly code: number

  constructor(message: string, code: number) {
    super(message)
    this.code = code
  }

  /** The file is no database, or one that is damaged. */
  get isDamage(): boolean {
    return this.code === CORRUPT || this.code === NOT_A_DATABASE
  }
}

const BUSY = 5
const CORRUPT = 11
const CANNOT_OPEN = 14
const NOT_A_DATABASE = 26

/**
 * Result codes that tell of the file or the disk (locked, out of memory, read-only, I/O error, damaged, full,
 * …) and not of the statement.
 */
const STORAGE_CODES = new Set([3, 5, 6, 7, 8, 10, 11, 13, 14, 15, 22, 23, 26])

export function isStorageFailure(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && STORAGE_CODES.has(error.code)
}

/** How long another process' lock on the file is waited for, in ms; the event loop stands still meanwhile. */
const BUSY_TIMEOUT_MS = 250

/** Opens a database file, creating it where there is none. Throws `DatabaseError`. */
export function openDatabase(path: string, timeoutMs: number = BUSY_TIMEOUT_MS): Database {
  const database = inOurWords(() => new Libsql(path, { timeout: timeoutMs }))
  return {
    prepare(sql) {
      const statement = inOurWords(() => {
        const prepared = database.prepare(sql)
        return prepared.reader ? prepared.raw() : prepared
      })
      return {
        run: (parameters) => {
          inOurWords(() => statement.run(checked(parameters)))
        },
        get: (parameters) => inOurWords(() => statement.get(checked(parameters)) as Row | undefined),
        all: (parameters) => inOurWords(() => statement.all(checked(parameters)) as Row[]),
      }
    },
    exec: (sql) => {
      inOurWords(() => database.exec(sql))
    },
    close: () => {
      inOurWords(() => database.close())
    },
  }
}

/**
 * The binding ends the whole process over a boolean, cuts strings at NUL, and rounds what is no safe integer;
 * whatever could hold such a thing is stored as JSON, and here nothing else gets through.
 */
function checked(parameters: readonly Value[]): readonly Value[] {
  for (const value of parameters) {
    if (value === null) continue
    if (typeof value === 'string' ? !value.includes('\0') : Number.isSafeInteger(value)) continue
    throw new TypeError(`not storable: a ${typeof value}`)
  }
  return parameters
}

function inOurWords<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw converted(error)
  }
}

function converted(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  if (error instanceof Libsql.SqliteError) {
    const { rawCode } = error
    return new DatabaseError(error.message, rawCode === undefined ? 0 : rawCode & 0xff)
  }
  // Opening fails with an error of the binding's own, whose text ends in the result code.
  const opening = /Unable to open .*: (\d+)/.exec(error.message)
  return opening === null
    ? error
    : new DatabaseError('unable to open database file', Number(opening[1]) & 0xff || CANNOT_OPEN)
}

/** The folders that servers of this process have. */
const owned = new Set<string>()
const OWN =
  'server of this process: stop it (a program that loads its modules anew as they change keeps its server in globalThis)'

/** Gives the folder back; tolerates being called twice. */
export type ReleaseFolder = () => void

/**
 * Makes this process the only owner of the folder, creating it where there is none, until it is released or
 * the process is gone, however it ends; `named` is what it is called where it was set. Throws `Unavailable`.
 *
 * The lock is an exclusive transaction on a database of its own. Locks of POSIX go with the first close of
 * the file by anyone in the process: nothing else may ever open this file.
 */
export function lockFolder(folder: string, named = 'JOBCAST_DATA'): ReleaseFolder {
  try {
    makeFolder(resolve(folder))
    const database = openDatabase(join(folder, 'jobcast.lock'), 0)
    try {
      database.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      database.close()
      throw error
    }
    let held = true
    owned.add(resolve(folder))
    return () => {
      if (!held) return
      held = false
      owned.delete(resolve(folder))
      // Closing alone would keep the lock for as long as the process lives.
      database.exec('ROLLBACK')
      database.close()
    }
  } catch (error) {
    if (error instanceof DatabaseError && error.code === BUSY) {
      const owner = owned.has(resolve(folder)) ? OWN : 'process: stop it'
      throw new Unavailable(
        `${folder} is in use by another Jobcast ${owner}, or set ${named} to another folder`,
      )
    }
    const reason = error instanceof Error ? error.message : String(error)
    throw new Unavailable(
      `${folder} cannot be written to (${reason}): make it a writable folder, or set ${named} to another one`,
    )
  }
}

/**
 * `mkdirSync` with `recursive` tries for ever where a file system refuses a folder whose parent is there (`/proc`):
 * node 20 takes that for a missing parent.
 */
function makeFolder(path: string, content: 'jobs' | 'folders' = 'jobs'): void {
  if (existsSync(path)) return
  makeFolder(dirname(path), 'folders')
  try {
    mkdirSync(path, { mode: 0o700 })
    // Jobs hold what users send: no repository takes them up unasked.
    if (content === 'jobs') writeFileSync(join(path, '.gitignore'), '*\n')
  } catch (error) {
    // Another process was quicker.
    if (!existsSync(path)) throw error
  }
}
