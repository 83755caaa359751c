import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { Engine } from '../../../server/engine/engine.ts'
import { until } from '../../helpers/until.ts'
import { type EngineTest, newJob } from '../harness.ts'

/** Far beyond any wake-up, on a busy machine too; far below the waits' own timeouts. */
const AT_ONCE_MS = 1500
const LONG_MS = 15_000
/** Long enough for a wake-up that should not come to have come. */
const SETTLED_MS = 150

interface Waiter {
  /** How long it took, once it is over. */
  over: number | null
  stop(): Promise<void>
}

/** Waits for work, and is waiting when the promise resolves. */
async function wait(
  engine: Engine,
  types: readonly string[],
  timeoutMs = LONG_MS,
  workerId = `waiter-${randomUUID()}`,
): Promise<Waiter> {
  const abort = new AbortController()
  const started = performance.now()
  const waiter: Waiter = {
    over: null,
    async stop() {
      abort.abort()
      await ended
    },
  }
  const ended = engine.waitForWork({ workerId, types, timeoutMs, signal: abort.signal }).then(() => {
    waiter.over = performance.now() - started
  })
  // Long enough for the wait to have reached the store, so that what comes next has to wake it.
  await pause(50)
  await engine.check()
  return waiter
}

async function expectWoken(waiter: Waiter): Promise<void> {
  const from = performance.now()
  await until(() => waiter.over !== null, { intervalMs: 1, timeoutMs: LONG_MS / 2, what: 'the wait to end' })
  expect(performance.now() - from).toBeLessThan(AT_ONCE_MS)
}

export function waitCases(it: EngineTest): void {
  describe('waitForWork', () => {
    it('wakes at once when a job is submitted', async (kit) => {
      const waiter = await wait(kit.raw, ['work'])
      expect(waiter.over).toBeNull()
      await kit.submit()
      await expectWoken(waiter)
      await kit.claimOne()
    })

    it('wakes for a job that another process submits', async ({ raw, store }) => {
      const peer = (await store.peer?.()) ?? raw
      const waiter = await wait(raw, ['other', 'work'])
      await peer.submit({ jobs: [newJob()] })
      await expectWoken(waiter)
    })

    it('does not sleep on a job that is there already', async (kit) => {
      await kit.submit()
      await expectWoken(await wait(kit.raw, ['work']))
    })

    it('wakes for a job that is promoted, given back, rescued, retried or resumed', async (kit) => {
      const wakes = async (act: () => Promise<unknown>) => {
        // What earlier steps left behind may wake a worker in vain; then it waits again.
        let waiter = await wait(kit.raw, ['work'], LONG_MS)
        while (waiter.over !== null) waiter = await wait(kit.raw, ['work'], LONG_MS)
        await act()
        await expectWoken(waiter)
      }
      const jobId = await kit.submit({ when: { delayMs: 300 } })
      await wakes(() => kit.promoted())
      const run = await kit.claimOne()
      await wakes(() => kit.settle(run, { kind: 'released' }))
      const stalled = await kit.claimOne()
      await wakes(async () => {
        await kit.engine.extend({ leases: [{ jobId, lease: stalled.lease }], leaseMs: 1 })
        await kit.rescued()
      })
      await kit.engine.cancel(jobId)
      await wakes(() => kit.engine.retry(jobId))
      await kit.claimOne()
      await kit.engine.pause('work')
      await kit.submit()
      await wakes(() => kit.engine.resume('work'))
      await kit.claimOne()
    })

    it('wakes one worker for one job, and as many as there are jobs', async (kit) => {
      const all: Waiter[] = []
      for (let n = 0; n < 5; n++) all.push(await wait(kit.raw, ['work']))
      const woken = () => all.filter(({ over }) => over !== null).length
      await kit.submit()
      await until(() => woken() === 1, { what: 'one worker to wake' })
      await pause(SETTLED_MS)
      expect(woken()).toBe(1)
      await kit.raw.submit({ jobs: [newJob(), newJob(), newJob()] })
      await until(() => woken() === 4, { what: 'four workers to wake' })
      await pause(SETTLED_MS)
      expect(woken()).toBe(4)
      for (const waiter of all) await waiter.stop()
    })

    it('lets workers of other types sleep', async (kit) => {
      const idle = await wait(kit.raw, ['idle'])
      const busy = await wait(kit.raw, ['work'])
      await kit.submit()
      await expectWoken(busy)
      await pause(SETTLED_MS)
      expect(idle.over).toBeNull()
      await idle.stop()
    })

    it('wakes a worker that has room for the type, not one that does not wait for it', async (kit) => {
      const types = { alpha: 1, beta: 1 }
      for (const workerId of ['full', 'free']) expect(await kit.claim({ workerId, types })).toEqual([])
      await kit.submit({ type: 'alpha' })
      await kit.claim({ workerId: 'full', types })
      // The one without room for another `alpha` has been idle longer, and is next in turn for anything else.
      const full = await wait(kit.raw, ['beta'], LONG_MS, 'full')
      const free = await wait(kit.raw, ['alpha', 'beta'], LONG_MS, 'free')
      await kit.submit({ type: 'alpha' })
      await expectWoken(free)
      await pause(SETTLED_MS)
      expect(full.over).toBeNull()
      await kit.submit({ type: 'beta' })
      await expectWoken(full)
    })

    it('ends at its timeout', async ({ raw }) => {
      const started = performance.now()
      await raw.waitForWork({
        workerId: 'w',
        types: ['work'],
        timeoutMs: 120,
        signal: new AbortController().signal,
      })
      const took = performance.now() - started
      expect(took).toBeGreaterThanOrEqual(100)
      expect(took).toBeLessThan(AT_ONCE_MS)
    })

    it('ends when its signal fires, before or during the wait', async ({ raw }) => {
      const started = performance.now()
      await raw.waitForWork({
        workerId: 'w',
        types: ['work'],
        timeoutMs: LONG_MS,
        signal: AbortSignal.abort(),
      })
      const waiter = await wait(raw, ['work'])
      expect(waiter.over).toBeNull()
      await waiter.stop()
      expect(waiter.over).not.toBeNull()
      expect(performance.now() - started).toBeLessThan(AT_ONCE_MS)
    })

    it('does not lose the wake-up of a worker that gave up', async (kit) => {
      const gone = await wait(kit.raw, ['work'])
      const staying = await wait(kit.raw, ['work'])
      await gone.stop()
      await kit.submit()
      await expectWoken(staying)
    })

    it('can be waited for again and again', async (kit) => {
      for (let round = 0; round < 5; round++) {
        const abort = new AbortController()
        const waiting = kit.raw.waitForWork({
          workerId: 'same',
          types: ['work'],
          timeoutMs: LONG_MS,
          signal: abort.signal,
        })
        const started = performance.now()
        await kit.submit()
        await waiting
        expect(performance.now() - started).toBeLessThan(AT_ONCE_MS)
        await kit.settle(await kit.claimOne(), { kind: 'completed', result: round })
        abort.abort()
      }
    })
  })
}
