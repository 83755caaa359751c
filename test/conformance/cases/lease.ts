import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { Outcome } from '../../../server/engine/engine.ts'
import { newJobId } from '../../../server/engine/job/ids.ts'
import { until } from '../../helpers/until.ts'
import { claimRequest, type EngineTest, type Kit, LONG_LEASE_MS, leaseOf, newJob } from '../harness.ts'

const OUTCOMES: readonly Outcome[] = [
  { kind: 'completed', result: 'late' },
  { kind: 'failed', error: 'late', errorCode: 'handler_error' },
  { kind: 'retry', error: 'late', errorCode: 'handler_error', delayMs: 0 },
  { kind: 'cancelled' },
  { kind: 'released' },
]

/** Everything that a run can do, tried with leases that prove nothing: all refused, and nothing changes. */
async function expectRefused(kit: Kit, jobId: string, leases: readonly string[]): Promise<void> {
  const before = [await kit.raw.get(jobId), await kit.raw.feed.positions([jobId])]
  const runs = leases.map((lease) => ({ jobId, lease }))
  const stale = leases.map(() => 'stale')
  const events = [
    { kind: 'progress', data: { percent: 99, note: 'late' } },
    { kind: 'log', data: { level: 'info', line: 'late' } },
    { kind: 'chunk', data: 'late' },
  ] as const
  expect(await kit.engine.extend({ leases: runs, leaseMs: LONG_LEASE_MS })).toEqual(stale)
  expect(await kit.engine.report(runs.map((run) => ({ ...run, events })))).toEqual(stale)
  for (const outcome of OUTCOMES) {
    const settlements = runs.map((run) => ({ ...run, outcome, events }))
    expect(await kit.engine.settle({ settlements })).toEqual({ verdicts: stale, claims: [] })
  }
  expect([await kit.raw.get(jobId), await kit.raw.feed.positions([jobId])]).toEqual(before)
}

export function leaseCases(it: EngineTest): void {
  describe('a lease', () => {
    it('is refused when it was never given out', async (kit) => {
      const jobId = await kit.submit()
      const forged = ['', 'forged', '\u0000', 'x'.repeat(1000), '__proto__']
      await expectRefused(kit, jobId, forged)
      await kit.claimOne()
      await expectRefused(kit, jobId, forged)
    })

    it('is refused for another job than its own, and for none', async (kit) => {
      const jobId = await kit.submit()
      const other = await kit.submit()
      const [run, second] = await kit.claim({ limit: 2 })
      await expectRefused(kit, other, [run?.lease ?? ''])
      await expectRefused(kit, jobId, [second?.lease ?? ''])
      await expectRefused(kit, newJobId(), [run?.lease ?? ''])
      for (const garbage of ['', 'nonsense', '\u0000', '{jobcast}:x', 'x'.repeat(10_000)]) {
        await expectRefused(kit, garbage, [run?.lease ?? ''])
      }
    })

    it('is refused after it was taken back', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne({ leaseMs: 1 })
      await kit.rescued()
      await expectRefused(kit, jobId, [run.lease])
      const next = await kit.claimOne()
      expect(next).toMatchObject({ jobId, attempt: 1, stalls: 1 })
      await expectRefused(kit, jobId, [run.lease])
      expect(await kit.settle(next, { kind: 'completed', result: 'mine' })).toBe('completed')
      await expectRefused(kit, jobId, [run.lease])
      expect((await kit.job(jobId)).result).toBe('mine')
    })

    it('no longer reports or extends after it settled', async (kit) => {
      for (const outcome of OUTCOMES) {
        const jobId = await kit.submit()
        const run = await kit.claimOne()
        await kit.settle(run, outcome)
        const before = await kit.job(jobId)
        expect(await kit.engine.extend({ leases: [leaseOf(run)], leaseMs: 1 })).toEqual(['stale'])
        expect(await kit.report(run, { kind: 'chunk', data: 1 })).toBe('stale')
        expect(await kit.job(jobId)).toEqual(before)
        if (outcome.kind === 'released') await kit.engine.cancel(jobId)
      }
    })

    it('of an earlier run is refused while a later one goes on', async (kit) => {
      const jobId = await kit.submit()
      const first = await kit.claimOne()
      await kit.settle(first, { kind: 'released' })
      const second = await kit.claimOne()
      expect(second.lease).not.toBe(first.lease)
      expect(
        await kit.engine.extend({ leases: [first, second].map(leaseOf), leaseMs: LONG_LEASE_MS }),
      ).toEqual(['stale', 'held'])
      expect(await kit.report(first, { kind: 'chunk', data: 1 })).toBe('stale')
      expect(await kit.settle(second, { kind: 'completed', result: 2 })).toBe('completed')
      expect((await kit.job(jobId)).result).toBe(2)
    })

    it('is refused when its job was cancelled and retried meanwhile', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne({ leaseMs: 1 })
      await kit.engine.cancel(jobId)
      await kit.rescued()
      await expectRefused(kit, jobId, [run.lease])
      await kit.engine.retry(jobId)
      await expectRefused(kit, jobId, [run.lease])
    })

    it('can be prolonged, counted from then on, without an event', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne({ leaseMs: 2000 })
      expect(await kit.engine.extend({ leases: [leaseOf(run)], leaseMs: LONG_LEASE_MS })).toEqual(['held'])
      expect(await kit.events(jobId)).toHaveLength(2)
      // Longer than the lease was at first: only its extension can have kept it.
      await pause(2100)
      expect(await kit.engine.rescue({ limit: 10 })).toEqual({ rescued: 0 })
      expect(await kit.report(run, { kind: 'chunk', data: 1 })).toBe('ok')
    })

    it('can be cut short by an extension', async (kit) => {
      await kit.submit()
      const run = await kit.claimOne()
      expect(await kit.engine.extend({ leases: [leaseOf(run)], leaseMs: 1 })).toEqual(['held'])
      await kit.rescued()
    })

    it('that ran out counts until it is taken back', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne({ leaseMs: 1 })
      const { startedAt } = await kit.job(jobId)
      await until(() => Date.now() > Date.parse(startedAt ?? '') + 5, { what: 'the lease to run out' })
      expect(await kit.engine.extend({ leases: [leaseOf(run)], leaseMs: LONG_LEASE_MS })).toEqual(['held'])
      expect(await kit.engine.rescue({ limit: 10 })).toEqual({ rescued: 0 })
      expect(await kit.settle(run, { kind: 'completed', result: null })).toBe('completed')
    })

    it('says when a cancel was requested, one verdict each in order', async (kit) => {
      for (let n = 0; n < 3; n++) await kit.submit()
      const runs = await kit.claim({ limit: 3 })
      await kit.engine.cancel(runs[1]?.jobId ?? '')
      const leases = [...runs.map(leaseOf), { jobId: runs[0]?.jobId ?? '', lease: 'forged' }]
      expect(await kit.engine.extend({ leases, leaseMs: LONG_LEASE_MS })).toEqual([
        'held',
        'cancel_requested',
        'held',
        'stale',
      ])
      expect(await kit.engine.extend({ leases: [], leaseMs: LONG_LEASE_MS })).toEqual([])
    })

    it('is one of many hundreds that a call prolongs', async ({ raw }) => {
      await raw.submit({ jobs: Array.from({ length: 200 }, () => newJob()) })
      const claims = await raw.claim(claimRequest({ limit: 200 }))
      expect(claims).toHaveLength(200)
      const verdicts = await raw.extend({ leases: claims.map(leaseOf), leaseMs: LONG_LEASE_MS })
      expect(verdicts).toEqual(claims.map(() => 'held'))
    })
  })
}
