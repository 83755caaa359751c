import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { Claim, Engine } from '../../../server/engine/engine.ts'
import { until } from '../../helpers/until.ts'
import { claimRequest, type EngineTest, leaseOf, newJob, present } from '../harness.ts'

/** Far beyond any wake-up, on a busy machine too; far below the waits' own timeouts. */
const AT_ONCE_MS = 1500
const LONG_MS = 15_000
/** Long enough for a wake-up that should not come to have come. */
const SETTLED_MS = 150

interface Waiter {
  /** How long it took, once it is over. */
  over: number | null
  /** What it has got by then. */
  claims: Claim[]
  stop(): Promise<void>
}

interface WaitShape {
  readonly types?: readonly string[]
  readonly waitMs?: number
  readonly workerId?: string
  readonly claimId?: string
}

function waitRequest(signal: AbortSignal, shape: WaitShape = {}) {
  const { types = ['work'], waitMs = LONG_MS, workerId = `waiter-${randomUUID()}`, claimId } = shape
  const slots = Object.fromEntries(types.map((type) => [type, 1]))
  return { ...claimRequest({ workerId, types: slots, ...(claimId && { claimId }) }), waitMs, signal }
}

/** Makes a claim that waits for work, and is waiting when the promise resolves. */
async function wait(engine: Engine, shape: WaitShape = {}): Promise<Waiter> {
  const abort = new AbortController()
  const started = performance.now()
  const waiter: Waiter = {
    over: null,
    claims: [],
    async stop() {
      abort.abort()
      await ended
    },
  }
  const ended = engine.claim(waitRequest(abort.signal, shape)).then((claims) => {
    waiter.over = performance.now() - started
    waiter.claims = claims
  })
  // Long enough for the wait to have reached the store, so that what comes next has to wake it.
  await pause(50)
  await engine.check()
  return waiter
}

/** To its one job, as soon as it may. */
async function expectJob(waiter: Waiter): Promise<Claim> {
  const from = performance.now()
  await until(() => waiter.over !== null, { intervalMs: 1, timeoutMs: LONG_MS / 2, what: 'the wait to end' })
  expect(performance.now() - from).toBeLessThan(AT_ONCE_MS)
  expect(waiter.claims).toHaveLength(1)
  return present(waiter.claims[0], 'claim')
}

