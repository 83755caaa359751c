import { describe, expect } from 'vitest'
import { type Nginx, startNginx } from '../helpers/nginx.ts'
import { delayOf, politeDelay, type Subscriber } from '../helpers/subscriber/subscriber.ts'
import { TRANSPORTS, type Transport } from '../helpers/subscriber/wires.ts'
import { until } from '../helpers/until.ts'
import { faultTest } from './harness/fault-test.ts'
import type { Lab } from './harness/lab.ts'
import { within } from './harness/within.ts'

const ON_REDIS = { on: ['redis'], soak: 50 } as const
const LONG = { type: 'steps', payload: { steps: 100, stepMs: 80 } }

/** Two gateways behind nginx, a job, and some who watch it through nginx over every transport, the client among them. */
async function behindNginx(
  lab: Lab,
  act: (nginx: Nginx, of: (transport: Transport) => readonly Subscriber[]) => Promise<void>,
): Promise<void> {
  await lab.start({ apis: 2 })
  const nginx = await startNginx(lab.apis.map(({ url }) => url))
  try {
    const jobId = await lab.submit(LONG)
    const subscribers = TRANSPORTS.flatMap((transport) =>
      Array.from({ length: 5 }, () =>
        lab.watch(jobId, {
          transport: () => transport,
          addresses: () => [nginx.url],
          comeBackAfter: politeDelay,
        }),
      ),
    )
    const clients = TRANSPORTS.map((transport) =>
      lab.watchWithClient(jobId, { baseUrl: nginx.url, transports: [transport] }),
    )
    const all = [...subscribers, ...clients]
    await until(() => all.every(({ job }) => job?.status === 'processing'), {
      timeoutMs: within(15_000),
      what: 'all to watch',
    })
    await act(nginx, (transport) => subscribers.filter(({ leg }) => leg?.transport === transport))
    await lab.untilEnded(jobId)
    lab.over()
    await until(() => all.every(({ isOver }) => isOver), { timeoutMs: within(15_000), what: 'every end' })
    // As soon as over a WebSocket: nginx, whose buffering is on, was asked not to buffer.
    const [socketDelay, streamDelay] = (['websocket', 'sse'] as const).map((transport) =>
      delayOf(
        subscribers.filter(({ leg }) => leg?.transport === transport),
        0.5,
      ),
    )
    expect(streamDelay).toBeLessThan((socketDelay ?? 0) + within(1000))
  } finally {
    await nginx.stop()
  }
}

describe('nginx before two gateways', () => {
  faultTest('nginx before two gateways: kill -9 one of them', ON_REDIS, (lab) =>
    behindNginx(lab, async () => {
      await lab.apis[1]?.kill()
      await lab.apis[1]?.restart()
    }),
  )

  faultTest('nginx before two gateways is reloaded', ON_REDIS, (lab) =>
    behindNginx(lab, async (nginx, of) => {
      nginx.reload()
      const isCut = ({ legs, isOver }: Subscriber) => legs.length > 1 || isOver
      await until(() => of('websocket').every(isCut) && of('sse').every(isCut), {
        what: 'the old ones to end',
      })
    }),
  )

  faultTest('nginx that knows no Upgrade, and may buffer', ON_REDIS, (lab) =>
    behindNginx(lab, async (nginx, of) => {
      const [{ jobId } = { jobId: '' }] = of('sse')
      const client = lab.watchWithClient(jobId, { baseUrl: nginx.narrowUrl })
      await until(() => client.carrier === 'sse', { timeoutMs: within(10_000), what: 'SSE' })
    }),
  )
})
