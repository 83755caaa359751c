import { describe, expect } from 'vitest'
import { newJobId } from '../../../server/engine/job/ids.ts'
import { until } from '../../helpers/until.ts'
import { type EngineTest, type Kit, listAll, ms } from '../harness.ts'

const GARBAGE = ['', 'nonsense', '\u0000', '../..', '{jobcast}:x', 'x'.repeat(10_000), '__proto__']

const FRESH = {
  status: 'queued',
  attempt: 1,
  stalls: 0,
  cancelRequested: false,
  progress: null,
  result: null,
  error: null,
  errorCode: null,
  startedAt: null,
  completedAt: null,
  expiresAt: null,
} as const

/** One job in each status that is not terminal, or has completed. */
async function unfinished(kit: Kit): Promise<string[]> {
  const completed = await kit.submit()
  await kit.settle(await kit.claimOne(), { kind: 'completed', result: 1 })
  const processing = await kit.submit()
  await kit.claimOne()
  return [completed, processing, await kit.submit(), await kit.submit({ when: { delayMs: 3_600_000 } })]
}

export function retryCases(it: EngineTest): void {
  describe('retry by hand', () => {
    it('makes a failed job as if new', async (kit) => {
      const jobId = await kit.submit({ payload: 'kept', tags: ['kept'], policy: { priority: 2 } })
      await kit.claimOne({ leaseMs: 1 })
      await kit.rescued()
      const second = await kit.claimOne()
      await kit.settle(second, { kind: 'retry', error: 'x', errorCode: 'timeout', delayMs: 0 })
      await kit.promoted()
      const third = await kit.claimOne()
      await kit.settle(third, { kind: 'failed', error: 'y', errorCode: 'unrecoverable' }, [
        { kind: 'progress', data: { percent: 70, note: null } },
      ])
      expect(await kit.job(jobId)).toMatchObject({ status: 'failed', attempt: 2, stalls: 1 })

      const answer = await kit.engine.retry(jobId)
      const job = await kit.job(jobId)
      expect(answer).toEqual({ ok: true, job })
      expect((await kit.lastEvent(jobId)).data).toEqual(FRESH)
      expect(job).toMatchObject({
        ...FRESH,
        payload: 'kept',
        tags: ['kept'],
        priority: 2,
        scheduledFor: null,
      })
      expect(await kit.claimOne()).toMatchObject({ jobId, attempt: 1, stalls: 0, waitMs: null })
    })

    it('makes a cancelled job as if new, whether it had run or not', async (kit) => {
      const queued = await kit.submit()
      const scheduled = await kit.submit({ when: { delayMs: 3_600_000 } })
      for (const jobId of [queued, scheduled]) {
        await kit.engine.cancel(jobId)
        expect(await kit.engine.retry(jobId)).toMatchObject({ ok: true })
        expect((await kit.lastEvent(jobId)).data).toEqual(FRESH)
      }
      const runs = await kit.claim({ limit: 5 })
      expect(runs.map(({ jobId }) => jobId)).toEqual([queued, scheduled])
      await kit.engine.cancel(queued)
      await kit.settle({ jobId: queued, lease: runs[0]?.lease ?? '' }, { kind: 'released' })
      await kit.engine.retry(queued)
      expect((await kit.lastEvent(queued)).data).toEqual(FRESH)
    })

    it('puts the job at the end of its line', async (kit) => {
      const first = await kit.submit({ payload: 'first' })
      await kit.submit({ payload: 'second' })
      await kit.submit({ payload: 'low', policy: { priority: 0 } })
      await kit.engine.cancel(first)
      await kit.engine.retry(first)
      await kit.submit({ payload: 'last' })
      const runs = await kit.claim({ limit: 10 })
      expect(runs.map(({ payload }) => payload)).toEqual(['second', 'low', 'first', 'last'])
    })

    it('lets a job be finished, and expire, anew', async (kit) => {
      const jobId = await kit.submit({ policy: { retainMs: 1000 } })
      await kit.engine.cancel(jobId)
      await kit.engine.retry(jobId)
      expect(await kit.engine.prune({ limit: 10 })).toEqual({ pruned: 0 })
      await kit.settle(await kit.claimOne(), { kind: 'completed', result: 2 })
      const job = await kit.job(jobId)
      expect(job).toMatchObject({ status: 'completed', result: 2, cancelRequested: false })
      expect(ms(job.expiresAt) - ms(job.completedAt)).toBe(1000)
    })

    it('takes a retried job out of what is to expire', async (kit) => {
      const jobId = await kit.submit({ policy: { retainMs: 500 } })
      await kit.engine.cancel(jobId)
      const expiresAt = ms((await kit.job(jobId)).expiresAt)
      await kit.engine.retry(jobId)
      const other = await kit.submit({ policy: { retainMs: 500 } })
      await kit.engine.cancel(other)
      await until(async () => (await kit.engine.prune({ limit: 10 })).pruned === 1, {
        what: 'the other one to expire',
      })
      expect(Date.now()).toBeGreaterThan(expiresAt)
      expect((await kit.job(jobId)).status).toBe('queued')
    })

    it('is refused of every other status', async (kit) => {
      for (const jobId of await unfinished(kit)) {
        const before = await kit.job(jobId)
        expect(await kit.engine.retry(jobId)).toEqual({ ok: false, reason: 'not_retryable' })
        expect(await kit.job(jobId)).toEqual(before)
      }
    })

    it('of what is unknown is not found', async (kit) => {
      for (const jobId of [newJobId(), ...GARBAGE]) {
        expect(await kit.engine.retry(jobId)).toEqual({ ok: false, reason: 'not_found' })
      }
    })

    it('sent many times at once, happens once', async (kit) => {
      const jobId = await kit.submit()
      await kit.engine.cancel(jobId)
      const answers = await Promise.all(Array.from({ length: 10 }, () => kit.engine.retry(jobId)))
      expect(answers.filter(({ ok }) => ok)).toHaveLength(1)
      expect(await kit.claim({ limit: 10 })).toHaveLength(1)
    })
  })

  describe('remove', () => {
    it('forgets a finished job whole', async (kit) => {
      const jobId = await kit.submit({ tags: ['t'] })
      const run = await kit.claimOne()
      await kit.report(run, { kind: 'chunk', data: 1 })
      await kit.settle(run, { kind: 'failed', error: 'x', errorCode: 'timeout' })
      expect(await kit.engine.remove(jobId)).toBe('removed')
      expect(await kit.raw.get(jobId)).toBeNull()
      expect(await listAll(kit.raw)).toEqual([])
      expect(await listAll(kit.raw, { tags: ['t'] })).toEqual([])
      expect(await kit.engine.cancel(jobId)).toEqual({ ok: false, reason: 'not_found' })
      expect(await kit.engine.retry(jobId)).toEqual({ ok: false, reason: 'not_found' })
      expect(await kit.engine.remove(jobId)).toBe('not_found')
      const [{ counts } = { counts: null }] = await kit.raw.types()
      expect(counts).toEqual({
        scheduled: 0,
        queued: 0,
        processing: 0,
        completed: 0,
        failed: 0,
        cancelled: 0,
      })
    })

    it('is refused of a job that has not finished', async (kit) => {
      const [completed, ...others] = await unfinished(kit)
      for (const jobId of others) expect(await kit.engine.remove(jobId)).toBe('not_finished')
      expect(await kit.engine.remove(completed ?? '')).toBe('removed')
      expect(await listAll(kit.raw)).toHaveLength(3)
    })

    it('of what is unknown is not found', async (kit) => {
      for (const jobId of [newJobId(), ...GARBAGE]) expect(await kit.engine.remove(jobId)).toBe('not_found')
    })
  })
}
