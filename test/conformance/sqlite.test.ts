import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'libsql'
import { afterEach, describe, expect, test } from 'vitest'
import type { Engine } from '../../server/engine/engine.ts'
import { Unavailable } from '../../server/engine/errors.ts'
import { createSqliteEngine } from '../../server/engine/sqlite/engine.ts'
import { until } from '../helpers/until.ts'
import { describeEngine } from './describe-engine.ts'
import { createKit, type Kit, type OpenStore, present, tick } from './harness.ts'
import { openSqlite } from './open-sqlite.ts'
import { roundOfJobs } from './round-of-jobs.ts'

describeEngine('sqlite', openSqlite)

describe('the sqlite engine, of its own', () => {
  const opened: { close(): Promise<void> }[] = []
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
  })

  async function open() {
    const store = await openSqlite()
    opened.push(store)
    return { store, kit: createKit(store, new Set()) }
  }

  const engineOn = (folder: string): Engine => {
    const engine = createSqliteEngine({ folder })
    opened.push({ close: () => engine.stop() })
    return engine
  }

  test('keeps everything, its epoch too, when it is opened again', async () => {
    const { store, kit } = await open()
    const finished = await kit.submit({ payload: { a: 1 } })
    const run = await kit.claimOne()
    await kit.report(
      run,
      { kind: 'chunk', data: 'part' },
      { kind: 'progress', data: { percent: 5, note: null } },
    )
    await kit.settle(run, { kind: 'completed', result: 'r' })
    const scheduled = await kit.submit({ when: { delayMs: 3_600_000 } })
    const queued = await kit.submit({ tags: ['t'] })
    const jobs = [finished, scheduled, queued]
    const state = async (of: Kit) => ({
      jobs: await Promise.all(jobs.map((jobId) => of.job(jobId))),
      events: await Promise.all(jobs.map((jobId) => of.events(jobId))),
      types: await of.raw.types(),
      epoch: of.raw.feed.epoch,
    })
    const before = await state(kit)
    await store.reopen()
    expect(await state(createKit(store, new Set()))).toEqual(before)
  })

  test('knows the former owner dead and takes its runs back at once', async () => {
    const { store, kit } = await open()
    const jobId = await kit.submit()
    const run = await kit.claimOne({ leaseMs: 3_600_000 })
    const engine = await store.reopen()
    await until(
      async () => {
        await engine.rescue({ limit: 10 })
        return (await engine.get(jobId))?.status === 'queued'
      },
      { what: 'the run to be taken back' },
    )
    expect(await engine.get(jobId)).toMatchObject({ stalls: 1, attempt: 1 })
    expect(await engine.extend({ leases: [run], leaseMs: 1000 })).toEqual(['stale'])
  })

  test('refuses a folder that another engine holds, until that one stops', async () => {
    const { store, kit } = await open()
    const second = engineOn(store.folder)
    await expect(second.start()).rejects.toBeInstanceOf(Unavailable)
    await kit.submit()
    await kit.raw.stop()
    const third = engineOn(store.folder)
    await third.start()
    expect((await third.types())[0]?.counts.queued).toBe(1)
  })

  test('makes its folder, and says so in one line where it cannot', async () => {
    const { store } = await open()
    const nested = engineOn(join(store.folder, 'a', 'b'))
    await nested.start()
    await nested.check()
    const file = join(store.folder, 'a-file')
    await writeFile(file, 'not a folder')
    const refusal = await engineOn(file)
      .start()
      .catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(Unavailable)
    expect(String(refusal)).not.toContain('\n')
  })

  test('may be stopped before it was started, and twice', async () => {
    const { store } = await open()
    const engine = engineOn(join(store.folder, 'other'))
    await engine.stop()
    await store.engine.stop()
    await store.engine.stop()
  })

  test('leaves nothing behind of jobs that were forgotten', async () => {
    const { store, kit } = await open()
    await roundOfJobs(kit, 2)
    const before = await rowCounts(store)
    await roundOfJobs(createKit(store, new Set()), 12)
    expect(await rowCounts(store)).toEqual(before)
  })

  /** Rows of every table, of the file as the engine leaves it. */
  async function rowCounts(store: OpenStore & { folder: string }): Promise<Record<string, number>> {
    await tick()
    await store.engine.stop()
    const counts: Record<string, number> = {}
    for (const file of await readdir(store.folder)) {
      if (/-(wal|shm|journal)$/.test(file)) continue
      const database = new Database(join(store.folder, file), { readonly: true })
      const rowsOf = (sql: string): unknown[] => database.prepare(sql).all()
      for (const row of rowsOf("select name from sqlite_master where type = 'table'")) {
        const name = String(Object.values(Object(row))[0])
        const [count] = rowsOf(`select count(*) from "${name}"`)
        counts[`${file} ${name}`] = Number(present(Object.values(Object(count))[0], 'count'))
      }
      database.close()
    }
    await store.reopen()
    expect(Object.keys(counts).length).toBeGreaterThan(1)
    return counts
  }
})