export function waitCases(it: EngineTest): void {
  describe('a claim that waits', () => {
    it('has a job at once when one is submitted', async (kit) => {
      const waiter = await wait(kit.engine)
      expect(waiter.over).toBeNull()
      const jobId = await kit.submit({ payload: { n: 1 }, tags: ['a'] })
      const run = await expectJob(waiter)
      expect(run).toMatchObject({ jobId, payload: { n: 1 }, tags: ['a'], attempt: 1, stalls: 0 })
      expect(await kit.job(jobId)).toMatchObject({ status: 'processing' })
      expect(await kit.settle(run, { kind: 'completed', result: 1 })).toBe('completed')
    })

    it('has a job that another process submits', async ({ raw, store }) => {
      const peer = (await store.peer?.()) ?? raw
      const waiter = await wait(raw, { types: ['other', 'work'] })
      await peer.submit({ jobs: [newJob()] })
      await expectJob(waiter)
    })

    it('does not sleep on a job that is there already', async (kit) => {
      const jobId = await kit.submit()
      expect(await expectJob(await wait(kit.engine))).toMatchObject({ jobId })
    })

    it('has a job that is promoted, given back, rescued, retried or resumed', async (kit) => {
      const claimedAfter = async (act: () => Promise<unknown>) => {
        // What earlier steps left behind may wake a worker in vain; then it waits again.
        let waiter = await wait(kit.engine)
        while (waiter.over !== null) waiter = await wait(kit.engine)
        await act()
        return expectJob(waiter)
      }
      const jobId = await kit.submit({ when: { delayMs: 300 } })
      const promoted = await claimedAfter(() => kit.promoted())
      const released = await claimedAfter(() => kit.settle(promoted, { kind: 'released' }))
      const rescued = await claimedAfter(async () => {
        await kit.engine.extend({ leases: [{ jobId, lease: released.lease }], leaseMs: 1 })
        await kit.rescued()
      })
      expect(rescued).toMatchObject({ jobId, stalls: 1 })
      await kit.settle(rescued, { kind: 'cancelled' })
      expect(await claimedAfter(() => kit.engine.retry(jobId))).toMatchObject({ jobId, stalls: 0 })
      await kit.engine.pause('work')
      const other = await kit.submit()
      expect(await claimedAfter(() => kit.engine.resume('work'))).toMatchObject({ jobId: other })
    })

    it('is one for one job, and as many as there are jobs', async (kit) => {
      const all: Waiter[] = []
      for (let n = 0; n < 5; n++) all.push(await wait(kit.raw))
      const served = () => all.filter(({ claims }) => claims.length === 1).length
      await kit.raw.submit({ jobs: [newJob()] })
      await until(() => served() === 1, { what: 'one worker to have it' })
      await pause(SETTLED_MS)
      expect(all.filter(({ over }) => over !== null)).toHaveLength(1)
      await kit.raw.submit({ jobs: [newJob(), newJob(), newJob()] })
      await until(() => served() === 4, { what: 'four workers to have one each' })
      for (const waiter of all) await waiter.stop()
      expect(served()).toBe(4)
    })

    it('lets workers of other types sleep', async (kit) => {
      const idle = await wait(kit.raw, { types: ['idle'] })
      const busy = await wait(kit.raw)
      await kit.raw.submit({ jobs: [newJob()] })
      await expectJob(busy)
      await pause(SETTLED_MS)
      expect(idle.over).toBeNull()
      await idle.stop()
    })

    it('is that of a worker that has room for the type, not one that does not wait for it', async (kit) => {
      const types = { alpha: 1, beta: 1 }
      for (const workerId of ['full', 'free']) expect(await kit.claim({ workerId, types })).toEqual([])
      await kit.submit({ type: 'alpha' })
      await kit.claim({ workerId: 'full', types })
      // The one without room for another `alpha` has been idle longer, and is next in turn for anything else.
      const full = await wait(kit.engine, { types: ['beta'], workerId: 'full' })
      const free = await wait(kit.engine, { types: ['alpha', 'beta'], workerId: 'free' })
      await kit.submit({ type: 'alpha' })
      expect(await expectJob(free)).toMatchObject({ type: 'alpha' })
      await pause(SETTLED_MS)
      expect(full.over).toBeNull()
      await kit.submit({ type: 'beta' })
      expect(await expectJob(full)).toMatchObject({ type: 'beta' })
    })

    it('ends with none when its time is over', async ({ raw }) => {
      const started = performance.now()
      expect(await raw.claim(waitRequest(new AbortController().signal, { waitMs: 120 }))).toEqual([])
      const took = performance.now() - started
      expect(took).toBeGreaterThanOrEqual(100)
      expect(took).toBeLessThan(AT_ONCE_MS)
    })

    it('ends with none when its signal fires, before or during the wait', async (kit) => {
      const started = performance.now()
      const waiter = await wait(kit.raw)
      expect(waiter.over).toBeNull()
      await waiter.stop()
      expect(waiter).toMatchObject({ over: expect.any(Number), claims: [] })
      const jobId = await kit.submit()
      expect(await kit.raw.claim(waitRequest(AbortSignal.abort()))).toEqual([])
      expect(performance.now() - started).toBeLessThan(AT_ONCE_MS)
      expect(await kit.job(jobId)).toMatchObject({ status: 'queued' })
    })

    it('leaves a job to others that comes as its signal fires', async (kit) => {
      const waiter = await wait(kit.raw)
      const submitted = kit.raw.submit({ jobs: [newJob()] })
      await waiter.stop()
      const [receipt] = (await submitted).jobs
      const { jobId } = present(receipt, 'receipt')
      expect(waiter.claims).toEqual([])
      expect(await kit.job(jobId)).toMatchObject({ status: 'queued', attempt: 1, stalls: 0 })
      expect(await expectJob(await wait(kit.raw))).toMatchObject({ jobId, attempt: 1, stalls: 0 })
    })

    it('does not keep a job from others that was not for it any more', async (kit) => {
      const gone = await wait(kit.raw)
      const staying = await wait(kit.raw)
      await gone.stop()
      await kit.raw.submit({ jobs: [newJob()] })
      await expectJob(staying)
    })

    it('is over where another under the same id takes its place', async (kit) => {
      const claimId = randomUUID()
      const shape = { claimId, workerId: 'same' }
      const first = await wait(kit.raw, shape)
      expect(await kit.claim({ ...shape, limit: 0 })).toEqual([])
      await until(() => first.over !== null, { what: 'the wait to end' })
      expect(first.claims).toEqual([])
      const jobId = await kit.submit()
      expect(await kit.job(jobId)).toMatchObject({ status: 'queued' })

      const run = await kit.claimOne()
      const second = await wait(kit.raw, shape)
      const { verdicts, claims } = await kit.engine.settle({
        settlements: [{ ...leaseOf(run), outcome: { kind: 'released' }, events: [] }],
        next: claimRequest(shape),
      })
      expect(verdicts).toEqual(['queued'])
      expect(claims).toMatchObject([{ jobId }])
      await until(() => second.over !== null, { what: 'the wait to end' })
      expect(second.claims).toEqual([])
    })

    it('can be made again and again', async (kit) => {
      for (let round = 0; round < 5; round++) {
        const waiting = kit.engine.claim(
          waitRequest(new AbortController().signal, { workerId: 'same', claimId: `claim-${round}` }),
        )
        const started = performance.now()
        await kit.submit()
        const [run] = await waiting
        expect(performance.now() - started).toBeLessThan(AT_ONCE_MS)
        await kit.settle(present(run, 'run'), { kind: 'completed', result: round })
      }
    })

    it('has a lease that counts from no later than it began', async (kit) => {
      const before = performance.now()
      const waiter = await wait(kit.raw)
      await kit.raw.submit({ jobs: [newJob()] })
      const { leasedAt } = await expectJob(waiter)
      expect(leasedAt).toBeGreaterThanOrEqual(before)
      expect(leasedAt).toBeLessThanOrEqual(performance.now())
    })
  })
}
