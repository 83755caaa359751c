import { describe, expect } from 'vitest'
import { BadPage } from '../../../server/engine/errors.ts'
import type { Job } from '../../../shared/job.ts'
import { type EngineTest, type Kit, listAll, newJob, tick } from '../harness.ts'

const everything = { types: [], statuses: [], tags: [], page: null } as const
const ids = (jobs: readonly Job[]) => jobs.map(({ jobId }) => jobId)

/** One job in every status of each of two types; the second type's are tagged. */
async function oneOfEach(kit: Kit): Promise<void> {
  for (const type of ['alpha', 'beta']) {
    const shape = { type, tags: type === 'beta' ? ['second', type] : [] }
    await kit.submit({ ...shape, when: { delayMs: 3_600_000 } })
    for (const kind of ['completed', 'failed', 'cancelled'] as const) {
      await kit.submit(shape)
      const run = await kit.claimOne({ types: { [type]: 1 } })
      if (kind === 'completed') await kit.settle(run, { kind, result: null })
      else if (kind === 'failed') await kit.settle(run, { kind, error: 'no', errorCode: 'handler_error' })
      else await kit.settle(run, { kind })
    }
    await kit.submit(shape)
    await kit.claimOne({ types: { [type]: 1 } })
    await kit.submit(shape)
  }
}

