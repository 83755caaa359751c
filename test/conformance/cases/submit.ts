import { setImmediate } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { isJobId } from '../../../server/engine/job/ids.ts'
import { NO_LABELS, type RunPolicy } from '../../../shared/options.ts'
import { DEFAULT_POLICY, type EngineTest, iso, listAll, ms, newJob, present, tick } from '../harness.ts'

const HOUR_MS = 3_600_000

export function submitCases(it: EngineTest): void {
  describe('submit', () => {
    it('stores a job that is queued at once, with every field as the protocol shows it', async (kit) => {
      const before = Date.now()
      const job = newJob({ payload: { width: 2 }, tags: ['b', 'a'], policy: { priority: 4, maxAttempts: 7 } })
      const receipt = await kit.engine.submit({ jobs: [job] })
      const submitted = present(receipt.jobs[0], 'receipt')
      expect(receipt).toEqual({
        jobs: [
          {
            jobId: submitted.jobId,
            type: 'work',
            status: 'queued',
            createdAt: submitted.createdAt,
            cursor: `${kit.engine.feed.epoch}.1`,
          },
        ],
        replayed: false,
      })
      expect(ms(submitted.createdAt)).toBeGreaterThanOrEqual(before - 1)
      expect(ms(submitted.createdAt)).toBeLessThanOrEqual(Date.now() + 1)
      expect(await kit.job(submitted.jobId)).toEqual({
        ...NO_LABELS,
        jobId: submitted.jobId,
        type: 'work',
        status: 'queued',
        payload: { width: 2 },
        progress: null,
        result: null,
        error: null,
        errorCode: null,
        attempt: 1,
        maxAttempts: 7,
        stalls: 0,
        priority: 4,
        tags: ['b', 'a'],
        createdAt: submitted.createdAt,
        scheduledFor: null,
        startedAt: null,
        completedAt: null,
        expiresAt: null,
        cancelRequested: false,
        cursor: submitted.cursor,
      })
      expect(await kit.events(submitted.jobId)).toEqual([
        { seq: 1, at: submitted.createdAt, kind: 'status', data: { status: 'queued' } },
      ])
    })

    it('schedules a delayed job, counted from when it was stored', async (kit) => {
      const receipt = await kit.engine.submit({ jobs: [newJob({ when: { delayMs: HOUR_MS } })] })
      const { jobId, status, createdAt } = present(receipt.jobs[0], 'receipt')
      const scheduledFor = iso(ms(createdAt) + HOUR_MS)
      expect(status).toBe('scheduled')
      expect(await kit.job(jobId)).toMatchObject({ status: 'scheduled', scheduledFor, createdAt })
      expect(await kit.events(jobId)).toEqual([
        { seq: 1, at: createdAt, kind: 'status', data: { status: 'scheduled', scheduledFor } },
      ])
      expect(await kit.claim()).toEqual([])
    })

    it('schedules a job for a time', async (kit) => {
      const runAt = Date.now() + HOUR_MS + 123
      const jobId = await kit.submit({ when: { runAt } })
      expect(await kit.job(jobId)).toMatchObject({ status: 'scheduled', scheduledFor: iso(runAt) })
      expect((await kit.lastEvent(jobId)).data).toEqual({ status: 'scheduled', scheduledFor: iso(runAt) })
    })

    it('queues at once what is due: no delay, or a time that is past', async (kit) => {
      for (const when of [{ delayMs: 0 }, { runAt: Date.now() - HOUR_MS }, { runAt: 0 }, { runAt: -1 }]) {
        const jobId = await kit.submit({ when })
        expect(await kit.job(jobId)).toMatchObject({ status: 'queued', scheduledFor: null })
        expect((await kit.lastEvent(jobId)).data).toEqual({ status: 'queued' })
      }
      expect(await kit.claim({ limit: 10 })).toHaveLength(4)
    })

    it('gives ids that are UUIDv7, unique and ordered by time', async (kit) => {
      const first = await kit.submit()
      await tick()
      const second = await kit.submit()
      expect([first, second].every(isJobId)).toBe(true)
      expect(first < second).toBe(true)
    })

    it('stores jobs of several types and ways in one call, in order', async (kit) => {
      const receipt = await kit.engine.submit({
        jobs: [
          newJob({ type: 'alpha', payload: 0 }),
          newJob({ type: 'beta', payload: 1, when: { delayMs: HOUR_MS } }),
          newJob({ type: 'alpha', payload: 2, policy: { priority: 9 } }),
        ],
      })
      expect(receipt.jobs.map(({ type, status }) => [type, status])).toEqual([
        ['alpha', 'queued'],
        ['beta', 'scheduled'],
        ['alpha', 'queued'],
      ])
      const payloads = await Promise.all(
        receipt.jobs.map(async ({ jobId }) => (await kit.job(jobId)).payload),
      )
      expect(payloads).toEqual([0, 1, 2])
    })

    it('stores a thousand jobs all at once, and keeps their order', async ({ raw, store }) => {
      const reader = (await store.peer?.()) ?? raw
      const seen = new Set<number>()
      const stored = raw.submit({
        jobs: Array.from({ length: 1000 }, (_, index) => newJob({ payload: index })),
      })
      let done = false
      const watching = (async () => {
        while (!done) {
          seen.add((await reader.types())[0]?.counts.queued ?? 0)
          // An engine in this process may answer before anything else has had its turn.
          await setImmediate()
        }
      })()
      const receipt = await stored
      done = true
      await watching
      expect([...seen].filter((count) => count !== 0 && count !== 1000)).toEqual([])
      expect(new Set(receipt.jobs.map(({ jobId }) => jobId)).size).toBe(1000)

      const claimed: unknown[] = []
      for (let call = 0; call < 5; call++) {
        const claims = await raw.claim({
          claimId: `call-${call}`,
          workerId: 'w',
          limit: 200,
          types: [{ type: 'work', limit: 200 }],
          leaseMs: 60_000,
        })
        claimed.push(...claims.map(({ payload }) => payload))
      }
      expect(claimed).toEqual(Array.from({ length: 1000 }, (_, index) => index))
    })

    it('keeps many submissions of one moment apart', async ({ raw }) => {
      const receipts = await Promise.all(
        Array.from({ length: 100 }, (_, index) => raw.submit({ jobs: [newJob({ payload: index })] })),
      )
      for (const [index, { jobs, replayed }] of receipts.entries()) {
        expect(jobs).toHaveLength(1)
        expect(replayed).toBe(false)
        expect((await raw.get(present(jobs[0], 'receipt').jobId))?.payload).toBe(index)
      }
      expect(await listAll(raw)).toHaveLength(100)
    })

    it('hands a run the very policy, tags and payload that were submitted', async (kit) => {
      const policy: RunPolicy = {
        ...DEFAULT_POLICY,
        priority: 3,
        maxAttempts: 100,
        maxStalls: 0,
        backoff: { kind: 'fixed', delayMs: 0, maxMs: 86_400_000, jitter: 0.123 },
        timeoutMs: 86_400_000,
        retainMs: 31_536_000_000,
      }
      const jobId = await kit.submit({ payload: ['x'], tags: ['t'], policy })
      const claim = await kit.claimOne()
      expect(claim).toMatchObject({ jobId, type: 'work', payload: ['x'], attempt: 1, stalls: 0, tags: ['t'] })
      expect(claim.policy).toEqual(policy)
      expect(DEFAULT_POLICY.priority).toBe(0)
    })
  })
}
