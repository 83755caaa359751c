import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSqliteEngine } from '../../server/engine/sqlite/engine.ts'
import type { OpenStore } from './harness.ts'

/** The embedded engine on a new folder. */
export async function openSqlite(): Promise<OpenStore & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-sqlite-'))
  let engine = createSqliteEngine({ folder })
  await engine.start()
  return {
    folder,
    get engine() {
      return engine
    },
    async reopen() {
      await engine.stop()
      engine = createSqliteEngine({ folder })
      await engine.start()
      return engine
    },
    // Messages go from one function to another.
    interrupt: () => Promise.resolve(false),
    async close() {
      await engine.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
