import { describe, expect } from 'vitest'
import { until } from '../helpers/until.ts'
import { faultTest } from './harness/fault-test.ts'
import { expectQuickRefusals, untilMore } from './harness/faults.ts'
import { openSentinelStore } from './harness/store.ts'
import { within } from './harness/within.ts'

/** Outlasts any failover; cancelled when that is over. */
const LONG = { type: 'steps', payload: { steps: 1200, stepMs: 50 } }

describe('a Redis with a replica, under sentinels', () => {
  // A replica lags behind its master: what it had not got when the master died is lost, and must be found to be.
  const options = {
    on: ['redis'],
    openStore: openSentinelStore,
    losesHistory: true,
    soak: 50,
    // Sentinels wait before they fail over again.
    isFinal: true,
  } as const

  faultTest('its master is killed under load, and comes back as a replica', options, async (lab) => {
    await lab.start({ apis: 2, workers: 2 })
    lab.load()
    await untilMore(lab, 'accepted', 40)
    const long = await lab.submit(LONG)
    const watched = lab.watch(long)
    await until(() => watched.job?.status === 'processing', { what: 'a running job' })
    const master = await lab.sentinels.master()
    const killedAt = performance.now()
    await master.kill()
    await untilMore(lab, 'refusals')
    await until(async () => (await lab.sentinels.master()) !== master, {
      timeoutMs: within(15_000),
      what: 'another master',
    })
    await master.restart()
    lab.over()
    await untilMore(lab, 'accepted', 40)
    expectQuickRefusals(lab)
    await until(() => watched.reasons.includes('epoch'), {
      timeoutMs: within(15_000),
      what: 'a snapshot with its reason',
    })
    expect((await lab.post(`/api/jobs/${long}/cancel`)).status).toBe(202)
    for (const jobId of await lab.untilLossIsKnown()) {
      expect(killedAt - (lab.ledger.acceptedAt.get(jobId) ?? 0)).toBeLessThan(2000)
    }
  })

  faultTest('its replica is made the master under load', options, async (lab) => {
    await lab.start({ apis: 2, workers: 2 })
    lab.load()
    await untilMore(lab, 'accepted', 40)
    const long = await lab.submit(LONG)
    const watched = lab.watch(long)
    await until(() => watched.job?.status === 'processing', { what: 'a running job' })
    await lab.sentinels.failOver()
    lab.over()
    await untilMore(lab, 'accepted', 40)
    await until(() => watched.reasons.includes('epoch'), {
      timeoutMs: within(15_000),
      what: 'a snapshot with its reason',
    })
    expect((await lab.post(`/api/jobs/${long}/cancel`)).status).toBe(202)
  })
})
