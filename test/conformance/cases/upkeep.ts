import { describe, expect } from 'vitest'
import type { Scheduled } from '../../../server/engine/engine.ts'
import { until } from '../../helpers/until.ts'
import { type EngineTest, iso, leaseOf, listAll, ms, newJob, tick } from '../harness.ts'

const HOUR_MS = 3_600_000

export function upkeepCases(it: EngineTest): void {
  describe('promote', () => {
    it('queues a job whose time has come, and clears that time', async (kit) => {
      const jobId = await kit.submit({ when: { delayMs: 1 } })
      await kit.promoted()
      expect(await kit.job(jobId)).toMatchObject({ status: 'queued', scheduledFor: null })
      expect((await kit.lastEvent(jobId)).data).toEqual({ status: 'queued', scheduledFor: null })
      expect(await kit.engine.promote({ limit: 10 })).toEqual({ promoted: 0, nextInMs: null })
    })

    it('leaves alone what is not due, and says when that will be', async (kit) => {
      expect(await kit.engine.promote({ limit: 10 })).toEqual({ promoted: 0, nextInMs: null })
      await kit.submit({ when: { delayMs: 2 * HOUR_MS } })
      const jobId = await kit.submit({ when: { delayMs: HOUR_MS } })
      const { promoted, nextInMs } = await kit.engine.promote({ limit: 10 })
      expect(promoted).toBe(0)
      expect(nextInMs).toBeLessThanOrEqual(HOUR_MS)
      expect(nextInMs).toBeGreaterThan(HOUR_MS - 20_000)
      await kit.engine.cancel(jobId)
      expect((await kit.engine.promote({ limit: 10 })).nextInMs).toBeGreaterThan(HOUR_MS)
    })

    it('never comes before its time', async (kit) => {
      const jobId = await kit.submit({ when: { delayMs: 60 } })
      const { scheduledFor } = await kit.job(jobId)
      await kit.promoted()
      expect(ms((await kit.lastEvent(jobId)).at)).toBeGreaterThanOrEqual(ms(scheduledFor))
    })

    it('goes by due time, to the end of the line of their priority', async (kit) => {
      // Far enough ahead for the jobs to be stored before they are due, on a busy machine too.
      const soon = Date.now() + 1500
      const at = (payload: string, runAt: number, priority = 0) =>
        newJob({ payload, when: { runAt }, policy: { priority } })
      const receipt = await kit.engine.submit({
        jobs: [
          at('third', soon + 4),
          at('first', soon),
          at('at once with it', soon),
          at('second', soon + 2),
          at('high', soon + 3, 1),
        ],
      })
      expect(new Set(receipt.jobs.map(({ status }) => status))).toEqual(new Set(['scheduled']))
      await kit.submit({ payload: 'submitted after them', when: { runAt: soon } })
      await kit.submit({ payload: 'in line before' })
      await until(() => Date.now() > soon + 10, { what: 'all to come due' })
      await kit.promoted(6)
      await kit.submit({ payload: 'after' })
      expect((await kit.claim({ limit: 10 })).map(({ payload }) => payload)).toEqual([
        'high',
        'in line before',
        'first',
        'at once with it',
        'submitted after them',
        'second',
        'third',
        'after',
      ])
    })

    it('takes no more than its limit at a time, and says that more is due', async (kit) => {
      await kit.engine.submit({ jobs: Array.from({ length: 5 }, () => newJob({ when: { delayMs: 1 } })) })
      await tick()
      await tick()
      expect(await kit.engine.promote({ limit: 3 })).toEqual({ promoted: 3, nextInMs: 0 })
      expect(await kit.engine.promote({ limit: 3 })).toEqual({ promoted: 2, nextInMs: null })
      expect(await kit.claim({ limit: 10 })).toHaveLength(5)
    })

    it('queues jobs of a paused type, which then wait there', async (kit) => {
      await kit.engine.pause('work')
      await kit.submit({ when: { delayMs: 1 } })
      await kit.promoted()
      expect(await kit.claim()).toEqual([])
    })
  })

  describe('rescue', () => {
    it('takes a job back to its old place in line and counts a stall', async (kit) => {
      const first = await kit.submit()
      await kit.submit()
      await kit.claimOne({ leaseMs: 1 })
      await kit.rescued()
      expect((await kit.lastEvent(first)).data).toEqual({ status: 'queued', stalls: 1 })
      expect(await kit.job(first)).toMatchObject({ status: 'queued', stalls: 1, attempt: 1, error: null })
      expect(await kit.claimOne()).toMatchObject({ jobId: first, stalls: 1, attempt: 1 })
    })

    it('fails a job that stalled more often than it may', async (kit) => {
      const jobId = await kit.submit({ policy: { maxStalls: 2, retainMs: HOUR_MS } })
      for (let stalls = 1; stalls <= 2; stalls++) {
        await kit.claimOne({ leaseMs: 1 })
        await kit.rescued()
        expect(await kit.job(jobId)).toMatchObject({ status: 'queued', stalls })
      }
      await kit.claimOne({ leaseMs: 1 })
      await kit.rescued()
      const event = await kit.lastEvent(jobId)
      expect(event.data).toEqual({
        status: 'failed',
        stalls: 3,
        error: 'the lease ran out 3 times',
        errorCode: 'stalled',
        completedAt: event.at,
        expiresAt: iso(ms(event.at) + HOUR_MS),
      })
      expect(await kit.claim()).toEqual([])
    })

    it('fails a job at its first stall where none is allowed', async (kit) => {
      const jobId = await kit.submit({ policy: { maxStalls: 0 } })
      await kit.claimOne({ leaseMs: 1 })
      await kit.rescued()
      expect((await kit.lastEvent(jobId)).data).toMatchObject({
        status: 'failed',
        stalls: 1,
        error: 'the lease ran out 1 times',
        errorCode: 'stalled',
      })
    })

    it('leaves alone runs that are held, and runs that ended', async (kit) => {
      for (let n = 0; n < 3; n++) await kit.submit()
      await kit.claimOne()
      await kit.settle(await kit.claimOne({ leaseMs: 1 }), { kind: 'completed', result: null })
      await kit.settle(await kit.claimOne({ leaseMs: 1 }), { kind: 'released' })
      await tick()
      await tick()
      expect(await kit.engine.rescue({ limit: 10 })).toEqual({ rescued: 0 })
    })

    it('takes no more than its limit at a time', async (kit) => {
      for (let n = 0; n < 3; n++) await kit.submit({ payload: n })
      await kit.claim({ limit: 3, leaseMs: 1 })
      await tick()
      await tick()
      expect(await kit.engine.rescue({ limit: 2 })).toEqual({ rescued: 2 })
      expect(await kit.engine.rescue({ limit: 2 })).toEqual({ rescued: 1 })
      expect((await kit.claim({ limit: 3 })).map(({ payload }) => payload)).toEqual([0, 1, 2])
    })

    it('racing a settle, lets only one of the two happen', async (kit) => {
      for (let round = 0; round < 10; round++) {
        const jobId = await kit.submit()
        const run = leaseOf(await kit.claimOne({ leaseMs: 1 }))
        await tick()
        const [settled, { rescued }] = await Promise.all([
          kit.engine.settle({
            settlements: [{ ...run, outcome: { kind: 'completed', result: 1 }, events: [] }],
          }),
          kit.engine.rescue({ limit: 10 }),
        ])
        expect(settled.verdicts[0] === 'stale').toBe(rescued === 1)
        expect((await kit.job(jobId)).status).toBe(rescued === 1 ? 'queued' : 'completed')
        await kit.engine.cancel(jobId)
      }
    })
  })

  describe('prune', () => {
    it('forgets finished jobs past their time, and nothing else', async (kit) => {
      const brief = { policy: { retainMs: 500 }, tags: ['t'] }
      const types = { work: 1 }
      await kit.engine.cancel(await kit.submit(brief))
      await kit.submit(brief)
      await kit.settle(await kit.claimOne({ types }), { kind: 'completed', result: 1 })
      await kit.submit(brief)
      const last = await kit.claimOne({ types })
      await kit.settle(last, { kind: 'failed', error: 'x', errorCode: 'timeout' })
      const { expiresAt } = await kit.job(last.jobId)
      const kept = await kit.submit()
      await kit.engine.cancel(kept)
      const scheduled = await kit.submit({ ...brief, when: { delayMs: HOUR_MS } })
      const processing = await kit.submit(brief)
      await kit.claimOne({ types })
      const queued = await kit.submit(brief)
      await until(() => Date.now() > ms(expiresAt), { what: 'all three to expire' })
      expect(await kit.engine.prune({ limit: 2 })).toEqual({ pruned: 2 })
      expect(await kit.engine.prune({ limit: 2 })).toEqual({ pruned: 1 })
      expect(await kit.engine.prune({ limit: 2 })).toEqual({ pruned: 0 })
      const left = (await listAll(kit.raw)).map(({ jobId }) => jobId)
      expect(left.sort()).toEqual([kept, scheduled, processing, queued].sort())
    })

    it('does not come before its time', async (kit) => {
      const jobId = await kit.submit({ policy: { retainMs: 500 } })
      await kit.engine.cancel(jobId)
      const { expiresAt } = await kit.job(jobId)
      await until(async () => (await kit.raw.prune({ limit: 10 })).pruned === 1, {
        intervalMs: 2,
        what: 'the prune',
      })
      expect(Date.now()).toBeGreaterThanOrEqual(ms(expiresAt))
      expect(await kit.raw.get(jobId)).toBeNull()
      expect(await kit.raw.feed.positions([jobId])).toEqual([null])
      expect(await kit.raw.retry(jobId)).toEqual({ ok: false, reason: 'not_found' })
    })
  })

  describe('upcoming', () => {
    const NOTHING = { promoteInMs: null, rescueInMs: null, pruneInMs: null }

    it('says when there will be something to promote, to rescue and to prune', async (kit) => {
      expect(await kit.raw.upcoming()).toEqual(NOTHING)
      await kit.submit({ when: { delayMs: 2 * HOUR_MS } })
      await kit.submit({ when: { delayMs: HOUR_MS } })
      await kit.submit({ policy: { retainMs: HOUR_MS / 2 } })
      const run = await kit.claimOne({ leaseMs: 50_000 })
      const running = await kit.raw.upcoming()
      expect(running.promoteInMs).toBeLessThanOrEqual(HOUR_MS)
      expect(running.promoteInMs).toBeGreaterThan(HOUR_MS - 20_000)
      expect(running.rescueInMs).toBeLessThanOrEqual(50_000)
      expect(running.rescueInMs).toBeGreaterThan(30_000)
      expect(running.pruneInMs).toBeNull()
      await kit.settle(run, { kind: 'completed', result: null })
      const { rescueInMs, pruneInMs } = await kit.raw.upcoming()
      expect(rescueInMs).toBeNull()
      expect(pruneInMs).toBeLessThanOrEqual(HOUR_MS / 2)
      expect(pruneInMs).toBeGreaterThan(HOUR_MS / 2 - 20_000)
    })

    it('says 0 for what is overdue, until it is done', async (kit) => {
      const { jobs } = await kit.raw.submit({ jobs: [newJob({ policy: { retainMs: 1 } })] })
      await kit.raw.cancel(jobs[0]?.jobId ?? '')
      await kit.submit()
      await kit.claimOne({ leaseMs: 1 })
      await kit.submit({ when: { delayMs: 1 } })
      const look = async () => Object.values(await kit.raw.upcoming())
      await until(async () => (await look()).every((inMs) => inMs === 0), { what: 'all three to be due' })
      await kit.promoted()
      await kit.rescued()
      await kit.raw.prune({ limit: 10 })
      expect(await kit.raw.upcoming()).toEqual(NOTHING)
    })
  })

  describe('onScheduled', () => {
    it('tells in how many ms a job is due that this engine has stored, or put off', async (kit) => {
      const heard: Scheduled[] = []
      const stop = kit.raw.onScheduled((scheduled) => heard.push(scheduled))
      const own = () => heard.filter(({ isOwn }) => isOwn).map(({ inMs }) => Math.ceil(inMs / 10_000))
      await kit.raw.submit({ jobs: [newJob(), newJob({ when: { runAt: Date.now() - 5 } })] })
      await kit.submit({ when: { runAt: Date.now() + 60_000 } })
      await kit.raw.submit({
        jobs: [newJob({ when: { delayMs: 90_000 } }), newJob({ when: { delayMs: 50_000 } })],
      })
      const run = await kit.claimOne()
      await kit.settle(run, { kind: 'retry', error: 'x', errorCode: 'timeout', delayMs: 70_000 })
      expect(own()).toEqual([6, 5, 7])
      stop()
      await kit.submit({ when: { delayMs: 1 } })
      expect(own()).toHaveLength(3)
    })

    it('tells other processes of a job that is due before all others', async (kit) => {
      const peer = await kit.store.peer?.()
      if (peer === undefined) return
      const heard: number[] = []
      peer.onScheduled(({ inMs, isOwn }) => heard.push(isOwn ? -1 : Math.ceil(inMs / 10_000)))
      await kit.submit({ when: { delayMs: 90_000 } })
      await kit.submit({ when: { delayMs: 95_000 } })
      await kit.submit()
      const run = await kit.claimOne()
      await kit.settle(run, { kind: 'retry', error: 'x', errorCode: 'timeout', delayMs: 50_000 })
      await kit.submit({ when: { delayMs: 30_000 } })
      await until(() => heard.length >= 3, { what: 'three messages' })
      expect(heard).toEqual([9, 5, 3])
    })
  })

  describe('counts', () => {
    it('follow every step', async (kit) => {
      const none = { scheduled: 0, queued: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 }
      const counts = async () => (await kit.raw.types())[0]?.counts
      const [first, second] = [await kit.submit(), await kit.submit({ when: { delayMs: 1 } })]
      expect(await counts()).toEqual({ ...none, queued: 1, scheduled: 1 })
      await kit.promoted()
      expect(await counts()).toEqual({ ...none, queued: 2 })
      const runs = await kit.claim({ limit: 2, leaseMs: 1 })
      expect(await counts()).toEqual({ ...none, processing: 2 })
      await kit.rescued(2)
      expect(await counts()).toEqual({ ...none, queued: 2 })
      expect(runs).toHaveLength(2)
      await kit.settle(await kit.claimOne(), {
        kind: 'retry',
        error: 'x',
        errorCode: 'timeout',
        delayMs: HOUR_MS,
      })
      expect(await counts()).toEqual({ ...none, queued: 1, scheduled: 1 })
      await kit.engine.cancel(first)
      await kit.settle(await kit.claimOne(), { kind: 'completed', result: 1 })
      expect(await counts()).toEqual({ ...none, cancelled: 1, completed: 1 })
      await kit.engine.retry(first)
      await kit.settle(await kit.claimOne(), { kind: 'failed', error: 'x', errorCode: 'timeout' })
      expect(await counts()).toEqual({ ...none, completed: 1, failed: 1 })
      await kit.engine.remove(first)
      await kit.engine.remove(second)
      expect(await counts()).toEqual(none)
    })
  })
}
