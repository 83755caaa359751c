import { describe, expect } from 'vitest'
import { delayOf } from '../helpers/subscriber/subscriber.ts'
import { startTcpLine, type TcpLine } from '../helpers/tcp-line.ts'
import { until } from '../helpers/until.ts'
import { faultTest } from './harness/fault-test.ts'
import { every } from './harness/faults.ts'
import { metricsOf } from './harness/footprint.ts'
import { amountOf } from './harness/repetitions.ts'
import { within } from './harness/within.ts'

const ON_REDIS = { on: ['redis'] } as const
const FAST = amountOf(1000, 300)
const MIB = 1024 * 1024
const HEARTBEAT_MS = 20_000
/** Who takes no byte for this long is cut off. */
const STALL_MS = 10_000

describe('readers that do not read', () => {
  faultTest(
    `a reader of 1 KB/s, and some that stop reading, beside ${FAST.toLocaleString('en')} fast ones`,
    { ...ON_REDIS, soak: 20 },
    async (lab) => {
      const slow = await startTcpLine(() => lab.api.url)
      const stuck = await startTcpLine(() => lab.api.url)
      try {
        await lab.start({ apis: 2 })
        await lab.post('/api/types/pour/pause')
        const [api, other] = [lab.api, lab.apis[1] ?? lab.api]
        const small = await lab.submit({ type: 'steps', payload: { steps: 16, stepMs: 750 } })
        const watchMany = (count: number, url: string) =>
          Array.from({ length: count }, () =>
            lab.watch(small, { transport: () => 'websocket', addresses: () => [url] }),
          )
        const fast = watchMany(FAST, api.url)
        const elsewhere = watchMany(100, other.url)
        await until(() => [...fast, ...elsewhere].every(({ job }) => job !== null), {
          timeoutMs: within(30_000),
          what: 'all to watch',
        })

        // 20 MB for each of thirty that take next to nothing.
        const large = await lab.submit({
          type: 'pour',
          payload: { pieces: 100, bytes: 200_000, everyMs: 60 },
        })
        const behind = (transport: 'websocket' | 'sse', line: TcpLine) =>
          lab.watch(large, { transport: () => transport, addresses: () => [line.url] })
        const late = [behind('websocket', slow), behind('sse', slow)]
        for (let count = 0; count < 28; count++) late.push(behind(count % 2 ? 'websocket' : 'sse', stuck))
        // All of it is on its way to each of them: none comes late to what is poured out.
        await until(() => late.every(({ job }) => job !== null), {
          timeoutMs: within(30_000),
          what: 'the late ones to watch',
        })
        slow.bytesPerSecond = 1024
        stuck.bytesPerSecond = 0
        await lab.post('/api/types/pour/resume')
        const before = await api.memory()
        let most = before
        const watching = every(50, async () => {
          most = Math.max(most, await api.memory())
        })
        await lab.untilEnded(large)
        await until(async () => (await closedAsSlow(lab.api)) >= 20, {
          timeoutMs: within(30_000),
          intervalMs: 200,
          what: 'verdicts',
        })
        await watching.stop()
        lab.over()
        slow.bytesPerSecond = null
        stuck.bytesPerSecond = null

        expect((most - before) / MIB).toBeLessThan(200)
        expect(fast.filter(({ legs }) => legs.some(({ code }) => code === 4001))).toEqual([])
        // Half of them as soon as where nobody is slow, and none as late as if it had waited for a slow one.
        expect(delayOf(fast, 0.5)).toBeLessThan(delayOf(elsewhere, 0.5) + within(1000))
        expect(delayOf(fast, 0.99)).toBeLessThan(delayOf(elsewhere, 0.99) + STALL_MS - 1000)
        await until(() => late.every(({ isOver }) => isOver), {
          timeoutMs: within(20_000),
          what: 'the late ones',
        })
      } finally {
        await slow.close()
        await stuck.close()
      }
    },
  )

  faultTest('half-open client TCP', { ...ON_REDIS, soak: 20 }, async (lab) => {
    const line = await startTcpLine(() => lab.api.url)
    let isHealed = false
    try {
      await lab.start({ apis: 2 })
      const jobId = await lab.submit({ type: 'endless' })
      const addresses = () => [isHealed ? lab.api.url : line.url]
      const gone = Array.from({ length: 50 }, () =>
        lab.watch(jobId, { transport: () => 'websocket', addresses }),
      )
      const present = lab.watch(jobId, { transport: () => 'websocket', addresses: () => [lab.api.url] })
      await until(() => [...gone, present].every(({ job }) => job !== null), {
        timeoutMs: within(15_000),
        what: 'all to watch',
      })
      const silentSince = performance.now()
      line.swallow()
      await until(
        async () =>
          (await metricsOf(lab.api))('jobcast_gateway_closed_total{transport="socket",code="4000"}') === 50,
        {
          timeoutMs: within(2 * HEARTBEAT_MS),
          intervalMs: 200,
          what: 'them to be given up',
        },
      )
      // The heartbeats are looked at once a second.
      expect(performance.now() - silentSince).toBeLessThan(1.5 * HEARTBEAT_MS + within(5000))
      lab.over()
      isHealed = true
      await line.close()
      await lab.post(`/api/jobs/${jobId}/cancel`)
      expect(present.legs).toHaveLength(1)
    } finally {
      await line.close()
    }
  })
})

async function closedAsSlow(api: Parameters<typeof metricsOf>[0]): Promise<number> {
  const of = await metricsOf(api)
  return (
    of('jobcast_gateway_closed_total{transport="socket",code="4001"}') +
    of('jobcast_gateway_closed_total{transport="sse",code="4001"}')
  )
}
