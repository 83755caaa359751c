import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Unavailable } from '../errors.ts'
import { BUSY, DatabaseError, openDatabase } from './database.ts'

/** Gives the folder back; tolerates being called twice. */
export type ReleaseFolder = () => void

/**
 * Makes this process the only owner of the folder, creating it where there is none, until it is released or
 * the process is gone, however it ends. Throws `Unavailable`.
 *
 * The lock is an exclusive transaction on a database of its own. Locks of POSIX go with the first close of
 * the file by anyone in the process: nothing else may ever open this file.
 */
export function lockFolder(folder: string): ReleaseFolder {
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
    return () => {
      if (!held) return
      held = false
      // Closing alone would keep the lock for as long as the process lives.
      database.exec('ROLLBACK')
      database.close()
    }
  } catch (error) {
    if (error instanceof DatabaseError && error.code === BUSY) {
      throw new Unavailable(
        `${folder} is in use by another Jobcast process: stop it, or set JOBCAST_DATA to another folder`,
      )
    }
    const reason = error instanceof Error ? error.message : String(error)
    throw new Unavailable(
      `${folder} cannot be written to (${reason}): make it a writable folder, or set JOBCAST_DATA to another one`,
    )
  }
}

/**
 * `mkdirSync` with `recursive` tries for ever where a file system refuses a folder whose parent is there (`/proc`):
 * node 20 takes that for a missing parent.
 */
function makeFolder(path: string): void {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // Another process was quicker.
    if (!existsSync(path)) throw error
  }
}
