import { randomUUID } from 'node:crypto'
import { openDatabase } from '../../server/engine/sqlite/database.ts'
import { createSqliteEngine } from '../../server/engine/sqlite/engine.ts'
import { memoryPath } from '../../server/engine/sqlite/store.ts'
import type { OpenStore } from './harness.ts'

/** The embedded engine in memory. */
export async function openMemory(): Promise<OpenStore> {
  const location = { memory: randomUUID() }
  // It is gone with the last that is open, and is to outlive an engine.
  const keeper = openDatabase(memoryPath(location.memory))
  let engine = createSqliteEngine(location)
  await engine.start()
  return {
    get engine() {
      return engine
    },
    async reopen() {
      await engine.stop()
      engine = createSqliteEngine(location)
      await engine.start()
      return engine
    },
    interrupt: () => Promise.resolve(false),
    async close() {
      await engine.stop()
      keeper.close()
    },
  }
}
