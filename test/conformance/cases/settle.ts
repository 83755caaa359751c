import { describe, expect } from 'vitest'
import type { Outcome, SettleRequest } from '../../../server/engine/engine.ts'
import { claimRequest, type EngineTest, iso, leaseOf, ms, newJob, present, tick } from '../harness.ts'

const RETAIN_MS = 5_000_000
const policy = { retainMs: RETAIN_MS }
const FAILED = { kind: 'failed', error: 'broken', errorCode: 'unrecoverable' } as const satisfies Outcome
const AGAIN = {
  kind: 'retry',
  error: 'not yet',
  errorCode: 'timeout',
  delayMs: 60_000,
} as const satisfies Outcome

export function settleCases(it: EngineTest): void {
  describe('settle', () => {
    it('completes a run', async (kit) => {
      const jobId = await kit.submit({ policy })
      expect(await kit.settle(await kit.claimOne(), { kind: 'completed', result: { ok: [1] } })).toBe(
        'completed',
      )
      const event = await kit.lastEvent(jobId)
      const ends = { completedAt: event.at, expiresAt: iso(ms(event.at) + RETAIN_MS) }
      expect(event).toEqual({
        seq: 3,
        at: event.at,
        kind: 'status',
        data: { status: 'completed', result: { ok: [1] }, error: null, errorCode: null, ...ends },
      })
      expect(await kit.job(jobId)).toMatchObject({ status: 'completed', result: { ok: [1] }, ...ends })
    })

    it('completes with any JSON, null as well', async (kit) => {
      for (const result of [null, 0, '', false, [], {}, [[]], [{}], { a: null }]) {
        const jobId = await kit.submit()
        await kit.settle(await kit.claimOne(), { kind: 'completed', result })
        expect((await kit.lastEvent(jobId)).data).toMatchObject({ result })
        expect((await kit.job(jobId)).result).toEqual(result)
      }
    })

    it('fails a run', async (kit) => {
      const jobId = await kit.submit({ policy })
      expect(await kit.settle(await kit.claimOne(), FAILED)).toBe('failed')
      const event = await kit.lastEvent(jobId)
      expect(event.data).toEqual({
        status: 'failed',
        error: 'broken',
        errorCode: 'unrecoverable',
        completedAt: event.at,
        expiresAt: iso(ms(event.at) + RETAIN_MS),
      })
      expect(await kit.job(jobId)).toMatchObject({ status: 'failed', attempt: 1, stalls: 0, result: null })
    })

    it('schedules another attempt, and shows the failure until the job completes', async (kit) => {
      const jobId = await kit.submit({ policy })
      expect(await kit.settle(await kit.claimOne(), AGAIN)).toBe('scheduled')
      const event = await kit.lastEvent(jobId)
      expect(event.data).toEqual({
        status: 'scheduled',
        attempt: 2,
        error: 'not yet',
        errorCode: 'timeout',
        scheduledFor: iso(ms(event.at) + 60_000),
      })
      expect(await kit.claim()).toEqual([])
      await kit.engine.cancel(jobId)

      const second = await kit.submit({ policy })
      await kit.settle(await kit.claimOne(), { ...AGAIN, delayMs: 1 })
      await kit.promoted()
      expect(await kit.claimOne()).toMatchObject({ jobId: second, attempt: 2, stalls: 0 })
      expect(await kit.job(second)).toMatchObject({ error: 'not yet', errorCode: 'timeout', attempt: 2 })
      const [run] = await kit.claim({ limit: 0 })
      expect(run).toBeUndefined()
    })

    it('schedules another attempt without a delay as well, and never queues it itself', async (kit) => {
      const jobId = await kit.submit()
      expect(await kit.settle(await kit.claimOne(), { ...AGAIN, delayMs: 0 })).toBe('scheduled')
      const event = await kit.lastEvent(jobId)
      expect(event.data).toMatchObject({ status: 'scheduled', attempt: 2, scheduledFor: event.at })
      expect(await kit.claim()).toEqual([])
      await kit.promoted()
      const run = await kit.claimOne()
      expect(run.attempt).toBe(2)
      expect(await kit.settle(run, { kind: 'completed', result: 1 })).toBe('completed')
      expect(await kit.job(jobId)).toMatchObject({ attempt: 2, error: null, errorCode: null, result: 1 })
    })

    it('puts a job off, with nothing counted and no failure', async (kit) => {
      const jobId = await kit.submit()
      expect(await kit.settle(await kit.claimOne(), { kind: 'later', delayMs: 60_000 })).toBe('scheduled')
      const event = await kit.lastEvent(jobId)
      expect(event.data).toEqual({ status: 'scheduled', scheduledFor: iso(ms(event.at) + 60_000) })
      expect(await kit.job(jobId)).toMatchObject({ attempt: 1, stalls: 0, error: null, errorCode: null })
      expect(await kit.claim()).toEqual([])
      await kit.engine.cancel(jobId)

      const second = await kit.submit()
      await kit.settle(await kit.claimOne(), { ...AGAIN, delayMs: 0 })
      await kit.promoted()
      await kit.settle(await kit.claimOne(), { kind: 'later', delayMs: 0 })
      expect(await kit.job(second)).toMatchObject({ attempt: 2, error: 'not yet', errorCode: 'timeout' })
      await kit.promoted()
      expect(await kit.claimOne()).toMatchObject({ jobId: second, attempt: 2, stalls: 0, waitMs: null })
    })

    it('knows of a job that was put off before its first failure that it did not wait since its submission', async (kit) => {
      await kit.submit()
      await kit.settle(await kit.claimOne(), { kind: 'later', delayMs: 0 })
      await kit.promoted()
      expect(await kit.claimOne()).toMatchObject({ attempt: 1, waitMs: null })
    })

    it('cancels a job that is put off where that was asked for', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      await kit.engine.cancel(jobId)
      expect(await kit.settle(run, { kind: 'later', delayMs: 0 })).toBe('cancelled')
    })

    it('takes a job back at its old place in line, with nothing counted', async (kit) => {
      const first = await kit.submit()
      const second = await kit.submit()
      await kit.submit()
      await kit.submit({ policy: { priority: 1 } })
      const runs = await kit.claim({ limit: 3 })
      expect(runs.map(({ jobId }) => jobId).slice(1)).toEqual([first, second])
      expect(await kit.settle(present(runs[2], 'run'), { kind: 'released' })).toBe('queued')
      expect((await kit.lastEvent(second)).data).toEqual({ status: 'queued' })
      expect(await kit.settle(present(runs[1], 'run'), { kind: 'released' })).toBe('queued')
      expect(await kit.claimOne()).toMatchObject({ jobId: first, attempt: 1, stalls: 0 })
      expect((await kit.claimOne()).jobId).toBe(second)
    })

    it('cancels a run that says it was stopped', async (kit) => {
      const jobId = await kit.submit({ policy })
      expect(await kit.settle(await kit.claimOne(), { kind: 'cancelled' })).toBe('cancelled')
      const event = await kit.lastEvent(jobId)
      expect(event.data).toEqual({
        status: 'cancelled',
        cancelRequested: true,
        error: null,
        errorCode: 'cancelled',
        scheduledFor: null,
        completedAt: event.at,
        expiresAt: iso(ms(event.at) + RETAIN_MS),
      })
    })

    it('stores what was not reported yet before the outcome', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      await kit.settle(run, { kind: 'completed', result: null }, [
        { kind: 'log', data: { level: 'info', line: 'last words' } },
        { kind: 'progress', data: { percent: 100, note: null } },
      ])
      expect((await kit.events(jobId)).map(({ seq, kind }) => [seq, kind])).toEqual([
        [1, 'status'],
        [2, 'status'],
        [3, 'log'],
        [4, 'progress'],
        [5, 'status'],
      ])
      expect((await kit.job(jobId)).progress).toEqual({ percent: 100, note: null })
    })

    it('sent again, answers the same and stores nothing more', async (kit) => {
      const outcomes: Outcome[] = [
        { kind: 'completed', result: 1 },
        FAILED,
        AGAIN,
        { kind: 'later', delayMs: 60_000 },
        { kind: 'cancelled' },
        { kind: 'released' },
      ]
      for (const outcome of outcomes) {
        const jobId = await kit.submit()
        const run = await kit.claimOne()
        const events = [{ kind: 'chunk', data: 'once' }] as const
        const verdict = await kit.settle(run, outcome, events)
        const before = await kit.job(jobId)
        await tick()
        expect(await kit.settle(run, outcome, events)).toBe(verdict)
        // Another outcome than the one that was accepted changes nothing either.
        expect(await kit.settle(run, { kind: 'failed', error: 'other', errorCode: 'timeout' })).toBe(verdict)
        expect(await kit.job(jobId)).toEqual(before)
        await kit.engine.cancel(jobId)
        expect(await kit.settle(run, outcome, events)).toBe(verdict)
      }
    })

    it('sent again after a promotion, still answers what the run ended with', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      const again = { ...AGAIN, delayMs: 0 }
      expect(await kit.settle(run, again)).toBe('scheduled')
      await kit.promoted()
      expect(await kit.settle(run, again)).toBe('scheduled')
      expect(await kit.job(jobId)).toMatchObject({ status: 'queued', attempt: 2 })
    })

    it('sent again after its job was removed, is stale', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      await kit.settle(run, FAILED)
      await kit.engine.remove(jobId)
      expect(await kit.settle(run, FAILED)).toBe('stale')
      expect(await kit.raw.get(jobId)).toBeNull()
    })

    it('gives one verdict each, in order, also where a run comes twice or is stale', async (kit) => {
      for (let n = 0; n < 4; n++) await kit.submit({ payload: n })
      const [a, b, c] = (await kit.claim({ limit: 3 })).map(leaseOf)
      const settlements = [
        { ...present(a, 'run'), outcome: { kind: 'completed', result: 'a' }, events: [] },
        { jobId: present(b, 'run').jobId, lease: 'forged', outcome: FAILED, events: [] },
        { ...present(c, 'run'), outcome: FAILED, events: [] },
        { ...present(a, 'run'), outcome: FAILED, events: [] },
        { ...present(b, 'run'), outcome: { kind: 'released' }, events: [] },
      ] as const
      expect((await kit.engine.settle({ settlements })).verdicts).toEqual([
        'completed',
        'stale',
        'failed',
        'completed',
        'queued',
      ])
      expect(await kit.job(present(a, 'run').jobId)).toMatchObject({ status: 'completed', result: 'a' })
      expect(await kit.engine.settle({ settlements: [] })).toEqual({ verdicts: [], claims: [] })
    })

    it('claims the next jobs in the same call, and the same ones when sent again', async (kit) => {
      for (let n = 0; n < 4; n++) await kit.submit({ payload: n })
      const [first, second] = await kit.claim({ limit: 2 })
      const request: SettleRequest = {
        settlements: [
          { ...leaseOf(present(first, 'run')), outcome: { kind: 'released' }, events: [] },
          { ...leaseOf(present(second, 'run')), outcome: { kind: 'completed', result: null }, events: [] },
        ],
        next: claimRequest({ limit: 2, claimId: 'next' }),
      }
      const answer = await kit.engine.settle(request)
      expect(answer.verdicts).toEqual(['queued', 'completed'])
      // What was given back is first in line again.
      expect(answer.claims.map(({ payload }) => payload)).toEqual([0, 2])
      const again = await kit.engine.settle(request)
      expect(again.claims.map(leaseOf)).toEqual(answer.claims.map(leaseOf))
      expect(again.verdicts[1]).toBe('completed')
      expect(await kit.events(present(answer.claims[1], 'claim').jobId)).toHaveLength(2)
    })

    it('claims the next jobs though every settlement was stale', async (kit) => {
      const jobId = await kit.submit()
      const { verdicts, claims } = await kit.engine.settle({
        settlements: [{ jobId, lease: 'forged', outcome: FAILED, events: [] }],
        next: claimRequest(),
      })
      expect(verdicts).toEqual(['stale'])
      expect(claims.map((claim) => claim.jobId)).toEqual([jobId])
    })

    it('takes two hundred runs and claims two hundred more', async ({ raw }) => {
      await raw.submit({ jobs: Array.from({ length: 400 }, (_, n) => newJob({ payload: n })) })
      const claims = await raw.claim(claimRequest({ limit: 200 }))
      const answer = await raw.settle({
        settlements: claims.map((claim) => ({
          ...leaseOf(claim),
          outcome: { kind: 'completed', result: claim.payload },
          events: [],
        })),
        next: claimRequest({ limit: 200 }),
      })
      expect(answer.verdicts).toEqual(claims.map(() => 'completed'))
      expect(answer.claims.map(({ payload }) => payload)).toEqual(
        Array.from({ length: 200 }, (_, n) => n + 200),
      )
      expect((await raw.types())[0]?.counts).toMatchObject({ queued: 0, processing: 200, completed: 200 })
    })

    it('of one run sent many times at once, is accepted once', async (kit) => {
      const jobId = await kit.submit()
      const run = leaseOf(await kit.claimOne())
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          kit.raw.settle({
            settlements: [{ ...run, outcome: n % 2 ? FAILED : { kind: 'completed', result: n }, events: [] }],
          }),
        ),
      )
      const verdicts = new Set(answers.map(({ verdicts }) => verdicts[0]))
      expect(verdicts.size).toBe(1)
      expect(await kit.events(jobId)).toHaveLength(3)
      expect(verdicts).toEqual(new Set([(await kit.job(jobId)).status]))
    })
  })
}
