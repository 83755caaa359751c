import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { missed } from '../../client/history.ts'
import { type ClientOptions, createClient, type JobcastClient } from '../../client/index.ts'
import {
  aCompletion,
  aJob,
  aLog,
  type ScriptedSocket,
  scriptedFetch,
  scriptedSockets,
} from '../helpers/scripted-network.ts'

// What a client loads when it needs it is at hand, so that no test waits for a file.
beforeAll(() => Promise.all([import('../../client/lists.ts'), import('../../client/token-renewals.ts')]))

let client: JobcastClient
beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(async () => {
  client.close()
  await pass(0)
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

const FIVE_MINUTES = 5 * 60_000
const connection = () => client.connection.getSnapshot()
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

function setUp(options: ClientOptions = {}) {
  const { sockets, WebSocket } = scriptedSockets()
  const { requests, fetch } = scriptedFetch()
  client = createClient({ baseUrl: 'http://server', WebSocket, fetch, ...options })
  const socket = () => last(sockets)
  const request = () => last(requests)
  return { sockets, socket, requests, request }
}

function last<T>(list: readonly T[]): T {
  const item = list.at(-1)
  if (item === undefined) throw new Error('there is none yet')
  return item
}

const subscribed = (jobId: string, cursor = 'e1.2') =>
  ({
    op: 'subscribed',
    jobId,
    mode: 'snapshot',
    reason: 'new',
    cursor,
    job: aJob({ jobId, cursor }),
  }) as const

const snapshotOf = (jobId: string, cursor = 'e1.2') =>
  ({ ...aJob({ jobId, cursor }), mode: 'snapshot', reason: 'new', events: [] }) as const

/** A client on SSE below a WebSocket that cannot be had. */
async function fallen() {
  const network = setUp()
  const watch = client.watch('j1')
  await pass(5000)
  const stream = network.request().stream()
  stream.event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
  await pass(1000)
  stream.event('ping', {})
  await pass(0)
  expect(connection()).toEqual({ transport: 'sse', phase: 'open' })
  return { ...network, watch, stream }
}

async function open() {
  const network = setUp()
  const watch = client.watch('j1')
  network.socket().hello()
  network.socket().says(subscribed('j1'))
  return { ...network, watch }
}

function takes(watched: ScriptedSocket, jobId = 'j1') {
  return watched.sent.filter((frame) => frame.op === 'subscribe' && frame.jobId === jobId)
}

describe('over a WebSocket', () => {
  it('is idle until something is watched, and again a second after nothing is', async () => {
    const { sockets, socket } = setUp()
    expect(connection()).toEqual({ transport: null, phase: 'idle' })
    expect(sockets).toHaveLength(0)
    const watch = client.watch('j1')
    expect(connection()).toEqual({ transport: 'websocket', phase: 'connecting' })
    expect(socket().url).toBe('ws://server/ws')
    socket().hello()
    expect(connection()).toEqual({ transport: 'websocket', phase: 'open' })
    expect(socket().sent).toEqual([{ op: 'subscribe', jobId: 'j1' }])
    watch.close()
    await pass(900)
    expect(last(socket().sent)).toEqual({ op: 'unsubscribe', jobId: 'j1' })
    expect(socket().closedByClient).toBe(false)
    await pass(200)
    expect(socket().closedByClient).toBe(true)
    expect(connection()).toEqual({ transport: null, phase: 'idle' })
  })

  it('carries all watches over one connection', async () => {
    const { sockets, socket } = await open()
    const other = client.watch('j2', { token: 't2', history: true })
    expect(sockets).toHaveLength(1)
    expect(last(socket().sent)).toEqual({ op: 'subscribe', jobId: 'j2', token: 't2', history: true })
    socket().says(subscribed('j2'))
    socket().says({ op: 'event', jobId: 'j2', prev: 2, ...aCompletion(3) })
    socket().says({ op: 'end', jobId: 'j2', cursor: 'e1.3', status: 'completed' })
    await expect(other.finished).resolves.toMatchObject({ jobId: 'j2', status: 'completed' })
  })

  it('subscribes again with its cursor after a gap, and drops what still comes before the answer', async () => {
    const { socket, watch } = await open()
    socket().says({ op: 'event', jobId: 'j1', prev: 2, ...aLog(3) })
    socket().says({ op: 'event', jobId: 'j1', prev: 4, ...aLog(5) })
    expect(last(socket().sent)).toEqual({ op: 'subscribe', jobId: 'j1', after: 'e1.3', history: true })
    socket().says({ op: 'event', jobId: 'j1', prev: 5, ...aLog(6) })
    expect(takes(socket())).toHaveLength(2)
    socket().says({
      op: 'subscribed',
      jobId: 'j1',
      mode: 'resume',
      cursor: 'e1.6',
      events: [4, 5, 6].map(aLog),
    })
    expect(watch.getSnapshot().events.map(({ seq }) => seq)).toEqual([3, 4, 5, 6])
  })

  it('does not subscribe in a circle when that does not close the gap', async () => {
    const { socket } = await open()
    const gap = () => {
      socket().says({ op: 'event', jobId: 'j1', prev: 8, ...aLog(9) })
    }
    gap()
    for (let n = 0; n < 5; n++) {
      socket().says(subscribed('j1'))
      gap()
    }
    expect(takes(socket())).toHaveLength(2)
    await pass(10_000)
    expect(takes(socket())).toHaveLength(3)
  })

  it('lets an unasked `subscribed` replace what it has', async () => {
    const { socket, watch } = await open()
    socket().says({ op: 'event', jobId: 'j1', prev: 2, ...aLog(3) })
    const job = aJob({ status: 'queued', cursor: 'e2.1' })
    socket().says({ op: 'subscribed', jobId: 'j1', mode: 'snapshot', reason: 'epoch', cursor: 'e2.1', job })
    expect(watch.getSnapshot()).toMatchObject({ phase: 'live', job: { status: 'queued' } })
    expect(watch.getSnapshot().events).toEqual([missed('epoch', 1, 1)])
    socket().says({ op: 'event', jobId: 'j1', prev: 1, ...aLog(2) })
    expect(watch.getSnapshot().job?.cursor).toBe('e2.2')
  })

  it('reads again when `end` comes without the terminal event', async () => {
    const { socket, watch } = await open()
    socket().says({ op: 'end', jobId: 'j1', cursor: 'e1.3', status: 'completed' })
    expect(last(socket().sent)).toEqual({ op: 'subscribe', jobId: 'j1', after: 'e1.2', history: true })
    socket().says({ op: 'subscribed', jobId: 'j1', mode: 'resume', cursor: 'e1.3', events: [aCompletion(3)] })
    socket().says({ op: 'end', jobId: 'j1', cursor: 'e1.3', status: 'completed' })
    await expect(watch.finished).resolves.toMatchObject({ status: 'completed' })
  })

  it.each(['not_found', 'forbidden'])('refuses at `error` %s', async (code) => {
    const { socket, watch } = await open()
    socket().says({ op: 'error', jobId: 'j1', code, message: 'no', retry: false })
    await expect(watch.finished).rejects.toMatchObject({ code, message: 'no' })
    expect(watch.getSnapshot().phase).toBe('refused')
  })

  it.each(['removed', 'expired', 'not_found'])('refuses at `unsubscribed` %s', async (code) => {
    const { socket, watch } = await open()
    socket().says({ op: 'unsubscribed', jobId: 'j1', code, retry: false })
    await expect(watch.finished).rejects.toMatchObject({ code })
  })

  it('subscribes later where the server says that it cannot now', async () => {
    const { socket, watch } = await open()
    socket().says({
      op: 'error',
      jobId: 'j1',
      code: 'unavailable',
      message: 'the store is away',
      retry: true,
    })
    expect(watch.getSnapshot().phase).toBe('reconnecting')
    expect(takes(socket())).toHaveLength(1)
    await pass(1000)
    expect(takes(socket())).toHaveLength(2)
  })

  it('answers pings and reconnects after one and a half heartbeats of silence', async () => {
    const { sockets, socket, watch } = await open()
    await pass(20_000)
    socket().says({ op: 'ping' })
    expect(last(socket().sent)).toEqual({ op: 'pong' })
    await pass(29_999)
    expect(watch.getSnapshot().phase).toBe('live')
    await pass(1)
    expect(watch.getSnapshot().phase).toBe('reconnecting')
    expect(socket().closedByClient).toBe(true)
    await pass(1000)
    expect(sockets).toHaveLength(2)
    socket().hello()
    expect(last(socket().sent)).toEqual({ op: 'subscribe', jobId: 'j1', after: 'e1.2', history: true })
  })

  it('says so while the server cannot reach its store, and keeps what it has subscribed', async () => {
    const { socket, watch } = await open()
    const list = client.watchList({ type: 'a' })
    await vi.dynamicImportSettled()
    const asked = () => socket().sent.filter(({ op }) => op === 'watch').length
    socket().says({ op: 'ping', unavailable: true })
    expect(connection()).toEqual({ transport: 'websocket', phase: 'unavailable' })
    expect(watch.getSnapshot().phase).toBe('reconnecting')
    socket().says({ op: 'ping', unavailable: true })
    expect(asked()).toBe(1)
    socket().says({ op: 'ping' })
    expect(connection()).toEqual({ transport: 'websocket', phase: 'open' })
    expect(watch.getSnapshot().phase).toBe('live')
    expect(takes(socket())).toHaveLength(1)
    // A list has no cursor: what it missed, if anything, is told anew.
    expect(asked()).toBe(2)
    list.close()
  })

  it('takes heartbeats for no answer to a subscription', async () => {
    const { socket } = setUp()
    client.watch('j1')
    socket().hello()
    for (let n = 0; n < 2; n++) {
      await pass(10_000)
      socket().says({ op: 'ping' })
    }
    await pass(9999)
    expect(connection().transport).toBe('websocket')
    await pass(1)
    expect(connection().transport).toBe('sse')
  })

  it('stays away as long as a draining server asks', async () => {
    const { sockets, socket } = await open()
    await pass(6000)
    socket().says({ op: 'drain', reconnectMs: [9000, 9000] })
    socket().ends(1012)
    await pass(8999)
    expect(sockets).toHaveLength(1)
    await pass(1)
    expect(sockets).toHaveLength(2)
  })

  it('does not move down while a server restarts again and again', async () => {
    const { sockets, socket } = await open()
    for (let n = 0; n < 5; n++) {
      const before = sockets.length
      socket().ends(1012)
      while (sockets.length === before) await pass(100)
      socket().hello()
    }
    expect(sockets).toHaveLength(6)
    expect(connection()).toEqual({ transport: 'websocket', phase: 'open' })
  })

  it.each([4500, 4502, 4503])('does not reconnect after %i, ever', async (code) => {
    const { sockets, socket, requests } = await open()
    socket().ends(code)
    await pass(0)
    expect(last(requests).url.pathname).toBe('/api/jobs/j1/events')
    last(requests).stream().event('ping', {})
    globalThis.dispatchEvent?.(new Event('online'))
    await pass(FIVE_MINUTES)
    expect(sockets).toHaveLength(1)
  })

  it('does not reconnect after 4501 either, until its turn comes again', async () => {
    const { sockets, socket, requests } = await open()
    await pass(6000)
    socket().ends(4501)
    await pass(0)
    const stream = last(requests).stream()
    stream.event('ping', {})
    await pass(1000)
    for (let n = 0; n < 29; n++) {
      stream.event('ping', {})
      await pass(10_000)
    }
    expect(connection()).toEqual({ transport: 'sse', phase: 'open' })
    expect(sockets).toHaveLength(1)
    stream.event('ping', {})
    await pass(10_000)
    expect(sockets).toHaveLength(2)
  })

  it('refuses every watch when it may not reconnect and there is nothing else', async () => {
    const { sockets, socket } = setUp({ transports: ['websocket'] })
    const watch = client.watch('j1')
    socket().hello()
    socket().ends(4503)
    await expect(watch.finished).rejects.toMatchObject({ code: 'unauthorized' })
    await pass(FIVE_MINUTES)
    expect(sockets).toHaveLength(1)
  })

  it('has what goes beyond maxSubscriptions polled, and takes it over when there is room', async () => {
    const { socket, requests } = setUp()
    const watches = ['j1', 'j2', 'j3'].map((jobId) => client.watch(jobId))
    socket().hello({ maxSubscriptions: 2 })
    await pass(0)
    expect(takes(socket(), 'j1')).toHaveLength(1)
    expect(takes(socket(), 'j3')).toHaveLength(0)
    expect(last(requests).url.pathname).toBe('/api/jobs/j3')
    last(requests).json(snapshotOf('j3'))
    await pass(0)
    expect(watches[2]?.getSnapshot()).toMatchObject({ phase: 'live', transport: 'polling' })
    watches[0]?.close()
    await pass(0)
    expect(takes(socket(), 'j3')).toEqual([{ op: 'subscribe', jobId: 'j3', after: 'e1.2', history: true }])
    await pass(10_000)
    expect(requests).toHaveLength(1)
  })

  it('ignores frames, fields and answers that it does not know', async () => {
    const { socket, watch } = await open()
    socket().says({ op: 'confetti', jobId: 'j1' })
    socket().hears('{not json')
    socket().hears(new ArrayBuffer(2))
    socket().says({ op: 'event', jobId: 'unknown', prev: 2, ...aLog(3) })
    socket().says({ op: 'event', jobId: 'j1', prev: 2, ...aLog(3), colour: 'blue' })
    expect(watch.getSnapshot()).toMatchObject({ phase: 'live', job: { cursor: 'e1.3' } })
  })

  it('ends every watch when it is closed', async () => {
    const { socket, watch } = await open()
    client.close()
    await expect(watch.finished).rejects.toMatchObject({ code: 'closed' })
    expect(socket().closedByClient).toBe(true)
    expect(() => client.watch('j2')).toThrow('closed')
  })
})

describe('a token', () => {
  it('is asked for from the user when it has expired', async () => {
    const { socket } = setUp({ renewToken: (jobId) => `new-${jobId}` })
    client.watch('j1', { token: 'old' })
    socket().hello()
    socket().says(subscribed('j1'))
    socket().says({ op: 'unsubscribed', jobId: 'j1', code: 'token_expired', retry: true })
    await pass(0)
    expect(last(socket().sent)).toMatchObject({ op: 'subscribe', after: 'e1.2', token: 'new-j1' })
  })

  it('is asked for from the server with the API key, once', async () => {
    const { socket, request, requests } = setUp({ credential: 'key' })
    const watch = client.watch('j1')
    socket().hello()
    const refuse = () =>
      socket().says({ op: 'error', jobId: 'j1', code: 'unauthorized', message: 'who?', retry: false })
    refuse()
    await pass(0)
    expect(request().url.pathname).toBe('/api/jobs/j1/token')
    expect(request().headers.get('authorization')).toBe('Bearer key')
    request().json({ token: 'fresh' })
    await pass(0)
    expect(last(socket().sent)).toMatchObject({ op: 'subscribe', token: 'fresh' })
    refuse()
    await expect(watch.finished).rejects.toMatchObject({ code: 'unauthorized' })
    expect(requests).toHaveLength(1)
  })

  it('is kept while its job is watched, however many others come after it', async () => {
    const { sockets, socket } = setUp()
    client.watch('j1', { token: 'kept' })
    socket().hello()
    socket().says(subscribed('j1'))
    for (let n = 0; n < 1500; n++) {
      client.watch(`other-${n}`, { token: `t-${n}` }).close()
      await pass(0)
    }
    socket().ends()
    await pass(1000)
    expect(sockets).toHaveLength(2)
    socket().hello()
    expect(takes(socket())).toMatchObject([{ jobId: 'j1', token: 'kept' }])
    // Of those that nobody watches only the last are kept.
    client.watch('other-0')
    client.watch('other-1499')
    await pass(0)
    const tokenOf = (jobId: string) => last(takes(socket(), jobId)).token
    expect([tokenOf('other-0'), tokenOf('other-1499')]).toEqual([undefined, 't-1499'])
  })

  it('is kept of every job that is watched, however many there are', async () => {
    const { sockets } = setUp({ transports: ['websocket'] })
    for (let n = 0; n < 1100; n++) client.watch(`j${n}`, { token: `t-${n}` })
    await pass(0)
    const [first] = sockets
    first?.hello({ maxSubscriptions: 2000 })
    await pass(0)
    const frames = first?.sent ?? []
    expect(frames.map(({ token }) => token)).toEqual(Array.from({ length: 1100 }, (_, n) => `t-${n}`))
  })

  it('is renewed before it expires', async () => {
    const claims = btoa(JSON.stringify({ exp: Date.now() / 1000 + 1000 }))
    const { socket, request } = setUp()
    client.watch('j1', { token: `h.${claims}.s` })
    socket().hello()
    socket().says(subscribed('j1'))
    for (let n = 0; n < 41; n++) {
      await pass(20_000)
      socket().says({ op: 'ping' })
    }
    expect(request().url.pathname).toBe('/api/jobs/j1/token')
    request().json({ token: 'fresh' })
    await pass(0)
    expect(last(socket().sent)).toEqual({ op: 'token', jobId: 'j1', token: 'fresh' })
  })

  describe('on a machine whose clock is wrong', () => {
    const LIFE_MS = 20_000
    /** By the server's clock. */
    let serverAheadMs: number
    const serverNow = () => Date.now() + serverAheadMs
    const issued = (agoMs = 0) => {
      const issuedAt = serverNow() - agoMs
      return `h.${btoa(JSON.stringify({ iat: issuedAt / 1000, exp: (issuedAt + LIFE_MS) / 1000 }))}.s`
    }
    const date = () => ({ date: new Date(serverNow()).toUTCString() })

    /** Whoever watches until then; the times at which a new token was asked for, in ms. */
    async function renewals(requests: ReturnType<typeof setUp>['requests'], socket: () => ScriptedSocket) {
      const times: number[] = []
      for (let ms = 0; ms <= 60_000; ms += 100) {
        for (const { url, json } of requests.splice(0)) {
          expect(url.pathname).toBe('/api/jobs/j1/token')
          times.push(ms)
          json({ token: issued() }, 200, date())
        }
        if (ms % 10_000 === 0) socket().says({ op: 'ping' })
        await pass(100)
      }
      return times
    }
    const nearly = (ms: number) => expect.toSatisfy((time: number) => Math.abs(time - ms) <= 1100)

    it.each([
      ['right', 0],
      ['6 s slow', 6000],
      ['6 s fast', -6000],
      ['a day slow', 86_400_000],
      ['a day fast', -86_400_000],
    ])('is renewed in time, and not too often: %s', async (_, aheadMs) => {
      serverAheadMs = aheadMs
      const { socket, requests, request } = setUp()
      const submitting = client.submit({ type: 'countdown', payload: {} })
      request().json({ jobId: 'j1', token: issued() }, 202, date())
      requests.length = 0
      await submitting
      client.watch('j1')
      socket().hello()
      socket().says(subscribed('j1'))
      const times = await renewals(requests, socket)
      expect(times).toEqual([nearly(16_000), nearly(32_000), nearly(48_000)])
    })

    it.each([
      ['6 s slow', 6000, 16_000],
      // Looking old, it is renewed at once; the answer tells the time.
      ['a day fast', -86_400_000, 0],
    ])('is renewed in time where the page brought it: %s', async (_, aheadMs, firstAt) => {
      serverAheadMs = aheadMs
      const { socket, requests } = setUp()
      client.watch('j1', { token: issued() })
      socket().hello()
      socket().says(subscribed('j1'))
      const times = await renewals(requests, socket)
      expect(times.slice(0, 2)).toEqual([nearly(firstAt), nearly(firstAt + 16_000)])
      expect(times.length).toBeLessThanOrEqual(4)
    })

    it('is renewed in time where the page brought an old one, once any answer told the time', async () => {
      serverAheadMs = 60_000
      const { socket, requests, request } = setUp()
      const listing = client.list()
      request().json({ jobs: [], nextPage: null }, 200, date())
      requests.length = 0
      await listing
      client.watch('j1', { token: issued(12_000) })
      socket().hello()
      socket().says(subscribed('j1'))
      expect((await renewals(requests, socket))[0]).toEqual(nearly(4000))
    })
  })
})

describe('the ladder', () => {
  it('goes to SSE when `hello` does not come within 5 s', async () => {
    const { socket, request } = setUp()
    client.watch('j1', { token: 't1' })
    await pass(4999)
    expect(connection()).toEqual({ transport: 'websocket', phase: 'connecting' })
    await pass(1)
    expect(socket().closedByClient).toBe(true)
    expect(connection().transport).toBe('sse')
    expect(request().url.href).toBe('http://server/api/jobs/j1/events?place=0')
    expect(request().headers.get('authorization')).toBe('Bearer t1')
    expect(request().headers.get('accept')).toBe('text/event-stream')
  })

  it('goes to SSE after three quick failures in a row, and not after two', async () => {
    const { sockets, socket } = setUp()
    client.watch('j1')
    socket().ends()
    await pass(1000)
    socket().hello()
    socket().ends()
    await pass(1500)
    expect(sockets).toHaveLength(3)
    socket().hello()
    await pass(5000)
    socket().ends()
    await pass(1000)
    for (const delay of [1500, 2500]) {
      socket().ends()
      expect(connection()).toEqual({ transport: 'websocket', phase: 'waiting' })
      await pass(delay)
    }
    socket().ends()
    expect(connection().transport).toBe('sse')
  })

  it('counts quick failures anew where a row of them led nowhere', async () => {
    const { sockets, socket } = setUp()
    const fail = async () => {
      const before = sockets.length
      socket().hello()
      socket().ends()
      while (sockets.length === before) await pass(100)
    }
    // Nothing below carries a list.
    const list = client.watchList()
    await vi.dynamicImportSettled()
    for (let n = 0; n < 3; n++) await fail()
    client.watch('j1')
    for (let n = 0; n < 2; n++) await fail()
    expect(connection().transport).toBe('websocket')
    socket().hello()
    socket().ends()
    expect(connection().transport).toBe('sse')
    list.close()
  })

  it('waits for another place as well where a long-poll has told one', async () => {
    const { request } = setUp({ transports: ['long-poll'] })
    const watch = client.watch('j1')
    await pass(0)
    expect(request().url.search).toBe('?after=&wait=0&place=0')
    const queued = aJob({ status: 'queued', cursor: 'e1.1' })
    const queue = { place: 2, startsAt: null, held: 'no_worker' }
    request().json({ ...queued, mode: 'snapshot', reason: 'new', events: [], queue })
    await pass(0)
    expect(watch.getSnapshot()).toMatchObject({ job: { status: 'queued' }, queue })
    expect(watch.getSnapshot().job).toEqual(queued)
    expect(request().url.search).toBe('?after=e1.1&wait=20&history=1&place=2')
    request().json({
      ...queued,
      mode: 'resume',
      events: [],
      queue: { place: null, startsAt: null, held: null },
    })
    await pass(1000)
    expect(watch.getSnapshot().queue).toEqual({ place: null, startsAt: null, held: null })
    expect(request().url.search).toBe('?after=e1.1&wait=20&history=1&place=0')
    const claimed = { seq: 2, at: '', kind: 'status', data: { status: 'processing' } } as const
    request().json({ ...aJob(), mode: 'resume', events: [claimed] })
    await pass(0)
    expect(watch.getSnapshot()).toMatchObject({ job: { status: 'processing' }, queue: null })
    expect(request().url.search).toBe('?after=e1.2&wait=20&history=1&place=0')
  })

  it('goes on to long-poll when SSE says nothing for 3 s, and to polling', async () => {
    const { requests, request } = setUp({ transports: ['sse', 'long-poll', 'polling'] })
    const watch = client.watch('j1')
    await pass(2999)
    expect(requests).toHaveLength(1)
    await pass(1)
    expect(requests[0]?.signal.aborted).toBe(true)
    expect(connection().transport).toBe('long-poll')
    expect(request().url.searchParams.get('wait')).toBe('0')
    request().json(snapshotOf('j1'))
    await pass(0)
    expect(watch.getSnapshot()).toMatchObject({ phase: 'live', transport: 'long-poll' })
    expect(request().url.search).toBe('?after=e1.2&wait=20&history=1&place=0')
    for (const delay of [1500, 2500, 0]) {
      request().answer(new Response('proxy says no', { status: 502 }))
      await pass(delay)
    }
    expect(connection().transport).toBe('polling')
    request().json({ ...aJob({ cursor: 'e1.3' }), mode: 'resume', events: [aLog(3)] })
    await pass(1999)
    const asked = requests.length
    await pass(1)
    expect(requests).toHaveLength(asked + 1)
    expect(request().url.search).toBe('?after=e1.3&wait=0&history=1&place=0')
  })

  it('goes on to long-poll when SSE says nothing within 5 s of its first event, and does not flap', async () => {
    const { requests, request } = setUp({ transports: ['sse', 'long-poll'] })
    const watch = client.watch('j1')
    await pass(0)
    const stream = request().stream()
    stream.event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
    // Along with the first one.
    stream.event('ping', {})
    await pass(4999)
    expect(connection()).toEqual({ transport: 'sse', phase: 'open' })
    await pass(1)
    expect(connection().transport).toBe('long-poll')
    expect(request().url.search).toBe('?after=e1.2&wait=0&history=1&place=0')
    request().json({ ...aJob(), mode: 'resume', events: [] })
    await pass(0)
    expect(watch.getSnapshot()).toMatchObject({ phase: 'live', transport: 'long-poll' })
    const streams = () => requests.filter(({ url }) => url.pathname.endsWith('/events'))
    await pass(19_000)
    expect(streams()).toHaveLength(1)
  })

  it('tries WebSocket again after 5 minutes and moves up without a gap', async () => {
    const { sockets, socket, stream, request, watch } = await fallen()
    stream.event('log', aLog(3), 'e1.3')
    for (let n = 0; n < 30; n++) {
      await pass(9950)
      stream.event('ping', {})
    }
    expect(sockets).toHaveLength(1)
    await pass(600)
    expect(sockets).toHaveLength(2)
    expect(connection()).toEqual({ transport: 'sse', phase: 'open' })
    socket().hello()
    expect(last(socket().sent)).toEqual({ op: 'subscribe', jobId: 'j1', after: 'e1.3', history: true })
    // What the old way still brings counts, and what comes twice does not.
    stream.event('log', aLog(4), 'e1.4')
    await pass(0)
    expect(request().signal.aborted).toBe(false)
    socket().says({
      op: 'subscribed',
      jobId: 'j1',
      mode: 'resume',
      cursor: 'e1.5',
      events: [aLog(4), aLog(5)],
    })
    expect(request().signal.aborted).toBe(true)
    socket().says({ op: 'event', jobId: 'j1', prev: 5, ...aLog(6) })
    expect(watch.getSnapshot()).toMatchObject({ phase: 'live', transport: 'websocket' })
    expect(watch.getSnapshot().events.map(({ seq }) => seq)).toEqual([3, 4, 5, 6])
    expect(connection()).toEqual({ transport: 'websocket', phase: 'open' })
  })

  it('stays where it is while the better way does not work', async () => {
    const { sockets, socket, stream, requests, watch } = await fallen()
    for (let n = 0; n < 31; n++) {
      await pass(10_000)
      stream.event('ping', {})
    }
    expect(sockets).toHaveLength(2)
    socket().ends()
    await pass(0)
    expect(watch.getSnapshot()).toMatchObject({ phase: 'live', transport: 'sse' })
    expect(requests).toHaveLength(1)
  })

  it('remembers what worked for the next watch', async () => {
    const { sockets, watch, requests } = await fallen()
    watch.close()
    await pass(1001)
    expect(connection().phase).toBe('idle')
    client.watch('j2')
    await pass(0)
    expect(sockets).toHaveLength(1)
    expect(last(requests).url.pathname).toBe('/api/jobs/j2/events')
  })

  it('tries WebSocket again at once where an outage led down, not the transport', async () => {
    const { sockets, socket, requests, request } = setUp()
    client.watch('j1')
    socket().hello()
    socket().says(subscribed('j1'))
    await pass(6000)
    for (const delay of [1000, 1500, 2500]) {
      socket().ends()
      await pass(delay)
    }
    socket().ends()
    await pass(0)
    expect(connection().transport).toBe('sse')
    request().stream().event('ping', {})
    const before = sockets.length
    await pass(0)
    expect(sockets).toHaveLength(before + 1)
    socket().hello()
    socket().says({ op: 'subscribed', jobId: 'j1', mode: 'resume', cursor: 'e1.2', events: [] })
    expect(connection()).toEqual({ transport: 'websocket', phase: 'open' })
    expect(last(requests).signal.aborted).toBe(true)
  })

  it('leaves a WebSocket that is cut soon after every hello, and takes it again once it holds', async () => {
    const { sockets, socket, requests, request } = setUp()
    const watch = client.watch('j1')
    const phases: string[] = []
    watch.subscribe(() => phases.push(watch.getSnapshot().phase))
    const cutSoon = async () => {
      socket().hello()
      for (const { jobId } of takes(socket()) as { jobId: string }[]) socket().says(subscribed(jobId))
      await pass(300)
      socket().ends()
      await pass(0)
    }
    for (const delay of [1000, 1500, 0]) {
      await cutSoon()
      await pass(delay)
    }
    expect(connection().transport).toBe('sse')
    const stream = request().stream()
    const other = client.watch('j2')
    await pass(0)
    const otherStream = request().stream()
    stream.event('ping', {})
    otherStream.event('snapshot', { reason: 'new', job: aJob({ jobId: 'j2' }) }, 'e1.2')
    await pass(600)
    const ping = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 10_000) {
        stream.event('ping', {})
        otherStream.event('ping', {})
        await pass(Math.min(10_000, ms - passed))
      }
    }
    phases.length = 0
    for (let hour = 0; hour < 3; hour++) {
      await ping(FIVE_MINUTES)
      expect(sockets).toHaveLength(4 + hour)
      // It carries one job, to see.
      await cutSoon()
      expect(socket().sent.map(({ op }) => op)).toEqual(['subscribe'])
    }
    expect(phases).not.toContain('reconnecting')
    expect(connection()).toEqual({ transport: 'sse', phase: 'open' })

    await ping(FIVE_MINUTES)
    socket().hello()
    socket().says({ op: 'subscribed', jobId: 'j1', mode: 'resume', cursor: 'e1.3', events: [aLog(3)] })
    expect(watch.getSnapshot()).toMatchObject({ transport: 'sse', job: { cursor: 'e1.3' } })
    stream.event('log', aLog(3), 'e1.3')
    await pass(4999)
    expect(connection().transport).toBe('sse')
    await pass(1)
    expect(takes(socket(), 'j2')).toHaveLength(1)
    for (const jobId of ['j1', 'j2']) {
      const cursor = jobId === 'j1' ? 'e1.3' : 'e1.2'
      expect(takes(socket(), jobId).at(-1)).toMatchObject({ after: cursor })
      socket().says({ op: 'subscribed', jobId, mode: 'resume', cursor, events: [] })
    }
    expect(connection()).toEqual({ transport: 'websocket', phase: 'open' })
    expect(watch.getSnapshot()).toMatchObject({ phase: 'live', transport: 'websocket' })
    expect(other.getSnapshot()).toMatchObject({ phase: 'live', transport: 'websocket' })
    expect(requests.every(({ signal }) => signal.aborted)).toBe(true)
    expect(phases).not.toContain('reconnecting')
  })

  it('leaves SSE where every stream is cut soon, however many there are', async () => {
    const { requests } = setUp({ transports: ['sse', 'long-poll'] })
    for (const jobId of ['j1', 'j2', 'j3', 'j4']) client.watch(jobId)
    let streams = 0
    for (let ms = 0; ms < 25_000; ms += 50) {
      for (const { url, signal, stream, json } of requests.splice(0)) {
        const jobId = url.pathname.split('/')[3] ?? ''
        if (url.searchParams.has('wait')) {
          if (url.searchParams.get('wait') === '0') json(snapshotOf(jobId))
          continue
        }
        streams += 1
        const { event, end } = stream()
        event('snapshot', { reason: 'new', job: aJob({ jobId }) }, 'e1.2')
        // Not all at the same time.
        setTimeout(() => signal.aborted || end(), 200 + 37 * (streams % 5))
      }
      await pass(50)
    }
    expect(connection().transport).toBe('long-poll')
    expect(streams).toBeLessThanOrEqual(12)
  })

  it('does not leave SSE for one job whose stream is cut while others hold', async () => {
    const { requests } = setUp({ transports: ['sse', 'long-poll'] })
    for (const jobId of ['j1', 'j2']) client.watch(jobId)
    const streams = { j1: 0, j2: 0 }
    const open: { event(event: string, data: unknown, id?: string): void }[] = []
    for (let ms = 0; ms < 20_000; ms += 100) {
      for (const { url, stream } of requests.splice(0)) {
        const jobId = url.pathname.includes('j1') ? 'j1' : 'j2'
        streams[jobId] += 1
        const { event, end } = stream()
        event('snapshot', { reason: 'new', job: aJob({ jobId }) }, 'e1.2')
        if (jobId === 'j1') setTimeout(end, 300)
        else open.push({ event })
      }
      if (ms % 1000 === 0) for (const { event } of open) event('ping', {})
      await pass(100)
    }
    // The last one is cut as well.
    await pass(300)
    expect(connection().transport).toBe('sse')
    expect(streams.j1).toBeGreaterThan(3)
    expect(streams.j2).toBe(1)
  })

  it('begins at the top again when nothing at all works, ever slower', async () => {
    const { sockets, socket, requests } = setUp()
    client.watch('j1')
    let attempts = 0
    for (let ms = 0; ms < 120_000; ms += 100) {
      for (const one of sockets.splice(0)) {
        one.ends()
        attempts += 1
      }
      for (const one of requests.splice(0)) {
        one.breaks()
        attempts += 1
      }
      await pass(100)
    }
    expect(attempts).toBeGreaterThan(20)
    expect(attempts).toBeLessThan(60)
    while (sockets.length === 0) {
      for (const one of requests.splice(0)) one.breaks()
      await pass(100)
    }
    socket().hello()
    expect(connection()).toEqual({ transport: 'websocket', phase: 'open' })
  })

  it('starts with SSE where there is no WebSocket', async () => {
    const { WebSocket } = globalThis
    Reflect.deleteProperty(globalThis, 'WebSocket')
    const { fetch, requests } = scriptedFetch()
    client = createClient({ baseUrl: 'http://server', fetch })
    client.watch('j1')
    await pass(0)
    expect(last(requests).url.pathname).toBe('/api/jobs/j1/events')
    if (WebSocket !== undefined) globalThis.WebSocket = WebSocket
  })

  it('refuses where no transport can work', async () => {
    const { WebSocket } = globalThis
    Reflect.deleteProperty(globalThis, 'WebSocket')
    client = createClient({ baseUrl: 'http://server', transports: ['websocket'] })
    if (WebSocket !== undefined) globalThis.WebSocket = WebSocket
    await expect(client.watch('j1').finished).rejects.toMatchObject({ code: 'unsupported' })
  })
})

