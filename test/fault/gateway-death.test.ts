import { describe, expect } from 'vitest'
import { politeDelay, type Subscriber } from '../helpers/subscriber/subscriber.ts'
import { TRANSPORTS, type Transport } from '../helpers/subscriber/wires.ts'
import { until } from '../helpers/until.ts'
import { faultTest } from './harness/fault-test.ts'
import type { Node } from './harness/node.ts'
import { amountOf } from './harness/repetitions.ts'
import { within } from './harness/within.ts'

const ON_REDIS = { on: ['redis'] } as const
const SUBSCRIBERS = amountOf(1000, 200)
/** Goes on until it is cancelled. */
const LIVELY = { type: 'steps', payload: { steps: 10_000, stepMs: 1000 } }

describe('a gateway that goes', () => {
  faultTest(
    `kill -9 a gateway with ${SUBSCRIBERS.toLocaleString('en')} subscribers`,
    { ...ON_REDIS, soak: 20, healMs: 30_000 },
    async (lab) => {
      await lab.start({ apis: 2 })
      const [victim, other] = [lab.api, lab.apis[1] ?? lab.api]
      const jobId = await lab.submit(LIVELY)
      const mixed = mix({
        websocket: 0.85 * SUBSCRIBERS,
        sse: 0.1 * SUBSCRIBERS,
        'long-poll': 0.04 * SUBSCRIBERS,
        polling: 0.01 * SUBSCRIBERS,
      })
      const subscribers = mixed.map((transport) =>
        lab.watch(jobId, {
          transport: () => transport,
          addresses: () => [victim.url, other.url],
          comeBackAfter: politeDelay,
        }),
      )
      await untilCarried(subscribers)
      const killedAt = performance.now()
      await victim.kill()
      lab.over()
      await untilResumed(subscribers, other)
      const returns = subscribers.flatMap(({ legs }) => {
        const [left, next] = [
          legs.findLast(({ openedAt }) => openedAt < killedAt),
          legs.find(({ openedAt }) => openedAt > killedAt),
        ]
        return left?.address === victim.url && next !== undefined ? [next.openedAt - killedAt] : []
      })
      expect(Math.min(...returns)).toBeGreaterThan(490)
      expect(Math.max(...returns) - Math.min(...returns)).toBeGreaterThan(300)
      await lab.post(`/api/jobs/${jobId}/cancel`, other)
      await victim.restart()
    },
  )

  faultTest(
    'SIGTERM of a gateway with 200 subscribers',
    { ...ON_REDIS, soak: 20, healMs: 30_000 },
    async (lab) => {
      await lab.start({ apis: 2 })
      const [leaving, other] = [lab.api, lab.apis[1] ?? lab.api]
      const jobId = await lab.submit({ type: 'endless' })
      const mixed = mix({ websocket: 120, sse: 60, 'long-poll': 20 })
      const subscribers = mixed.map((transport) =>
        lab.watch(jobId, {
          transport: () => transport,
          addresses: () => [leaving.url, other.url],
          comeBackAfter: politeDelay,
        }),
      )
      await untilCarried(subscribers)
      expect(await leaving.stop()).toBe(0)
      await leaving.restart()
      lab.over()
      await untilResumed(subscribers, other)
      const of = (transport: Transport) => subscribers.filter(({ leg }) => leg?.transport === transport)
      for (const { legs } of of('websocket'))
        expect(legs[0]).toMatchObject({ code: 1012, drainedAt: expect.any(Number) })
      for (const transport of ['websocket', 'sse'] as const) {
        const awayMs = of(transport).map(({ legs }) => (legs[1]?.openedAt ?? 0) - (legs[0]?.drainedAt ?? 0))
        expect(Math.min(...awayMs)).toBeGreaterThan(490)
        // Twenty milliseconds for each of them: four seconds for all.
        expect(mostWithin(awayMs, 1000)).toBeLessThan(0.5 * awayMs.length)
      }
      await lab.post(`/api/jobs/${jobId}/cancel`)
    },
  )
})

function mix(amounts: Partial<Record<Transport, number>>): Transport[] {
  return TRANSPORTS.flatMap((transport) => Array.from({ length: amounts[transport] ?? 0 }, () => transport))
}

async function untilCarried(subscribers: readonly Subscriber[]): Promise<void> {
  await until(() => subscribers.every(({ job }) => job !== null), {
    timeoutMs: within(30_000),
    what: 'every subscriber to have the job',
  })
}

/** Waits until all that have not seen the end have gone on, from their cursor, at a gateway. */
async function untilResumed(subscribers: readonly Subscriber[], { url }: Node): Promise<void> {
  const isBack = ({ leg }: Subscriber) => leg?.address === url && leg.mode === 'resume'
  const left = () => {
    const others = subscribers.filter((one) => !one.isOver && !isBack(one))
    if (others.length === 0) return true
    throw new Error(`${others.length} have not: ${JSON.stringify(others[0]?.legs.slice(-3))}`)
  }
  await until(left, { timeoutMs: within(25_000), what: 'all to go on at the other gateway' })
}

/** How many of these times lie within some stretch of so many ms. */
function mostWithin(times: readonly number[], ms: number): number {
  return Math.max(...times.map((from) => times.filter((time) => time >= from && time < from + ms).length))
}
