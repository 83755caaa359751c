import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import {
  type ClientOptions,
  createClient,
  type JobcastClient,
  type JobEvent,
  type TransportName,
} from '../../client/index.ts'
import { type HostileProxy, startHostileProxy } from '../helpers/hostile-proxy.ts'
import { dataFolder, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

let server: ServerProcess
let data: Awaited<ReturnType<typeof dataFolder>>
beforeAll(async () => {
  data = await dataFolder()
  server = await startServer({ JOBCAST_DATA: data.path })
})
afterAll(async () => {
  await server.stop()
  await data.remove()
})

function openClient(options: ClientOptions): JobcastClient {
  const client = createClient({ WebSocket, ...options })
  onTestFinished(() => client.close())
  return client
}

async function openProxy(target: () => string): Promise<HostileProxy> {
  const proxy = await startHostileProxy(target)
  onTestFinished(() => proxy.close())
  return proxy
}

/** All but progress, which may be merged. */
const lasting = (events: readonly JobEvent[]) => events.filter(({ kind }) => kind !== 'progress')

const countdown = (payload: object) => ({ type: 'countdown', payload })

describe('behind a proxy', () => {
  test('that strips Upgrade: SSE, and WebSocket again without a gap once that works', async () => {
    const online = new EventTarget()
    vi.stubGlobal('addEventListener', online.addEventListener.bind(online))
    vi.stubGlobal('removeEventListener', online.removeEventListener.bind(online))
    onTestFinished(() => void vi.unstubAllGlobals())
    const proxy = await openProxy(() => server.url)
    proxy.treat.socket = 'refuse'
    const client = openClient({ baseUrl: proxy.url })
    const { jobId } = await client.submit(countdown({ steps: 90, stepMs: 50, logs: true }))
    const events: JobEvent[] = []
    const watch = client.watch(jobId, { history: true, onEvent: (event) => events.push(event) })
    await until(() => watch.getSnapshot().transport === 'sse', { timeoutMs: 10_000, what: 'SSE' })
    expect(proxy.seen.socket).toBe(3)
    proxy.treat.socket = 'pass'
    online.dispatchEvent(new Event('online'))
    await until(() => watch.getSnapshot().transport === 'websocket', { what: 'WebSocket' })
    await watch.finished
    expect(watch.getSnapshot().transport).toBe('websocket')
    expectWhole(lasting(events), 90)
  })

  test('that swallows frames, buffers SSE as well, and holds nothing either', async () => {
    const cases = [
      { muted: ['socket'], transport: 'sse' },
      { muted: ['socket', 'stream'], transport: 'long-poll' },
      { muted: ['socket', 'stream', 'hold'], transport: 'polling' },
    ] as const
    await Promise.all(
      cases.map(async ({ muted, transport }) => {
        const proxy = await openProxy(() => server.url)
        for (const kind of muted) proxy.treat[kind] = kind === 'hold' ? 'refuse' : 'mute'
        const client = openClient({ baseUrl: proxy.url })
        const { jobId } = await client.submit({ ...countdown({}), options: { delayMs: 60_000 } })
        const watch = client.watch(jobId)
        const arrived = () => watch.getSnapshot().transport === transport
        await until(arrived, { timeoutMs: 30_000, what: transport })
        await client.cancel(jobId)
        await expect(watch.finished).resolves.toMatchObject({ status: 'cancelled' })
      }),
    )
  }, 40_000)

  test('that cuts everything all the time and changes its mind about what works', async () => {
    const proxy = await openProxy(() => server.url)
    const client = openClient({ baseUrl: server.url })
    const watcher = openClient({ baseUrl: proxy.url })
    const { jobId } = await client.submit(countdown({ steps: 120, stepMs: 100, logs: true, chunks: true }))
    const events: JobEvent[] = []
    const watch = watcher.watch(jobId, { history: true, onEvent: (event) => events.push(event) })
    const transports = new Set<TransportName | null>()
    watch.subscribe(() => transports.add(watch.getSnapshot().transport))
    const chaos = setInterval(() => {
      proxy.treat.socket = Math.random() < 0.3 ? 'pass' : 'refuse'
      proxy.treat.stream = Math.random() < 0.5 ? 'pass' : 'refuse'
      proxy.cut()
    }, 400)
    onTestFinished(() => clearInterval(chaos))
    await until(async () => (await client.get(jobId)).status === 'completed', {
      timeoutMs: 30_000,
      intervalMs: 200,
      what: 'the job to complete',
    })
    clearInterval(chaos)
    await watch.finished
    expectWhole(lasting(events), 120, 2)
  }, 60_000)
})

/** Submitted, claimed, `steps` times `each`, completed: every seq once, in order. */
function expectWhole(events: readonly JobEvent[], steps: number, each = 1): void {
  const seqs = events.map(({ seq }) => seq)
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b))
  expect(events.filter(({ kind }) => kind !== 'status')).toHaveLength(steps * each)
  expect(events.filter(({ kind }) => kind === 'status')).toHaveLength(3)
  expect(events.at(-1)).toMatchObject({ data: { status: 'completed' } })
}