export function listCases(it: EngineTest): void {
  describe('list', () => {
    it('is empty at first', async ({ raw }) => {
      expect(await raw.list({ ...everything, limit: 50 })).toEqual({ jobs: [], nextPage: null, newest: null })
    })

    it('shows whole jobs, newest first', async (kit) => {
      const submitted: string[] = []
      for (let n = 0; n < 5; n++) {
        submitted.unshift(await kit.submit({ payload: n, tags: [`n${n}`] }))
        await tick()
      }
      const { jobs, nextPage } = await kit.raw.list({ ...everything, limit: 50 })
      expect(ids(jobs)).toEqual(submitted)
      expect(nextPage).toBeNull()
      for (const job of jobs) expect(job).toEqual(await kit.raw.get(job.jobId))
    })

    it('leaves out payloads and results, small or large, where they are not wanted', async (kit) => {
      for (const size of [1, 1000]) {
        await kit.submit({ payload: 'p'.repeat(size) })
        await kit.settle(await kit.claimOne(), { kind: 'completed', result: 'r'.repeat(size) })
      }
      const { jobs } = await kit.raw.list({ ...everything, limit: 50 })
      const { jobs: without } = await kit.raw.list({ ...everything, limit: 50, withBodies: false })
      expect(jobs.map(({ payload, result }) => [payload, result])).not.toContainEqual([null, null])
      expect(without).toEqual(jobs.map((job) => ({ ...job, payload: null, result: null })))
    })

    it('keeps its order whatever happens to the jobs', async (kit) => {
      const first = await kit.submit({ policy: { priority: 9 } })
      await tick()
      const second = await kit.submit()
      await kit.settle(await kit.claimOne(), { kind: 'completed', result: null })
      await kit.engine.cancel(second)
      await kit.engine.retry(second)
      expect(ids(await listAll(kit.raw))).toEqual([second, first])
    })

    it('ends at what an earlier list knew already, whatever the filter', async (kit) => {
      const since = async (query: { tags?: string[]; limit?: number }, earlier: string | null) =>
        kit.raw.list({ ...everything, limit: 50, ...query, since: earlier })
      const { newest: none } = await since({}, null)
      expect(none).toBeNull()
      const first = await kit.submit({ tags: ['x'] })
      const { newest: atFirst } = await since({ tags: ['y'] }, null)
      expect(await since({}, atFirst)).toEqual({ jobs: [], nextPage: null, newest: atFirst })
      await tick()
      const { jobs: later } = await kit.raw.submit({
        jobs: [newJob({ tags: ['x'] }), newJob({}), newJob({})],
      })
      const fresh = await since({}, atFirst)
      expect(ids(fresh.jobs)).toEqual(later.map(({ jobId }) => jobId).reverse())
      expect(fresh.nextPage).toBeNull()
      expect(ids((await since({ tags: ['x'] }, atFirst)).jobs)).toEqual([later[0]?.jobId])
      expect(ids((await since({ tags: ['x'] }, null)).jobs)).toEqual([later[0]?.jobId, first])
      const short = await since({ limit: 1 }, atFirst)
      expect(short.nextPage).not.toBeNull()
      expect(short.newest).toBe(fresh.newest)
      expect((await since({}, fresh.newest)).jobs).toEqual([])
    })

    it('filters by any type, any status and all tags', async (kit) => {
      await oneOfEach(kit)
      const count = async (query: Parameters<typeof listAll>[1]) => (await listAll(kit.raw, query)).length
      expect(await count({})).toBe(12)
      expect(await count({ types: ['alpha'] })).toBe(6)
      expect(await count({ types: ['alpha', 'beta'] })).toBe(12)
      expect(await count({ types: ['gamma'] })).toBe(0)
      expect(await count({ types: ['gamma', 'beta'] })).toBe(6)
      expect(await count({ statuses: ['completed', 'failed'] })).toBe(4)
      expect(await count({ types: ['beta'], statuses: ['queued'] })).toBe(1)
      expect(await count({ tags: ['second'] })).toBe(6)
      expect(await count({ tags: ['second', 'beta'] })).toBe(6)
      expect(await count({ tags: ['second', 'alpha'] })).toBe(0)
      expect(await count({ tags: ['secon'] })).toBe(0)
      expect(await count({ tags: ['second'], types: ['alpha'] })).toBe(0)
      expect(await count({ tags: ['second'], statuses: ['scheduled', 'processing'] })).toBe(2)
      for (const status of [
        'scheduled',
        'queued',
        'processing',
        'completed',
        'failed',
        'cancelled',
      ] as const) {
        const jobs = await listAll(kit.raw, { statuses: [status], limit: 1 })
        expect(jobs.map((job) => job.status)).toEqual([status, status])
      }
    })

    it('takes tags literally', async (kit) => {
      const tags = [
        'a,b',
        'a',
        '"',
        "'",
        '%',
        '_',
        '*',
        'é',
        '\u0000',
        'x'.repeat(64),
        '__proto__',
        '[1]',
        'A',
      ]
      for (const tag of tags) await kit.submit({ tags: [tag] })
      for (const tag of tags) {
        expect((await listAll(kit.raw, { tags: [tag] })).map((job) => job.tags)).toEqual([[tag]])
      }
    })

    it('pages through everything once, while jobs are added and removed', async (kit) => {
      const before = (await kit.raw.submit({ jobs: Array.from({ length: 40 }, () => newJob()) })).jobs
      await tick()
      const seen: string[] = []
      let page: string | null = null
      for (let pages = 0; pages < 100; pages++) {
        const answer: Awaited<ReturnType<typeof kit.raw.list>> = await kit.raw.list({
          ...everything,
          limit: 7,
          page,
        })
        expect(answer.jobs.length).toBeLessThanOrEqual(7)
        seen.push(...ids(answer.jobs))
        await kit.raw.submit({ jobs: [newJob(), newJob()] })
        // The job that a page ended with may be gone when the next page is asked for.
        const last = answer.jobs.at(-1)
        if (last !== undefined) {
          await kit.raw.cancel(last.jobId)
          await kit.raw.remove(last.jobId)
        }
        page = answer.nextPage
        if (page === null) break
      }
      expect(page).toBeNull()
      expect(new Set(seen).size).toBe(seen.length)
      const missing = before.filter(({ jobId }) => !seen.includes(jobId))
      expect(missing).toEqual([])
    })

    it('pages through jobs of one moment, and through filters', async (kit) => {
      const shapes = Array.from({ length: 60 }, (_, n) =>
        newJob({ type: n % 3 ? 'alpha' : 'beta', tags: [`${n % 2}`] }),
      )
      await kit.raw.submit({ jobs: shapes })
      const jobs = await listAll(kit.raw, { types: ['beta'], tags: ['0'], limit: 3 })
      expect(new Set(ids(jobs)).size).toBe(10)
      expect(jobs.every(({ type, tags }) => type === 'beta' && tags[0] === '0')).toBe(true)
      expect(new Set(ids(await listAll(kit.raw, { limit: 1 }))).size).toBe(60)
    })

    it('refuses a page that no list returned', async (kit) => {
      await kit.submit()
      for (const page of [
        '',
        'garbage',
        '{}',
        '0',
        '-1',
        'null',
        '💥',
        '\u0000',
        'x'.repeat(10_000),
        '../..',
        'bm8',
      ]) {
        await expect(
          kit.raw.list({ ...everything, limit: 5, page }),
          page.slice(0, 20),
        ).rejects.toBeInstanceOf(BadPage)
      }
    })
  })
}
