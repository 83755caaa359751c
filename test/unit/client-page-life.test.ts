import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ClientOptions, createClient, type JobcastClient } from '../../client/index.ts'
import { sleep, stagePage, stageSession } from '../helpers/page-stage.ts'
import { aJob, aLog, scriptedFetch, scriptedSockets } from '../helpers/scripted-network.ts'

const HOUR = 60 * 60_000

let client: JobcastClient
let page: ReturnType<typeof stagePage>
beforeEach(() => {
  vi.useFakeTimers()
  page = stagePage()
})
afterEach(async () => {
  client.close()
  await pass(0)
  expect(vi.getTimerCount()).toBe(0)
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

const connection = () => client.connection.getSnapshot()
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

function setUp(options: ClientOptions = {}) {
  const { sockets, WebSocket } = scriptedSockets()
  const { requests, fetch } = scriptedFetch()
  client = createClient({ baseUrl: 'http://server', WebSocket, fetch, ...options })
  return { sockets, socket: () => last(sockets), requests, request: () => last(requests) }
}

function last<T>(list: readonly T[]): T {
  const item = list.at(-1)
  if (item === undefined) throw new Error('there is none yet')
  return item
}

const subscribed = {
  op: 'subscribed',
  jobId: 'j1',
  mode: 'snapshot',
  reason: 'new',
  cursor: 'e1.2',
  job: aJob(),
} as const

async function onSocket() {
  const network = setUp()
  const watch = client.watch('j1')
  network.socket().hello()
  network.socket().says(subscribed)
  await pass(6000)
  return { ...network, watch }
}

async function onStream() {
  const network = setUp({ transports: ['sse', 'polling'] })
  const watch = client.watch('j1')
  await pass(0)
  const stream = network.request().stream()
  stream.event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
  await pass(0)
  return { ...network, watch, stream }
}

describe('a machine that slept', () => {
  it('opens a new WebSocket at once when it wakes, with the cursor', async () => {
    const { sockets, socket, watch } = await onSocket()
    socket().says({ op: 'event', jobId: 'j1', prev: 2, ...aLog(3) })
    sleep(HOUR)
    await pass(5000)
    expect(sockets[0]?.closedByClient).toBe(true)
    expect(sockets).toHaveLength(2)
    expect(watch.getSnapshot().phase).toBe('reconnecting')
    socket().hello()
    expect(socket().sent).toEqual([{ op: 'subscribe', jobId: 'j1', after: 'e1.3', history: true }])
  })

  it('does not hold it against the WebSocket that `hello` did not come meanwhile', async () => {
    const { sockets, socket } = setUp()
    client.watch('j1')
    await pass(1000)
    sleep(HOUR)
    await pass(6000)
    expect(sockets).toHaveLength(2)
    expect(connection().transport).toBe('websocket')
    socket().hello()
    expect(connection()).toEqual({ transport: 'websocket', phase: 'open' })
  })

  it('nor that a subscription was not answered', async () => {
    const { sockets, socket } = setUp()
    client.watch('j1')
    socket().hello()
    sleep(HOUR)
    await pass(5000)
    expect(sockets).toHaveLength(2)
    expect(connection().transport).toBe('websocket')
  })

  it('asks for a stream anew', async () => {
    const { requests, request, watch } = await onStream()
    sleep(HOUR)
    await pass(5000)
    expect(requests[0]?.signal.aborted).toBe(true)
    expect(request().url.search).toBe('?after=e1.2&history=1&place=0')
    request().stream().event('log', aLog(3), 'e1.3')
    await pass(0)
    expect(watch.getSnapshot()).toMatchObject({ phase: 'live', job: { cursor: 'e1.3' } })
  })

  it('does not hold its silence against a stream that had just been asked for', async () => {
    const { requests, request } = setUp({ transports: ['sse', 'polling'] })
    client.watch('j1')
    await pass(0)
    sleep(HOUR)
    await pass(5000)
    expect(requests).toHaveLength(2)
    expect(request().url.pathname).toBe('/api/jobs/j1/events')
    expect(connection().transport).toBe('sse')
  })

  it('polls at once', async () => {
    const { requests, request } = setUp({ transports: ['long-poll'] })
    client.watch('j1')
    await pass(0)
    request().json({ ...aJob(), mode: 'snapshot', reason: 'new', events: [] })
    await pass(1000)
    expect(request().url.search).toBe('?after=e1.2&wait=20&history=1&place=0')
    sleep(HOUR)
    await pass(5000)
    expect(requests).toHaveLength(3)
    expect(request().url.search).toBe('?after=e1.2&wait=20&history=1&place=0')
  })

  it('renews a token that has not expired yet', async () => {
    const claims = btoa(JSON.stringify({ exp: (Date.now() + 5 * HOUR) / 1000 }))
    const { socket, request, requests } = setUp()
    client.watch('j1', { token: `h.${claims}.s` })
    socket().hello()
    socket().says(subscribed)
    await pass(6000)
    expect(requests).toHaveLength(0)
    sleep(4.1 * HOUR)
    await pass(5000)
    socket().hello()
    for (let n = 0; n < 60 && requests.length === 0; n++) {
      socket().says(subscribed)
      await pass(10_000)
    }
    expect(request().url.pathname).toBe('/api/jobs/j1/token')
    request().json({ token: 'fresh' })
    await pass(0)
    expect(last(socket().sent)).toEqual({ op: 'token', jobId: 'j1', token: 'fresh' })
  })
})

describe('a page that is hidden', () => {
  it('is not taken for one that slept, whose timers come once a minute', async () => {
    const { sockets, socket } = await onSocket()
    page.show('hidden')
    for (let minute = 0; minute < 5; minute++) {
      sleep(55_000)
      await pass(5000)
      socket().says({ op: 'ping' })
    }
    expect(sockets).toHaveLength(1)
  })

  it('asks for a sign of life when it is shown, and reconnects where none comes', async () => {
    const { sockets, socket, watch } = await onSocket()
    page.show('hidden')
    expect(last(socket().sent)).toMatchObject({ op: 'subscribe' })
    page.show('visible')
    expect(last(socket().sent)).toEqual({ op: 'ping' })
    socket().says({ op: 'pong' })
    await pass(10_000)
    expect(watch.getSnapshot().phase).toBe('live')
    page.show('hidden')
    page.show('visible')
    await pass(2999)
    expect(watch.getSnapshot().phase).toBe('live')
    await pass(1)
    expect(watch.getSnapshot().phase).toBe('reconnecting')
    await pass(1000)
    expect(sockets).toHaveLength(2)
    expect(connection().transport).toBe('websocket')
  })

  it('leaves a stream alone that has just said something', async () => {
    const { requests, stream } = await onStream()
    await pass(4000)
    stream.event('ping', {})
    await pass(4000)
    page.show('visible')
    await pass(0)
    expect(requests).toHaveLength(1)
    await pass(2000)
    page.show('visible')
    await pass(0)
    expect(requests).toHaveLength(2)
  })
})

describe('a page that stands still', () => {
  it.each([
    ['frozen', () => page.onDocument('freeze'), () => page.onDocument('resume')],
    [
      'kept for the back button',
      () => page.onWindow('pagehide', { persisted: true }),
      () => page.onWindow('pageshow', { persisted: true }),
    ],
  ])('holds no connection while it is %s, and goes on from its cursors', async (_name, pause, resume) => {
    const { sockets, socket, watch } = await onSocket()
    pause()
    expect(socket().closedByClient).toBe(true)
    expect(connection()).toEqual({ transport: null, phase: 'idle' })
    expect(watch.getSnapshot().phase).toBe('reconnecting')
    const other = client.watch('j2')
    await pass(0)
    expect(sockets).toHaveLength(1)
    resume()
    expect(sockets).toHaveLength(2)
    socket().hello()
    expect(socket().sent).toEqual([
      { op: 'subscribe', jobId: 'j1', after: 'e1.2', history: true },
      { op: 'subscribe', jobId: 'j2' },
    ])
    other.close()
  })

  it('opens nothing afterwards where nothing is watched any more', async () => {
    const { sockets, watch } = await onSocket()
    page.onDocument('freeze')
    watch.close()
    await pass(0)
    page.onDocument('resume')
    await pass(1000)
    expect(sockets).toHaveLength(1)
    expect(connection()).toEqual({ transport: null, phase: 'idle' })
  })

  it('takes no notice of the page being shown for the first time', async () => {
    const { socket } = await onSocket()
    const { length } = socket().sent
    page.onWindow('pageshow', { persisted: false })
    expect(socket().sent).toHaveLength(length)
  })
})

describe('a browser that comes online', () => {
  it('does not wait for the next attempt', async () => {
    const { sockets, socket } = await onSocket()
    socket().ends()
    page.onWindow('online')
    expect(sockets).toHaveLength(2)
  })

  it('waits where the server asked for it', async () => {
    const { sockets, socket } = await onSocket()
    socket().says({ op: 'drain', reconnectMs: [9000, 9000] })
    socket().ends(1012)
    await pass(8900)
    page.onWindow('online')
    expect(sockets).toHaveLength(1)
    await pass(100)
    expect(sockets).toHaveLength(2)
  })

  it('waits as long as `Retry-After` says', async () => {
    const { requests, request } = setUp({ transports: ['sse'] })
    client.watch('j1')
    await pass(0)
    request().problem(503, 'unavailable', { 'retry-after': '11' })
    await pass(10_000)
    page.onWindow('online')
    await pass(0)
    expect(requests).toHaveLength(1)
    await pass(1000)
    expect(requests).toHaveLength(2)
  })

  it('tries the better way anew, whatever it is trying just now', async () => {
    const { sockets, socket, request } = setUp()
    client.watch('j1')
    await pass(5000)
    const stream = request().stream()
    stream.event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
    await pass(1000)
    stream.event('ping', {})
    await pass(0)
    page.onWindow('online')
    expect(sockets).toHaveLength(2)
    page.onWindow('online')
    expect(sockets).toHaveLength(3)
    expect(sockets[1]?.closedByClient).toBe(true)
    socket().hello()
    socket().says({ ...subscribed, mode: 'resume', events: [] })
    expect(connection()).toEqual({ transport: 'websocket', phase: 'open' })
  })

  it('begins at the top once something works, where it was on its way down', async () => {
    const { sockets, request } = setUp()
    client.watch('j1')
    await pass(5000)
    expect(connection().transport).toBe('sse')
    page.onWindow('online')
    expect(sockets).toHaveLength(1)
    request().stream().event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
    await pass(0)
    expect(sockets).toHaveLength(2)
  })

  it('finds out whether its WebSocket is still one', async () => {
    const { socket, watch } = await onSocket()
    page.onWindow('online')
    expect(last(socket().sent)).toEqual({ op: 'ping' })
    await pass(3000)
    expect(watch.getSnapshot().phase).toBe('reconnecting')
  })
})

describe('the next page of the same browser tab', () => {
  async function fallen() {
    const network = setUp()
    client.watch('j1')
    await pass(5000)
    network.request().stream().event('ping', {})
    await pass(0)
    expect(connection()).toEqual({ transport: 'sse', phase: 'open' })
    client.close()
    await pass(0)
  }

  it('begins with what worked, and tries the better way when it is due', async () => {
    stageSession()
    await fallen()
    const { sockets, request } = setUp()
    client.watch('j1')
    await pass(0)
    expect(sockets).toHaveLength(0)
    const stream = request().stream()
    stream.event('ping', {})
    await pass(1000)
    for (let n = 0; n < 29; n++) {
      stream.event('ping', {})
      await pass(10_000)
    }
    expect(sockets).toHaveLength(0)
    stream.event('ping', {})
    await pass(9000)
    expect(sockets).toHaveLength(1)
  })

  it('tries the better way at once where that is overdue', async () => {
    stageSession()
    await fallen()
    sleep(HOUR)
    const { sockets, request } = setUp()
    client.watch('j1')
    await pass(0)
    request().stream().event('ping', {})
    await pass(0)
    expect(sockets).toHaveLength(1)
  })

  it('begins at the top again once that works', async () => {
    const stored = stageSession()
    await fallen()
    expect(stored.size).toBe(1)
    const { socket, request } = setUp()
    client.watch('j1')
    await pass(0)
    request().stream().event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
    await pass(0)
    page.onWindow('online')
    socket().hello()
    expect(stored.size).toBe(0)
  })

  it('begins with a WebSocket below a path where that worked', async () => {
    stageSession()
    const below = { baseUrl: 'http://server/below' }
    const first = setUp(below)
    client.watch('j1')
    await pass(0)
    first.request().stream().event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
    await pass(0)
    first.socket().hello()
    client.close()
    await pass(0)
    const { sockets, requests } = setUp(below)
    client.watch('j1')
    await pass(0)
    expect([sockets.length, requests.length]).toEqual([1, 0])
  })

  it.each(['{', 'null', '{"transport":"pigeon","trialAt":1}'])('is not confused by %s', async (text) => {
    const stored = stageSession()
    stored.set('jobcast:transport:http://server', text)
    const { sockets } = setUp()
    client.watch('j1')
    expect(sockets).toHaveLength(1)
  })
})
