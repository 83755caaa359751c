import { describe, expect } from 'vitest'
import type { Claim } from '../../../server/engine/engine.ts'
import { LABELS } from '../../../shared/options.ts'
import { until } from '../../helpers/until.ts'
import { type EngineTest, iso, LONG_LEASE_MS, leaseOf, ms, newJob, present, tick } from '../harness.ts'

const HOUR_MS = 3_600_000
const payloads = (claims: readonly Claim[]) => claims.map(({ payload }) => payload)
const byType = (claims: readonly Claim[], type: string) => claims.filter((claim) => claim.type === type)
/** From when a lease counts is not said the same to the last digit when a claim is sent again. */
const untimed = (claims: readonly Claim[]) => claims.map((claim) => ({ ...claim, leasedAt: 0 }))

export function claimCases(it: EngineTest): void {
  describe('claim', () => {
    it('starts a run and hands out all that it needs', async (kit) => {
      const jobId = await kit.submit({ payload: { a: 1 }, tags: ['t'] })
      const claim = await kit.claimOne()
      expect(Object.keys(claim).sort()).toEqual(
        [
          'jobId',
          'lease',
          'type',
          'payload',
          'attempt',
          'stalls',
          'policy',
          ...Object.keys(LABELS),
          'waitMs',
          'leasedAt',
        ].sort(),
      )
      expect(claim).toMatchObject({
        jobId,
        type: 'work',
        payload: { a: 1 },
        attempt: 1,
        stalls: 0,
        tags: ['t'],
      })
      expect(claim.lease.length).toBeGreaterThanOrEqual(16)
      const event = await kit.lastEvent(jobId)
      expect(event).toEqual({
        seq: 2,
        at: event.at,
        kind: 'status',
        data: { status: 'processing', startedAt: event.at, progress: null },
      })
      const job = await kit.job(jobId)
      expect(job).toMatchObject({ status: 'processing', startedAt: event.at, attempt: 1 })
      expect(claim.waitMs).toBe(ms(event.at) - ms(job.createdAt))
    })

    it('answers nothing where there is nothing', async (kit) => {
      expect(await kit.claim()).toEqual([])
      await kit.submit({ type: 'other' })
      await kit.submit({ when: { delayMs: HOUR_MS } })
      await kit.engine.cancel(await kit.submit())
      expect(await kit.claim({ limit: 10 })).toEqual([])
      await kit.submit()
      expect(await kit.claim({ limit: 10, types: { other: 1 } })).toHaveLength(1)
      expect(await kit.claim({ limit: 10 })).toHaveLength(1)
      expect(await kit.claim({ limit: 10 })).toEqual([])
    })

    it('takes first in, first out', async (kit) => {
      for (let n = 0; n < 5; n++) await kit.submit({ payload: n })
      await kit.engine.submit({
        jobs: [newJob({ payload: 5 }), newJob({ payload: 6 }), newJob({ payload: 7 })],
      })
      expect(payloads(await kit.claim({ limit: 3 }))).toEqual([0, 1, 2])
      expect(payloads(await kit.claim({ limit: 1 }))).toEqual([3])
      expect(payloads(await kit.claim({ limit: 10 }))).toEqual([4, 5, 6, 7])
    })

    it('takes higher priorities first, in order within each', async (kit) => {
      const priorities = [0, 5, 9, 5, 0, 9, 1, 8, 2]
      for (const [n, priority] of priorities.entries()) {
        await kit.submit({ payload: `${priority}:${n}`, policy: { priority } })
      }
      const expected = ['9:2', '9:5', '8:7', '5:1', '5:3', '2:8', '1:6', '0:0', '0:4']
      expect(payloads(await kit.claim({ limit: 4 }))).toEqual(expected.slice(0, 4))
      expect(payloads(await kit.claim({ limit: 10 }))).toEqual(expected.slice(4))
    })

    it('lets types take turns within a call', async (kit) => {
      await kit.engine.submit({
        jobs: Array.from({ length: 8 }, (_, n) => newJob({ type: 'alpha', payload: n })),
      })
      await kit.engine.submit({
        jobs: Array.from({ length: 8 }, (_, n) => newJob({ type: 'beta', payload: n })),
      })
      await kit.engine.submit({ jobs: [newJob({ type: 'gamma', payload: 0 })] })
      const types = { alpha: 8, beta: 8, gamma: 8 }
      const claims = await kit.claim({ limit: 7, types })
      expect(payloads(byType(claims, 'alpha'))).toEqual([0, 1, 2])
      expect(payloads(byType(claims, 'beta'))).toEqual([0, 1, 2])
      expect(payloads(byType(claims, 'gamma'))).toEqual([0])
      expect(await kit.claim({ limit: 100, types })).toHaveLength(10)
    })

    it('lets types take turns from call to call, so that none starves', async (kit) => {
      await kit.engine.submit({ jobs: Array.from({ length: 8 }, () => newJob({ type: 'alpha' })) })
      await kit.engine.submit({ jobs: Array.from({ length: 8 }, () => newJob({ type: 'beta' })) })
      const claims: Claim[] = []
      for (let call = 0; call < 6; call++) claims.push(...(await kit.claim({ types: { alpha: 1, beta: 1 } })))
      expect(byType(claims, 'alpha')).toHaveLength(3)
      expect(byType(claims, 'beta')).toHaveLength(3)
    })

    it('keeps to the free slots of each type, and to the limit in all', async (kit) => {
      for (const type of ['alpha', 'beta']) {
        await kit.engine.submit({ jobs: Array.from({ length: 6 }, () => newJob({ type })) })
      }
      const first = await kit.claim({ limit: 10, types: { alpha: 1, beta: 4 } })
      expect([byType(first, 'alpha').length, byType(first, 'beta').length]).toEqual([1, 4])
      expect(await kit.claim({ limit: 2, types: { alpha: 5, beta: 5 } })).toHaveLength(2)
    })

    it('leaves paused types alone until they are resumed', async (kit) => {
      await kit.engine.pause('alpha')
      await kit.submit({ type: 'alpha' })
      await kit.submit({ type: 'beta' })
      const types = { alpha: 5, beta: 5 }
      expect((await kit.claim({ limit: 10, types })).map(({ type }) => type)).toEqual(['beta'])
      expect(await kit.claim({ types: { alpha: 1 } })).toEqual([])
      await kit.engine.resume('alpha')
      expect((await kit.claim({ limit: 10, types })).map(({ type }) => type)).toEqual(['alpha'])
    })

    it('lets runs of a paused type go on', async (kit) => {
      await kit.submit()
      const run = await kit.claimOne()
      await kit.engine.pause('work')
      expect(await kit.report(run, { kind: 'progress', data: { percent: 1, note: null } })).toBe('ok')
      expect(await kit.settle(run, { kind: 'completed', result: null })).toBe('completed')
    })

    it('gives every job to one worker only', async ({ raw, store }) => {
      await raw.submit({ jobs: Array.from({ length: 200 }, () => newJob()) })
      const engines = [raw, (await store.peer?.()) ?? raw]
      const claims = await Promise.all(
        Array.from({ length: 60 }, (_, n) =>
          present(engines[n % 2], 'engine').claim({
            claimId: `c${n}`,
            workerId: `w${n}`,
            limit: 5,
            types: [{ type: 'work', limit: 5 }],
            leaseMs: LONG_LEASE_MS,
          }),
        ),
      )
      const all = claims.flat()
      expect(all).toHaveLength(200)
      expect(new Set(all.map(({ jobId }) => jobId)).size).toBe(200)
      expect(new Set(all.map(({ lease }) => lease)).size).toBe(200)
    })

    it('says how long the job waited, where that is known', async (kit) => {
      const delayed = await kit.submit({ when: { delayMs: 1 } })
      await kit.promoted()
      expect(await kit.claimOne({ leaseMs: 1 })).toMatchObject({ jobId: delayed, waitMs: null })
      await kit.rescued()
      expect((await kit.claimOne()).waitMs).toBeNull()

      const retried = await kit.submit()
      await kit.engine.cancel(retried)
      await kit.engine.retry(retried)
      expect(await kit.claimOne()).toMatchObject({ jobId: retried, waitMs: null })
    })

    it('says how long the job waited also where it was given back meanwhile', async (kit) => {
      await kit.submit()
      await kit.settle(await kit.claimOne(), { kind: 'released' })
      await tick()
      await tick()
      expect((await kit.claimOne()).waitMs).toBeGreaterThan(0)
    })

    it('sent again under its id, answers the same jobs and leases', async (kit) => {
      for (let n = 0; n < 4; n++) await kit.submit({ payload: n })
      const request = { claimId: 'claim-1', limit: 2 }
      const first = await kit.claim(request)
      expect(payloads(first)).toEqual([0, 1])
      expect(untimed(await kit.claim(request))).toEqual(untimed(first))
      expect(untimed(await kit.claim(request))).toEqual(untimed(first))
      for (const { jobId } of first) expect(await kit.events(jobId)).toHaveLength(2)
      expect(payloads(await kit.claim({ claimId: 'claim-2', limit: 2 }))).toEqual([2, 3])
    })

    it('has leases that count from when they were asked for, also where it is sent again', async (kit) => {
      await kit.submit()
      const before = performance.now()
      const request = { claimId: 'claim-1', limit: 1 }
      const first = await kit.claimOne(request)
      const after = performance.now()
      expect(first.leasedAt).toBeGreaterThanOrEqual(before)
      await until(() => performance.now() > after + 50, { what: 'some time' })
      // The store's clock may count whole milliseconds.
      expect((await kit.claimOne(request)).leasedAt).toBeLessThanOrEqual(after + 1)
    })

    it('sent again, leaves out what is no longer held', async (kit) => {
      for (let n = 0; n < 3; n++) await kit.submit({ payload: n })
      const request = { claimId: 'claim-1', limit: 3 }
      const [first, second, third] = await kit.claim(request)
      await kit.settle(present(first, 'claim'), { kind: 'completed', result: null })
      await kit.settle(present(second, 'claim'), { kind: 'released' })
      expect((await kit.claim(request)).map(leaseOf)).toEqual([leaseOf(present(third, 'claim'))])
      // The job that was given back is another's now, under another lease.
      const other = await kit.claimOne()
      expect(other.jobId).toBe(present(second, 'claim').jobId)
      expect(other.lease).not.toBe(present(second, 'claim').lease)
      expect((await kit.claim(request)).map(leaseOf)).toEqual([leaseOf(present(third, 'claim'))])
    })

    it('sent again after many others of its worker, is still the same within its lease', async (kit) => {
      await kit.raw.submit({ jobs: Array.from({ length: 40 }, (_, n) => newJob({ payload: n })) })
      const request = { claimId: 'early', limit: 2 }
      const first = await kit.claim(request)
      for (let n = 0; n < 30; n++) await kit.claim()
      expect(untimed(await kit.claim(request))).toEqual(untimed(first))
    })

    it('takes any names of workers and claims', async (kit) => {
      const names = ['host.example/1234:5', 'host name', 'é', '{a}', 'a\nb', '%s (.*)', 'x'.repeat(64)]
      for (const name of names) {
        const jobId = await kit.submit()
        const claim = await kit.claimOne({ workerId: name, claimId: name })
        expect(claim.jobId).toBe(jobId)
        expect(untimed(await kit.claim({ workerId: name, claimId: name }))).toEqual(untimed([claim]))
        expect(await kit.claim({ workerId: name, claimId: name.slice(0, -1) })).toEqual([])
        expect(await kit.settle(claim, { kind: 'completed', result: null })).toBe('completed')
        expect(await kit.settle(claim, { kind: 'completed', result: null })).toBe('completed')
        expect(await kit.claim({ workerId: name, claimId: name })).toEqual([])
      }
    })

    it('sent again many times at once, claims once', async ({ raw }) => {
      await raw.submit({ jobs: Array.from({ length: 10 }, () => newJob()) })
      const request = {
        claimId: 'same',
        workerId: 'w',
        limit: 3,
        types: [{ type: 'work', limit: 3 }],
        leaseMs: LONG_LEASE_MS,
      }
      const answers = await Promise.all(Array.from({ length: 10 }, () => raw.claim(request)))
      const [first] = answers
      for (const answer of answers) expect(answer.map(leaseOf)).toEqual(present(first, 'answer').map(leaseOf))
      expect((await raw.types())[0]?.counts).toMatchObject({ queued: 7, processing: 3 })
    })

    it('starts the next run with a fresh start time and no progress', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      await kit.report(run, { kind: 'progress', data: { percent: 50, note: 'half' } })
      await kit.settle(run, { kind: 'released' })
      expect(await kit.job(jobId)).toMatchObject({
        status: 'queued',
        progress: { percent: 50, note: 'half' },
      })
      await kit.claimOne()
      const { startedAt, progress } = await kit.job(jobId)
      expect(progress).toBeNull()
      expect(startedAt).toBe(iso(ms((await kit.lastEvent(jobId)).at)))
    })
  })
}
