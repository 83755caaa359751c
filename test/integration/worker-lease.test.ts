import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Engine } from '../../server/engine/engine.ts'
import { Unavailable } from '../../server/engine/errors.ts'
import { defineJob } from '../../server/jobs/define-job.ts'
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

/** A worker with one run that goes on until its lease is over; resolves when it has begun. */
async function runOn(faults: (engine: Engine) => Partial<Engine>): Promise<void> {
  bench = await openWorkbench(openSqlite, (engine) => withVerbs(engine, faults(engine)))
  const began = gate()
  await bench.submit('work')
  const run = async (_payload: unknown, { signal }: { signal: AbortSignal }) => {
    began.open()
    await once(signal, 'abort')
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
})
