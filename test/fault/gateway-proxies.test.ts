import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import type { TransportName } from '../../client/index.ts'
import { type HostileProxy, startHostileProxy } from '../helpers/hostile-proxy.ts'
import { until } from '../helpers/until.ts'
import type { ClientWatch } from './harness/client-watch.ts'
import { faultTest } from './harness/fault-test.ts'
import type { Lab } from './harness/lab.ts'
import { within } from './harness/within.ts'

const ON_REDIS = { on: ['redis'], soak: 50 } as const
/** Goes on until it is cancelled. */
const LIVELY = { type: 'steps', payload: { steps: 10_000, stepMs: 100 } }
/** For each step down. */
const NEXT_MS = 10_000

/**
 * Of each row, since they run at the same time: its browser's own word that there is a network again, which makes a client
 * try what is better.
 */
const browsers = new AsyncLocalStorage<EventTarget>()
beforeAll(() => {
  const listen = (...listener: Parameters<EventTarget['addEventListener']>) =>
    browsers.getStore()?.addEventListener(...listener)
  const leave = (...listener: Parameters<EventTarget['removeEventListener']>) =>
    browsers.getStore()?.removeEventListener(...listener)
  vi.stubGlobal('addEventListener', listen)
  vi.stubGlobal('removeEventListener', leave)
})
afterAll(() => void vi.unstubAllGlobals())

/** A client behind a proxy that goes from one gateway to the other. */
function behindProxy(...row: Parameters<typeof tryProxy>): Promise<void> {
  return browsers.run(new EventTarget(), tryProxy, ...row)
}

async function tryProxy(
  lab: Lab,
  treat: Partial<HostileProxy['treat']>,
  act: (proxy: HostileProxy, watch: ClientWatch) => Promise<void>,
): Promise<void> {
  await lab.start({ apis: 2 })
  let calls = 0
  const proxy = await startHostileProxy(() => lab.apis[calls++ % 2]?.url ?? lab.api.url)
  Object.assign(proxy.treat, treat)
  try {
    const jobId = await lab.submit(LIVELY)
    const watch = lab.watchWithClient(jobId, { baseUrl: proxy.url })
    await act(proxy, watch)
    await lab.post(`/api/jobs/${jobId}/cancel`)
    lab.over()
    await until(() => watch.isOver, { timeoutMs: within(15_000), what: 'the client to know the end' })
  } finally {
    await proxy.close()
  }
}

/** Waits until a transport carries it: in time, however many steps down that takes. */
async function untilCarriedBy(watch: ClientWatch, transport: TransportName, steps = 1): Promise<void> {
  await until(() => watch.carrier === transport, { timeoutMs: within(steps * NEXT_MS), what: transport })
}

/** The proxy treats WebSockets well again: the client goes back to them. */
async function untilBackUp(proxy: HostileProxy, watch: ClientWatch): Promise<void> {
  Object.assign(proxy.treat, { socket: 'pass', stream: 'pass', hold: 'pass' })
  browsers.getStore()?.dispatchEvent(new Event('online'))
  await untilCarriedBy(watch, 'websocket')
}

describe('a proxy between client and gateways', () => {
  faultTest('a proxy that strips Upgrade', ON_REDIS, (lab) =>
    behindProxy(lab, { socket: 'refuse' }, async (proxy, watch) => {
      await untilCarriedBy(watch, 'sse')
      expect(proxy.seen.socket).toBe(3)
      await untilBackUp(proxy, watch)
    }),
  )

  faultTest('a proxy that accepts Upgrade and swallows frames', ON_REDIS, (lab) =>
    behindProxy(lab, { socket: 'mute' }, async (proxy, watch) => {
      await untilCarriedBy(watch, 'sse')
      expect(proxy.seen.socket).toBe(1)
      await untilBackUp(proxy, watch)
    }),
  )

  faultTest('a proxy that swallows frames and buffers SSE', ON_REDIS, (lab) =>
    behindProxy(lab, { socket: 'refuse', stream: 'gather' }, async (proxy, watch) => {
      await untilCarriedBy(watch, 'long-poll', 2)
      await untilBackUp(proxy, watch)
    }),
  )

  faultTest('a proxy that passes nothing that is held', ON_REDIS, (lab) =>
    behindProxy(lab, { socket: 'refuse', stream: 'mute', hold: 'refuse' }, async (proxy, watch) => {
      await untilCarriedBy(watch, 'polling', 3)
      await untilBackUp(proxy, watch)
    }),
  )

  faultTest('a proxy that cuts WebSockets and streams 300 ms after they open', ON_REDIS, (lab) =>
    behindProxy(lab, { socket: 'cut', stream: 'cut' }, async (proxy, watch) => {
      await untilCarriedBy(watch, 'long-poll', 2)
      await pause(3000)
      expect(watch.carrier).toBe('long-poll')
      expect(proxy.seen).toMatchObject({ socket: 3, stream: 3 })
      await untilBackUp(proxy, watch)
    }),
  )

  faultTest('a proxy that cuts every connection after 6 s', ON_REDIS, async (lab) => {
    await lab.start({ apis: 2 })
    let calls = 0
    const proxy = await startHostileProxy(() => lab.apis[calls++ % 2]?.url ?? lab.api.url)
    proxy.cutAfterMs = 6000
    try {
      const jobId = await lab.submit(LIVELY)
      const ladders: TransportName[][] = [
        ['websocket', 'sse', 'long-poll', 'polling'],
        ['sse'],
        ['long-poll'],
      ]
      const watches = ladders.map((transports) =>
        lab.watchWithClient(jobId, { baseUrl: proxy.url, transports }),
      )
      await pause(13_000)
      await lab.post(`/api/jobs/${jobId}/cancel`)
      lab.over()
      await until(() => watches.every(({ isOver }) => isOver), {
        timeoutMs: within(15_000),
        what: 'every end',
      })
      expect(proxy.seen.socket).toBeGreaterThan(1)
      // One that held for so long was a good one: no reason to go down.
      expect(watches.map(({ carriers }) => carriers.map(({ transport }) => transport))).toEqual([
        ['websocket'],
        ['sse'],
        ['long-poll'],
      ])
    } finally {
      await proxy.close()
    }
  })

  faultTest('a proxy that cuts everything all the time and changes its mind', ON_REDIS, (lab) =>
    behindProxy(lab, {}, async (proxy) => {
      const chaos = setInterval(() => {
        proxy.treat.socket = Math.random() < 0.3 ? 'pass' : 'refuse'
        proxy.treat.stream = Math.random() < 0.5 ? 'pass' : 'refuse'
        proxy.cut()
      }, 400)
      try {
        await pause(5000)
      } finally {
        clearInterval(chaos)
      }
    }),
  )
})
