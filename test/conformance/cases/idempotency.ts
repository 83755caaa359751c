import { describe, expect } from 'vitest'
import type { SubmitRequest } from '../../../server/engine/engine.ts'
import { IdempotencyMismatch } from '../../../server/engine/errors.ts'
import { type EngineTest, listAll, newJob, present } from '../harness.ts'

const once = (payload: string, key: string, scope = '', jobs = 1): SubmitRequest => ({
  jobs: Array.from({ length: jobs }, () => newJob({ payload })),
  idempotency: { scope, key, bodyHash: `hash of ${payload}` },
})

export function idempotencyCases(it: EngineTest): void {
  describe('idempotency', () => {
    it('answers an equal submission with the first answer, whatever became of the job', async (kit) => {
      const first = await kit.engine.submit(once('a', 'key'))
      expect(first.replayed).toBe(false)
      expect(await kit.engine.submit(once('a', 'key'))).toEqual({ jobs: first.jobs, replayed: true })
      await kit.settle(await kit.claimOne(), { kind: 'completed', result: 1 })
      expect(await kit.engine.submit(once('a', 'key'))).toEqual({ jobs: first.jobs, replayed: true })
      expect(await kit.engine.remove(present(first.jobs[0], 'receipt').jobId)).toBe('removed')
      expect(await kit.engine.submit(once('a', 'key'))).toEqual({ jobs: first.jobs, replayed: true })
      expect(await listAll(kit.raw)).toEqual([])
    })

    it('refuses another body under the same key, and stores nothing', async (kit) => {
      const first = await kit.engine.submit(once('a', 'key'))
      await expect(kit.engine.submit(once('b', 'key'))).rejects.toBeInstanceOf(IdempotencyMismatch)
      await expect(kit.engine.submit(once('b', 'key', '', 300))).rejects.toBeInstanceOf(IdempotencyMismatch)
      expect(await listAll(kit.raw)).toHaveLength(1)
      expect(await kit.engine.submit(once('a', 'key'))).toEqual({ jobs: first.jobs, replayed: true })
    })

    it('keeps keys, and the same key of other owners, apart', async (kit) => {
      const names = [
        ['', 'a:b:c'],
        ['a', 'b:c'],
        ['a:b', 'c'],
        ['a:b:c', ''],
        ['', 'a'],
        ['a', 'a'],
        ['', '{a}'],
        ['', 'x'.repeat(255)],
        ['', 'x'.repeat(254)],
        ['', '%_*?[a]'],
        ['', ' '],
      ] as const
      for (const [scope, key] of names) {
        expect((await kit.raw.submit(once('same', key, scope))).replayed).toBe(false)
      }
      for (const [scope, key] of names) {
        expect((await kit.raw.submit(once('same', key, scope))).replayed).toBe(true)
      }
      expect(await listAll(kit.raw)).toHaveLength(names.length)
    })

    it('answers a batch as a whole', async (kit) => {
      const first = await kit.engine.submit(once('a', 'key', 'me', 300))
      expect(first.jobs).toHaveLength(300)
      expect(await kit.engine.submit(once('a', 'key', 'me', 300))).toEqual({
        jobs: first.jobs,
        replayed: true,
      })
      expect(await listAll(kit.raw)).toHaveLength(300)
    })

    it('makes one job of a hundred submissions at once', async ({ raw, store }) => {
      const peer = (await store.peer?.()) ?? raw
      const receipts = await Promise.all(
        Array.from({ length: 100 }, (_, index) => (index % 2 ? raw : peer).submit(once('a', 'key'))),
      )
      expect(new Set(receipts.map(({ jobs }) => jobs[0]?.jobId)).size).toBe(1)
      expect(receipts.filter(({ replayed }) => !replayed)).toHaveLength(1)
      expect(await listAll(raw)).toHaveLength(1)
    })

    it('lets only one of two bodies win when both come at once', async ({ raw }) => {
      const settled = await Promise.allSettled(
        Array.from({ length: 40 }, (_, index) => raw.submit(once(index % 2 ? 'a' : 'b', 'key'))),
      )
      const refused = settled.filter(({ status }) => status === 'rejected')
      expect(refused).toHaveLength(20)
      for (const one of refused) {
        if (one.status === 'rejected') expect(one.reason).toBeInstanceOf(IdempotencyMismatch)
      }
      expect(await listAll(raw)).toHaveLength(1)
    })

    it('remembers keys when the store is opened again', async ({ raw, store }) => {
      const first = await raw.submit(once('a', 'key'))
      const again = await store.reopen()
      const second = await again.submit(once('a', 'key'))
      expect(second.replayed).toBe(true)
      expect(second.jobs.map(({ jobId }) => jobId)).toEqual(first.jobs.map(({ jobId }) => jobId))
    })

    it('does not prune keys that are still remembered', async (kit) => {
      await kit.engine.submit(once('a', 'key'))
      expect(await kit.engine.prune({ limit: 200 })).toEqual({ pruned: 0 })
      expect((await kit.engine.submit(once('a', 'key'))).replayed).toBe(true)
    })
  })
}
