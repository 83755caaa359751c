import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { dataFolder } from '../helpers/server.ts'
import { faultTest } from './harness/fault-test.ts'
import { expectQuickRefusals, expectUnready, untilMore } from './harness/faults.ts'
import { isSoak } from './harness/repetitions.ts'
import { openSqliteStore, type SqliteStore } from './harness/store.ts'

const ON_SQLITE = { on: ['sqlite'] } as const
const MIB = 1024 * 1024

describe('the embedded engine', () => {
  const kills = isSoak ? 200 : 3

  faultTest(
    'kill -9 the process with jobs queued and running, again and again',
    { ...ON_SQLITE, soak: 1, times: kills },
    async (lab) => {
      await lab.start()
      for (let kill = 1; kill <= kills; kill += 1) {
        const [first = ''] = await lab.submitBatch(40, {
          type: 'steps',
          payload: { steps: 3, stepMs: 10 },
          options: { maxStalls: 100 },
        })
        const load = lab.load({ everyMs: 5, options: { maxStalls: 100 } })
        await lab.untilBegun(first)
        // Later and later in the life of the batch.
        await untilMore(lab, 'accepted', 1 + (kill % 10))
        await lab.api.kill()
        await load.stop()
        await lab.api.restart()
      }
      lab.over()
    },
  )

  const disk = smallDisk()
  faultTest(
    'the disk is full',
    {
      ...ON_SQLITE,
      skip: disk === null,
      // The file keeps the room that its jobs once took, and so the next could be stored there.
      isFinal: true,
      openStore: async () => (await disk?.open()) ?? openSqliteStore(),
    },
    async (lab) => {
      await lab.start()
      lab.load({ everyMs: 100 })
      await untilMore(lab, 'accepted')
      const ballast = join((lab.store as SqliteStore).folder, 'ballast')
      fill(ballast)
      await untilMore(lab, 'refusals')
      await expectUnready(lab, /full/)
      rmSync(ballast)
      lab.over()
      await untilMore(lab, 'accepted')
      expectQuickRefusals(lab)
    },
  )
})

/** Takes all the room that is left. */
function fill(path: string): void {
  for (const size of [MIB, 1024, 1]) {
    const piece = Buffer.alloc(size)
    for (;;) {
      try {
        writeFileSync(path, piece, { flag: 'a' })
      } catch (error) {
        expect(error).toMatchObject({ code: 'ENOSPC' })
        break
      }
    }
  }
}

/** A file system of 16 MiB; null where this user may not mount one. */
function smallDisk(): { open(): Promise<SqliteStore> } | null {
  const mount = (path: string) =>
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', path]).status === 0
  const unmount = (path: string) => spawnSync('umount', ['--lazy', path])
  const trial = mkdtempSync(join(tmpdir(), 'jobcast-mount-'))
  const mayMount = mount(trial)
  if (mayMount) unmount(trial)
  rmdirSync(trial)
  if (!mayMount) return null
  return {
    async open() {
      const { path, remove } = await dataFolder()
      if (!mount(path)) throw new Error('tmpfs cannot be mounted')
      const store = await openSqliteStore(path)
      return {
        ...store,
        async close() {
          unmount(path)
          await remove()
        },
      }
    },
  }
}