describe('over SSE', () => {
  const only = { transports: ['sse', 'polling'] } as const

  it('reconnects with its cursor, not before the server allows', async () => {
    const { requests, request } = setUp(only)
    const watch = client.watch('j1')
    await pass(0)
    const stream = request().stream()
    stream.event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
    stream.event('log', aLog(3), 'e1.3')
    stream.retry(7000)
    await pass(10)
    stream.end()
    await pass(6990)
    expect(watch.getSnapshot().phase).toBe('reconnecting')
    expect(requests).toHaveLength(1)
    await pass(20)
    expect(request().url.search).toBe('?after=e1.3&history=1&place=0')
    request().stream().event('status', aCompletion(4), 'e1.4')
    await pass(0)
    expect(watch.getSnapshot()).toMatchObject({ phase: 'live', job: { status: 'completed' } })
  })

  it('comes back soon from an end that was planned, and nobody notices', async () => {
    const { requests, request } = setUp(only)
    const watch = client.watch('j1')
    const phases: string[] = []
    watch.subscribe(() => phases.push(watch.getSnapshot().phase))
    for (let planned = 1; planned <= 5; planned++) {
      await pass(planned === 1 ? 0 : 250)
      expect(requests).toHaveLength(planned)
      const stream = request().stream()
      stream.retry(2000)
      if (planned === 1) stream.event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
      else stream.event('ping', {})
      stream.event('log', aLog(planned + 2), `e1.${planned + 2}`)
      stream.retry(249)
      stream.end()
      await pass(10)
    }
    expect(phases).not.toContain('reconnecting')
    expect(connection()).toEqual({ transport: 'sse', phase: 'open' })
    await pass(250)
    expect(request().url.searchParams.get('after')).toBe('e1.7')
  })

  it('goes on with a new token where the server says that the old one has expired', async () => {
    const { request } = setUp({ ...only, renewToken: (jobId) => `new-${jobId}` })
    const watch = client.watch('j1', { token: 'old' })
    await pass(0)
    const stream = request().stream()
    stream.event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
    stream.event('unsubscribed', { code: 'token_expired', retry: true })
    await pass(0)
    expect(request().url.searchParams.get('after')).toBe('e1.2')
    request().problem(401, 'unauthorized')
    await pass(0)
    expect(request().headers.get('authorization')).toBe('Bearer new-j1')
    request().stream().event('ping', {})
    await pass(0)
    expect(watch.getSnapshot().phase).toBe('live')
  })

  it('takes a stream that only tells when to come back for a server that is away, not for a bad transport', async () => {
    const { requests, request } = setUp(only)
    const watch = client.watch('j1')
    for (let round = 1; round <= 5; round++) {
      await pass(0)
      expect(requests).toHaveLength(round)
      const stream = request().stream()
      stream.retry(20_000)
      stream.end()
      await pass(19_900)
      expect(requests).toHaveLength(round)
      expect(watch.getSnapshot().phase).toBe('connecting')
      await pass(200)
    }
    expect(connection().transport).toBe('sse')
    const stream = request().stream()
    stream.retry(2000)
    stream.event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
    await pass(0)
    expect(watch.getSnapshot().phase).toBe('live')
  })

  it('says so while the server cannot reach its store, and keeps its stream', async () => {
    const { stream, watch, requests } = await fallen()
    stream.event('ping', { unavailable: true })
    await pass(0)
    expect(connection()).toEqual({ transport: 'sse', phase: 'unavailable' })
    expect(watch.getSnapshot().phase).toBe('reconnecting')
    const made = requests.length
    stream.event('ping', {})
    await pass(0)
    expect(connection()).toEqual({ transport: 'sse', phase: 'open' })
    expect(watch.getSnapshot().phase).toBe('live')
    expect(requests).toHaveLength(made)
  })

  it('ends at `end`, and at 204 where the cursor was terminal', async () => {
    const { request } = setUp(only)
    const watch = client.watch('j1')
    await pass(0)
    const stream = request().stream()
    stream.event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
    stream.event('status', aCompletion(3), 'e1.3')
    await pass(0)
    stream.end()
    await pass(1000)
    expect(request().url.search).toBe('?after=e1.3&history=1&place=0')
    request().answer(new Response(null, { status: 204 }))
    await expect(watch.finished).resolves.toMatchObject({ status: 'completed' })
  })

  it('reconnects when nothing came for a ping and a half', async () => {
    const { requests, request } = setUp(only)
    client.watch('j1')
    await pass(0)
    const stream = request().stream()
    stream.event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
    await pass(1000)
    stream.event('ping', {})
    await pass(22_400)
    expect(requests).toHaveLength(1)
    await pass(1200)
    expect(requests).toHaveLength(2)
    expect(connection().transport).toBe('sse')
  })

  it.each([
    [403, 'forbidden'],
    [404, 'not_found'],
  ])('refuses at %i', async (status, code) => {
    const { request } = setUp(only)
    const watch = client.watch('j1')
    await pass(0)
    request().problem(status, code)
    await expect(watch.finished).rejects.toMatchObject({ code, status })
  })

  it('refuses at 401 where the server gives no token either', async () => {
    const { request, requests } = setUp(only)
    const watch = client.watch('j1')
    await pass(0)
    request().problem(401, 'unauthorized')
    await pass(0)
    expect(request().url.pathname).toBe('/api/jobs/j1/token')
    request().problem(401, 'unauthorized')
    await expect(watch.finished).rejects.toMatchObject({ code: 'unauthorized', status: 401 })
    expect(requests).toHaveLength(2)
  })

  it("takes a stranger's refusal for a reason to go elsewhere, and at last for an answer", async () => {
    const { request } = setUp(only)
    const watch = client.watch('j1')
    for (const delay of [1000, 1500, 0]) {
      await pass(0)
      request().answer(new Response('<html>', { status: 403 }))
      await pass(delay)
    }
    await pass(0)
    expect(request().url.pathname).toBe('/api/jobs/j1')
    request().answer(new Response('<html>', { status: 403 }))
    await expect(watch.finished).rejects.toMatchObject({ code: 'http_error', status: 403 })
  })

  it('waits as long as a server asks that is away for a moment, and does not move down', async () => {
    const { requests, request } = setUp(only)
    client.watch('j1')
    for (let n = 1; n <= 5; n++) {
      await pass(0)
      expect(requests).toHaveLength(n)
      request().problem(503, 'unavailable', { 'retry-after': '11' })
      await pass(10_999)
      expect(requests).toHaveLength(n)
      await pass(1)
    }
    expect(connection().transport).toBe('sse')
  })

  it('does not believe an event of another epoch', async () => {
    const { request } = setUp(only)
    const watch = client.watch('j1')
    await pass(0)
    const stream = request().stream()
    stream.event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')
    stream.event('log', aLog(9), 'e2.9')
    await pass(1000)
    expect(watch.getSnapshot().job?.cursor).toBe('e1.2')
    expect(request().url.search).toBe('?after=e1.2&history=1&place=0')
  })
})

