import { describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '../../server/engine/sqlite/database.ts'
import { isTerminal } from '../../shared/status.ts'
import { until } from '../helpers/until.ts'
import { countsEqualList, createKit, type Kit, leaseOf, listAll } from './harness.ts'
import { openSqlite } from './open-sqlite.ts'
import { ALL_TYPES, SCENES } from './scenes.ts'

interface Faults {
  /** From now on every transaction fails behind so many of its writes, by SQLite itself; null: none does. */
  failBehind(writes: number | null): void
  close(): void
}

function faultsIn(file: string): Faults {
  const database = openDatabase(file)
  const tables = database
    .prepare(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
    .all([])
    .map(([name]) => String(name))
  database.exec('CREATE TABLE fail (left INTEGER); INSERT INTO fail VALUES (-1)')
  for (const table of tables) {
    for (const verb of ['INSERT', 'UPDATE', 'DELETE']) {
      database.exec(`CREATE TRIGGER fail_${table}_${verb} BEFORE ${verb} ON "${table}" BEGIN
        SELECT RAISE(ABORT, 'failed on purpose') WHERE (SELECT left FROM fail) = 0;
        UPDATE fail SET left = left - 1;
      END`)
    }
  }
  return {
    failBehind: (writes) => database.prepare('UPDATE fail SET left = ?').run([writes ?? -1]),
    close: () => database.close(),
  }
}

/** Leases are kept in memory: extending them writes nothing. */
const WRITING = Object.entries(SCENES).filter(([, [verb]]) => verb !== 'extend')

describe.each(WRITING)('a transaction that fails: %s', (_what, [, scene]) => {
  test('behind whichever of its writes, all is as if it had not been', async () => {
    const store = await openSqlite()
    onTestFinished(() => store.close())
    const kit = createKit(store, new Set())
    const call = await scene(kit)
    const faults = faultsIn(`${store.folder}/jobcast.db`)
    onTestFinished(() => faults.close())
    const before = await picture(kit)
    let writes = 0
    for (; ; writes++) {
      faults.failBehind(writes)
      const isBroken = await call().then(
        () => false,
        () => true,
      )
      if (!isBroken) break
      expect(await picture(kit), `failed behind ${writes} writes`).toEqual(before)
    }
    expect(writes).toBeGreaterThan(0)
    faults.failBehind(null)
    await worksOff(kit)
  })
})

test('a store whose first submissions fail takes the next one, after a restart too', async () => {
  const store = await openSqlite()
  onTestFinished(() => store.close())
  const faults = faultsIn(`${store.folder}/jobcast.db`)
  onTestFinished(() => faults.close())
  const kit = createKit(store, new Set())
  const isRefused = () =>
    kit.submit().then(
      () => false,
      () => true,
    )
  let refused = 0
  for (faults.failBehind(0); await isRefused(); faults.failBehind(refused)) refused += 1
  expect(refused).toBeGreaterThan(1)
  faults.failBehind(null)
  await kit.submit()
  const reopened = createKit({ ...store, engine: await store.reopen() }, new Set())
  // As many as have numbers that were given out before: none may be given out again.
  for (let n = 0; n < refused + 2; n++) await reopened.submit()
  expect(await listAll(reopened.raw)).toHaveLength(refused + 4)
})

async function picture({ raw }: Kit) {
  return { jobs: await listAll(raw), types: await raw.types() }
}

/** Everything ends, and what is known in memory agrees with the file, after a restart as well. */
async function worksOff(kit: Kit): Promise<void> {
  const { raw, store } = kit
  await raw.resume('work')
  await until(
    async () => {
      await raw.promote({ limit: 200 })
      await raw.rescue({ limit: 200 })
      await raw.prune({ limit: 200 })
      for (const run of await kit.claim({ workerId: 'healer', limit: 50, types: ALL_TYPES })) {
        const outcome = { kind: 'completed', result: null } as const
        await raw.settle({ settlements: [{ ...leaseOf(run), outcome, events: [] }] })
      }
      return (await listAll(raw)).every(({ status }) => isTerminal(status))
    },
    { what: 'every job to end' },
  )
  await countsEqualList(raw)
  const { types } = await picture(kit)
  const engine = await store.reopen()
  expect(await engine.types()).toEqual(types)
}
