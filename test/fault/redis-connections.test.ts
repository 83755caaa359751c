import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { until } from '../helpers/until.ts'
import { faultTest } from './harness/fault-test.ts'
import { expectQuickRefusals, untilMore } from './harness/faults.ts'
import { within } from './harness/within.ts'

const ON_REDIS = { on: ['redis'], redis: { proxied: true } } as const
/** What 8 MiB over 5 MB/s may take on a busy machine: the server waits for as long as bytes come. */
const CARRIED_MS = 20_000
const LONG = { type: 'steps', payload: { steps: 200, stepMs: 40 } }

describe('a network between Jobcast and Redis', () => {
  faultTest('the pub/sub connections are half-open', ON_REDIS, async (lab) => {
    await lab.start({ all: 2 })
    const watched = lab.watch(await lab.submit(LONG))
    await until(() => watched.job?.progress, { what: 'the first steps' })
    lab.redis.proxy.swallow('subscribers')
    lab.over()
    const seen = watched.sightings.length
    await until(() => watched.sightings.length > seen, {
      timeoutMs: within(15_000),
      what: 'it to be noticed',
    })
  })

  faultTest('every connection is half-open', { ...ON_REDIS, soak: 50 }, async (lab) => {
    await lab.start({ all: 2 })
    lab.load({ everyMs: 100 })
    await untilMore(lab, 'accepted')
    lab.redis.proxy.swallow()
    await untilMore(lab, 'refusals', 1)
    lab.over()
    await untilMore(lab, 'accepted')
    expectQuickRefusals(lab)
  })

  faultTest('every connection is reset, and refused for 3 s', { ...ON_REDIS, soak: 50 }, async (lab) => {
    await lab.start({ all: 2 })
    lab.load({ everyMs: 100 })
    await untilMore(lab, 'accepted')
    const { proxy } = lab.redis
    proxy.refuses = true
    proxy.cut()
    await pause(3000)
    await untilMore(lab, 'refusals')
    proxy.refuses = false
    lab.over()
    await untilMore(lab, 'accepted')
    expectQuickRefusals(lab)
  })

  faultTest('the network takes 200 ms each way', { ...ON_REDIS, soak: 50 }, async (lab) => {
    await lab.start({ all: 2 })
    lab.redis.proxy.delayMs = 200
    lab.load({ everyMs: 50 })
    await untilMore(lab, 'accepted', 20)
    lab.redis.proxy.delayMs = 0
    lab.over()
    expect(lab.ledger.refusals).toEqual([])
    const stalled = lab.subscribers.filter(({ job }) => job !== null && job.stalls > 0)
    expect(stalled).toEqual([])
  })

  faultTest('Redis behind 5 MB/s, with jobs of 8 MiB', { ...ON_REDIS, soak: 20 }, async (lab) => {
    await lab.start({ apis: 1, workers: 1 })
    lab.redis.proxy.bytesPerSecond = 5_000_000
    const text = 'x'.repeat(8 * 1024 * 1024 - 200)
    const large = { type: 'steps', payload: { steps: 2, stepMs: 10, text } }
    lab.load({ everyMs: 50 })
    await untilMore(lab, 'accepted')
    // The submission, the claim and two readings take 1.7 s each.
    const jobId = (await lab.ledger.submit(lab.api, large, within(CARRIED_MS))) ?? ''
    await lab.untilBegun(jobId)
    for (let n = 0; n < 2; n++) {
      const { status, body, ms } = await lab.get(`/api/jobs/${jobId}`, lab.api, {
        longestMs: within(CARRIED_MS),
      })
      expect(status).toBe(200)
      expect((body as { payload: { text: string } }).payload.text).toBe(text)
      expect(ms).toBeGreaterThan(1500)
    }
    await untilMore(lab, 'accepted')
    lab.redis.proxy.bytesPerSecond = 0
    lab.over()
    expect(lab.ledger.refusals).toEqual([])
  })

  faultTest(
    'the network takes 1 s each way, longer than there is time for',
    { ...ON_REDIS, soak: 50 },
    async (lab) => {
      await lab.start({ all: 2 })
      lab.load({ everyMs: 100 })
      await untilMore(lab, 'accepted')
      lab.redis.proxy.delayMs = 1000
      await untilMore(lab, 'refusals')
      lab.redis.proxy.delayMs = 0
      lab.over()
      await untilMore(lab, 'accepted')
      expectQuickRefusals(lab)
    },
  )
})