describe('below a path', () => {
  const BELOW = { baseUrl: 'http://server/below' }
  const NO_SOCKET = { 'jobcast-transports': 'sse, long-poll, polling' }
  const replayed = (stream: { event(event: string, data: unknown, id?: string): void }) =>
    stream.event('snapshot', { reason: 'new', job: aJob() }, 'e1.2')

  it('begins with what every proxy passes, and moves up at once to a WebSocket that works', async () => {
    const { sockets, socket, request, requests } = setUp(BELOW)
    client.watch('j1')
    await pass(0)
    expect(sockets).toHaveLength(0)
    const stream = request().stream()
    replayed(stream)
    await pass(0)
    expect(connection()).toEqual({ transport: 'sse', phase: 'open' })
    expect(socket().url).toBe('ws://server/below/ws')
    socket().hello()
    socket().says({ op: 'subscribed', jobId: 'j1', mode: 'resume', cursor: 'e1.2', events: [] })
    expect(connection()).toEqual({ transport: 'websocket', phase: 'open' })
    expect(requests).toHaveLength(1)
  })

  it('gets the token that a WebSocket asks for from whoever knows over HTTP who is signed in', async () => {
    const { socket, request } = setUp()
    client.watch('j1')
    socket().hello()
    socket().says({ op: 'error', jobId: 'j1', code: 'unauthorized', message: 'who?', retry: false })
    await pass(0)
    expect(request().url.pathname).toBe('/api/jobs/j1/token')
    request().json({ token: 't1' })
    await pass(0)
    expect(last(socket().sent)).toMatchObject({ op: 'subscribe', jobId: 'j1', token: 't1' })
  })

  it('makes no WebSocket where the first answer says that none gets through', async () => {
    const { sockets, request } = setUp(BELOW)
    client.watch('j1')
    await pass(0)
    const stream = request().stream(NO_SOCKET)
    replayed(stream)
    await pass(1000)
    for (let n = 0; n < 35; n++) {
      stream.event('ping', {})
      await pass(10_000)
    }
    expect(sockets).toHaveLength(0)
    expect(connection()).toEqual({ transport: 'sse', phase: 'open' })
  })

  it('knows it from the answer to a submission, wherever the server is', async () => {
    const { sockets, request } = setUp()
    const submitted = client.submit({ type: 'countdown', payload: {} })
    await pass(0)
    request().json({ jobId: 'j1', token: 't1' }, 202, NO_SOCKET)
    await submitted
    client.watch('j1')
    await pass(0)
    expect(sockets).toHaveLength(0)
    expect(request().url.pathname).toBe('/api/jobs/j1/events')
  })

  it('leaves a WebSocket alone that a list was begun with, once an answer says so', async () => {
    const { sockets, socket, request } = setUp(BELOW)
    const list = client.watchList()
    const listed = client.list()
    await vi.dynamicImportSettled()
    request().json({ jobs: [], nextPage: null }, 200, NO_SOCKET)
    await listed
    socket().ends()
    await pass(60_000)
    expect(sockets).toHaveLength(1)
    expect(list.getSnapshot().phase).toBe('unsupported')
  })

  it('says that it cannot watch where only a WebSocket was asked for', async () => {
    const { request } = setUp({ transports: ['websocket'] })
    const got = client.get('j1')
    await pass(0)
    request().json(aJob(), 200, NO_SOCKET)
    await got
    await expect(client.watch('j1').finished).rejects.toMatchObject({ code: 'unsupported' })
  })
})
