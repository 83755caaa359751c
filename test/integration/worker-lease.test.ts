import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Engine } from '../../server/engine/engine.ts'
import { Unavailable } from '../../server/engine/errors.ts'
import { defineJob } from '../../server/jobs/define-job.ts'
import { until } from '../helpers/until.ts'
import { gate, openSqlite, openWorkbench, type Workbench, withVerbs } from '../helpers/workbench.ts'

const LEASE_MS = 9000
/** Between two looks whether a lease is over. */
const LOOK_MS = LEASE_MS / 20

let bench: Workbench
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] })
})
afterEach(async () => {
  vi.useRealTimers()
  await bench.close()
})

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)
const isLost = () => bench.emitted.some(({ name }) => name === 'run.lost')

/** A worker with one run, which goes on until its lease is over unless it is told otherwise; resolves when it has begun. */
async function runOn(
  faults: (engine: Engine) => Partial<Engine>,
  goesOn = (signal: AbortSignal): Promise<unknown> => once(signal, 'abort'),
): Promise<void> {
  bench = await openWorkbench(openSqlite, (engine) => withVerbs(engine, faults(engine)))
  const began = gate()
  await bench.submit('work')
  const run = async (_payload: unknown, { signal }: { signal: AbortSignal }) => {
    began.open()
    await goesOn(signal)
  }
  await bench.work([defineJob({ type: 'work', run })], { leaseMs: LEASE_MS })
  await began.opened
}

const AWAY = new Unavailable('the store is away')

describe('a lease that cannot be kept', () => {
  test('is over its length after its claim was sent, however late the answer came', async () => {
    const LATE_MS = 4000
    await runOn((engine) => ({
      async claim(request) {
        const claims = await engine.claim(request)
        vi.advanceTimersByTime(LATE_MS)
        return claims
      },
      extend: () => Promise.reject(AWAY),
    }))
    await pass(LEASE_MS - LATE_MS - LOOK_MS)
    expect(isLost()).toBe(false)
    await pass(2 * LOOK_MS)
    expect(isLost()).toBe(true)
  })

  test('is over its length after its last extension was sent, however late the answer came', async () => {
    const LATE_MS = 4000
    let extensions = 0
    await runOn((engine) => ({
      async extend(request) {
        extensions += 1
        if (extensions > 1) throw AWAY
        const verdicts = await engine.extend(request)
        vi.advanceTimersByTime(LATE_MS)
        return verdicts
      },
    }))
    await pass(LEASE_MS / 3)
    await vi.waitUntil(() => extensions === 1)
    await pass(LEASE_MS - LATE_MS - LOOK_MS)
    expect(isLost()).toBe(false)
    await pass(2 * LOOK_MS)
    expect(isLost()).toBe(true)
  })

  test('is tried for four times as often while the store is away', async () => {
    let extensions = 0
    await runOn(() => ({
      extend() {
        extensions += 1
        return Promise.reject(AWAY)
      },
    }))
    await pass(LEASE_MS / 3)
    expect(extensions).toBe(1)
    for (let more = 1; more <= 4; more++) {
      await pass(LEASE_MS / 12)
      expect(extensions).toBe(1 + more)
    }
  })

  test("that is another's already ends its run at once", async () => {
    await runOn(() => ({ extend: ({ leases }) => Promise.resolve(leases.map(() => 'stale' as const)) }))
    await pass(LEASE_MS / 3)
    expect(isLost()).toBe(true)
  })

  test('is no more to be settled under when it is over', async () => {
    let settlements = 0
    const settle: Engine['settle'] = async () => {
      settlements += 1
      throw AWAY
    }
    await runOn(
      () => ({ settle, extend: () => Promise.reject(AWAY) }),
      () => Promise.resolve(),
    )
    await until(() => settlements > 0)
    expect(isLost()).toBe(false)
    await pass(LEASE_MS + LOOK_MS)
    // The next time that it is not taken.
    await until(() => isLost())
    const before = settlements
    await until(() => bench.engine.check().then(() => true))
    expect(settlements).toBe(before)
  })
})
