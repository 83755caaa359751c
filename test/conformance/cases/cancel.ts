import { describe, expect } from 'vitest'
import type { LeaseRef, Outcome } from '../../../server/engine/engine.ts'
import { newJobId } from '../../../server/engine/job/ids.ts'
import { until } from '../../helpers/until.ts'
import { type EngineTest, iso, type Kit, leaseOf, ms } from '../harness.ts'

const GARBAGE = ['', 'nonsense', '\u0000', '../..', '{jobcast}:x', 'x'.repeat(10_000), '__proto__']

async function expectCancelled(kit: Kit, jobId: string): Promise<void> {
  const event = await kit.lastEvent(jobId)
  const changed = {
    status: 'cancelled',
    cancelRequested: true,
    error: null,
    errorCode: 'cancelled',
    scheduledFor: null,
    completedAt: event.at,
    expiresAt: iso(ms(event.at) + 86_400_000),
  }
  expect(event.data).toEqual(changed)
  expect(await kit.job(jobId)).toMatchObject(changed)
}

export function cancelCases(it: EngineTest): void {
  describe('cancel', () => {
    it('ends a queued or scheduled job at once', async (kit) => {
      for (const when of [{ delayMs: 0 }, { delayMs: 3_600_000 }]) {
        const jobId = await kit.submit({ when })
        const answer = await kit.engine.cancel(jobId)
        expect(answer).toEqual({ ok: true, job: await kit.job(jobId) })
        await expectCancelled(kit, jobId)
      }
      expect(await kit.claim({ limit: 10 })).toEqual([])
      expect(await kit.engine.promote({ limit: 10 })).toEqual({ promoted: 0, nextInMs: null })
    })

    it('ends a job that waits for its next attempt, and clears the last failure', async (kit) => {
      const jobId = await kit.submit()
      await kit.settle(await kit.claimOne(), {
        kind: 'retry',
        error: 'not yet',
        errorCode: 'timeout',
        delayMs: 60_000,
      })
      await kit.engine.cancel(jobId)
      await expectCancelled(kit, jobId)
      expect((await kit.job(jobId)).attempt).toBe(2)
    })

    it('is requested of a running job, once', async (kit) => {
      const jobId = await kit.submit()
      await kit.claimOne()
      const answer = await kit.engine.cancel(jobId)
      expect(answer).toEqual({ ok: true, job: await kit.job(jobId) })
      expect(await kit.job(jobId)).toMatchObject({
        status: 'processing',
        cancelRequested: true,
        errorCode: null,
      })
      expect((await kit.lastEvent(jobId)).data).toEqual({ cancelRequested: true })
      expect(await kit.engine.cancel(jobId)).toEqual(answer)
      expect(await kit.events(jobId)).toHaveLength(3)
    })

    it('is refused of a finished job', async (kit) => {
      for (const kind of ['completed', 'failed', 'cancelled'] as const) {
        const jobId = await kit.submit()
        const run = await kit.claimOne()
        if (kind === 'completed') await kit.settle(run, { kind, result: null })
        else if (kind === 'failed') await kit.settle(run, { kind, error: 'x', errorCode: 'timeout' })
        else await kit.settle(run, { kind })
        const before = await kit.job(jobId)
        expect(await kit.engine.cancel(jobId)).toEqual({ ok: false, reason: 'already_finished' })
        expect(await kit.job(jobId)).toEqual(before)
      }
    })

    it('of what is unknown is not found', async (kit) => {
      for (const jobId of [newJobId(), ...GARBAGE]) {
        expect(await kit.engine.cancel(jobId)).toEqual({ ok: false, reason: 'not_found' })
      }
    })

    it('once requested, turns every outcome but completion into cancelled', async (kit) => {
      const outcomes: Outcome[] = [
        { kind: 'failed', error: 'x', errorCode: 'handler_error' },
        { kind: 'retry', error: 'x', errorCode: 'timeout', delayMs: 0 },
        { kind: 'released' },
        { kind: 'cancelled' },
      ]
      for (const outcome of outcomes) {
        const jobId = await kit.submit()
        const run = await kit.claimOne()
        await kit.engine.cancel(jobId)
        expect(await kit.settle(run, outcome)).toBe('cancelled')
        await expectCancelled(kit, jobId)
        expect(await kit.settle(run, outcome)).toBe('cancelled')
        expect(await kit.job(jobId)).toMatchObject({ attempt: 1, stalls: 0 })
      }
      expect(await kit.claim()).toEqual([])
    })

    it('loses against a handler that returns all the same', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      await kit.engine.cancel(jobId)
      expect(await kit.settle(run, { kind: 'completed', result: 'done' })).toBe('completed')
      expect(await kit.job(jobId)).toMatchObject({
        status: 'completed',
        cancelRequested: true,
        result: 'done',
        error: null,
        errorCode: null,
      })
      expect(Object.keys((await kit.lastEvent(jobId)).data ?? {}).sort()).toEqual(
        ['status', 'result', 'error', 'errorCode', 'completedAt', 'expiresAt'].sort(),
      )
    })

    it('once requested, is done when the lease runs out, and counts no stall', async (kit) => {
      const jobId = await kit.submit({ policy: { maxStalls: 5 } })
      await kit.claimOne({ leaseMs: 1 })
      await kit.engine.cancel(jobId)
      await kit.rescued()
      await expectCancelled(kit, jobId)
      expect((await kit.job(jobId)).stalls).toBe(0)
    })

    it('racing a settle, leaves one ending that both agree on', async (kit) => {
      for (let round = 0; round < 20; round++) {
        const jobId = await kit.submit()
        const run = leaseOf(await kit.claimOne())
        const outcome: Outcome =
          round % 2
            ? { kind: 'completed', result: round }
            : { kind: 'failed', error: 'x', errorCode: 'timeout' }
        const settle = () => kit.engine.settle({ settlements: [{ ...run, outcome, events: [] }] })
        const cancel = () => kit.engine.cancel(jobId)
        const [settled, cancelled] =
          round % 4 < 2
            ? await Promise.all([settle(), cancel()])
            : await Promise.all([cancel(), settle()]).then(([first, second]) => [second, first] as const)
        const job = await kit.job(jobId)
        expect(settled.verdicts).toEqual([job.status])
        if (round % 2) expect(job.status).toBe('completed')
        else expect(job.status).toBe(cancelled.ok ? 'cancelled' : 'failed')
        expect(job.cancelRequested).toBe(cancelled.ok)
      }
    })

    it('racing a claim, either stops the job or reaches its run', async (kit) => {
      for (let round = 0; round < 20; round++) {
        const jobId = await kit.submit()
        const [claims] = await Promise.all([kit.claim(), kit.engine.cancel(jobId)])
        const job = await kit.job(jobId)
        expect(job.cancelRequested).toBe(true)
        expect(job.status).toBe(claims.length === 0 ? 'cancelled' : 'processing')
        for (const run of claims) expect(await kit.settle(run, { kind: 'cancelled' })).toBe('cancelled')
      }
    })
  })

  describe('onCancel', () => {
    it('tells the worker that runs the job, and no other', async (kit) => {
      const peer = (await kit.store.peer?.()) ?? kit.raw
      const mine: LeaseRef[] = []
      const others: LeaseRef[] = []
      const stop = await peer.onCancel('mine', (run) => mine.push(run))
      await peer.onCancel('other', (run) => others.push(run))
      const first = await kit.submit()
      const second = await kit.submit()
      await kit.submit()
      const run = await kit.claimOne({ workerId: 'mine' })
      const theirs = await kit.claimOne({ workerId: 'other' })
      const queued = await kit.submit()
      await kit.engine.cancel(queued)
      await kit.engine.cancel(first)
      await kit.engine.cancel(second)
      await until(() => mine.length > 0 && others.length > 0, {
        what: 'both workers to be told',
      })
      expect([mine.map(leaseOf), others.map(leaseOf)]).toEqual([[leaseOf(run)], [leaseOf(theirs)]])

      stop()
      const last = await kit.claimOne({ workerId: 'mine' })
      const again = await kit.submit()
      await kit.claimOne({ workerId: 'other' })
      await kit.engine.cancel(last.jobId)
      await kit.engine.cancel(again)
      await until(() => others.length === 2, { what: 'the other worker to be told' })
      expect(mine).toHaveLength(1)
    })

    it('names the lease of the run that goes on now', async (kit) => {
      const told: LeaseRef[] = []
      await kit.raw.onCancel('w', (run) => told.push(run))
      const jobId = await kit.submit()
      await kit.settle(await kit.claimOne({ workerId: 'w' }), { kind: 'released' })
      const run = await kit.claimOne({ workerId: 'w' })
      await kit.engine.cancel(jobId)
      await until(() => told.length > 0, { what: 'the worker to be told' })
      expect(told.map(leaseOf)).toEqual([leaseOf(run)])
    })
  })
}
