import { describe, expect } from 'vitest'
import { newJobId } from '../../../server/engine/job/ids.ts'
import { MAX_PLACE } from '../../../shared/limits.ts'
import { type EngineTest, type Kit, ms, newJob } from '../harness.ts'

/** Of each job its place; null where it is not queued. */
async function standing(kit: Kit, jobIds: readonly string[], type: string | null = null) {
  const { places } = await kit.raw.feed.places(jobIds.map((jobId) => ({ jobId, type })))
  return places.map((place) => place?.place ?? null)
}

/** Submits in one call, so that the jobs share their order; their ids. */
async function batch(kit: Kit, amount: number, shape: Parameters<typeof newJob>[0] = {}): Promise<string[]> {
  const { jobs } = await kit.raw.submit({ jobs: Array.from({ length: amount }, () => newJob(shape)) })
  return jobs.map(({ jobId }) => jobId)
}

export function placeCases(it: EngineTest): void {
  describe('feed.places', () => {
    it('counts from the head of the line of a type, first in, first out', async (kit) => {
      const first = await kit.submit()
      const others = await batch(kit, 3)
      const apart = await kit.submit({ type: 'other' })
      const all = [first, ...others, apart]
      expect(await standing(kit, all)).toEqual([1, 2, 3, 4, 1])
      expect(await standing(kit, [first, ...others], 'work')).toEqual([1, 2, 3, 4])
      expect(await standing(kit, all.toReversed())).toEqual([1, 4, 3, 2, 1])
      const { jobId } = await kit.claimOne()
      expect(jobId).toBe(first)
      expect(await standing(kit, all)).toEqual([null, 1, 2, 3, 1])
    })

    it('puts higher priorities in front, and follows the order in which jobs are claimed', async (kit) => {
      const jobIds: string[] = []
      for (const priority of [0, 9, 3, 0, 9, 3, 5]) jobIds.push(await kit.submit({ policy: { priority } }))
      expect(await standing(kit, jobIds)).toEqual([6, 1, 4, 7, 2, 5, 3])
      expect(await standing(kit, jobIds.slice(2, 4))).toEqual([4, 7])
      const claims = await kit.claim({ limit: 7 })
      expect(claims.map(({ jobId }) => jobIds.indexOf(jobId))).toEqual([1, 4, 6, 2, 5, 0, 3])
    })

    it('moves up when one in front is cancelled', async (kit) => {
      const jobIds = await batch(kit, 4)
      await kit.engine.cancel(jobIds[1] ?? '')
      expect(await standing(kit, jobIds)).toEqual([1, null, 2, 3])
    })

    it('keeps the place of a job that was given back, and sends one that was retried to the end', async (kit) => {
      const jobIds = await batch(kit, 3)
      const run = await kit.claimOne()
      expect(await standing(kit, jobIds)).toEqual([null, 1, 2])
      await kit.settle(run, { kind: 'released' })
      expect(await standing(kit, jobIds)).toEqual([1, 2, 3])
      await kit.engine.cancel(jobIds[0] ?? '')
      await kit.engine.retry(jobIds[0] ?? '')
      expect(await standing(kit, jobIds)).toEqual([3, 1, 2])
    })

    it('says whether the type is paused', async (kit) => {
      const jobs = [
        { jobId: await kit.submit(), type: null },
        { jobId: await kit.submit({ type: 'other' }), type: 'other' },
      ]
      await kit.engine.pause('work')
      const place = { type: 'work', place: 1, paused: true }
      expect((await kit.raw.feed.places(jobs)).places).toEqual([
        place,
        { ...place, type: 'other', paused: false },
      ])
      await kit.engine.resume('work')
      expect((await kit.raw.feed.places(jobs)).places[0]).toEqual({ ...place, paused: false })
    })

    it('knows no place of a job that is not queued, unknown, or no job at all', async (kit) => {
      const scheduled = await kit.submit({ when: { delayMs: 60_000 } })
      await kit.submit()
      const { jobId: running } = await kit.claimOne()
      const ids = [scheduled, running, newJobId(), 'nonsense', '']
      expect(await standing(kit, ids)).toEqual(ids.map(() => null))
      expect(await standing(kit, ids, 'work')).toEqual(ids.map(() => null))
      expect((await kit.raw.feed.places([])).places).toEqual([])
    })

    it("tells the store's time", async (kit) => {
      const jobId = await kit.submit()
      const { createdAt } = await kit.job(jobId)
      const { now } = await kit.raw.feed.places([{ jobId, type: null }])
      expect(now).toBeGreaterThanOrEqual(ms(createdAt))
      expect(now).toBeLessThan(ms(createdAt) + 60_000)
    })
  })

  describe('a long line', () => {
    it('is counted out up to the last place that has a number', async (kit) => {
      const jobIds: string[] = []
      while (jobIds.length <= MAX_PLACE) jobIds.push(...(await batch(kit, 1000)))
      const samples = [0, 1, 4999, MAX_PLACE - 1, MAX_PLACE, jobIds.length - 1]
      const { places } = await kit.raw.feed.places(
        samples.map((at) => ({ jobId: jobIds[at] ?? '', type: 'work' })),
      )
      expect(places.map((place) => place?.place)).toEqual([1, 2, 5000, MAX_PLACE, null, null])
      // The next ones of a deep line, and many at once.
      const some = jobIds.filter((_, at) => at % 20 === 0)
      const all = await standing(kit, some, 'work')
      expect(all.slice(0, 3)).toEqual([1, 21, 41])
      expect(all.filter((place) => place !== null)).toHaveLength(MAX_PLACE / 20)
    })
  })
}
