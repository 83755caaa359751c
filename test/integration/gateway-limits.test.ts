import { createConnection, type Socket } from 'node:net'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type ApiKey, Auth } from '../../server/auth/auth.ts'
import {
  type Gateway,
  type GatewayOptions,
  openGateway,
  QUICK_SWEEP_MS,
  refusal,
  SECRET,
} from '../helpers/gateway.ts'
import { until } from '../helpers/until.ts'

let gateway: Gateway
async function open(options: GatewayOptions = {}): Promise<Gateway> {
  gateway = await openGateway(options)
  return gateway
}
afterEach(async () => {
  await gateway.close()
  expect(gateway.seen('failure')).toEqual([])
})

const UNKNOWN = '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11'
const KEYS: ApiKey[] = [
  { name: 'reader', role: 'read', key: 'read-key' },
  { name: 'writer', role: 'submit', key: 'submit-key' },
]
const TIMES = { heartbeatMs: 20_000, idleMs: 30_000, stallMs: 10_000, closeMs: 5000 }

describe('refused upgrades are complete HTTP answers', () => {
  test.each([
    ['another path', { path: '/other' }, '', 404, 'not_found'],
    ['a foreign Origin', { headers: { origin: 'https://evil.example' } }, '', 403, 'forbidden'],
    ['a foreign Host, without keys', { headers: { host: 'evil.example' } }, '', 403, 'forbidden'],
    ['an unknown query parameter', {}, '?job=x&jobs=y', 400, 'invalid_request'],
    ['a repeated query parameter', {}, '?job=x&job=y', 400, 'invalid_request'],
    ['a cursor without a job', {}, '?after=a.1', 400, 'invalid_request'],
    ['a history that is not 1', {}, '?job=x&history=yes', 400, 'invalid_request'],
    ['an empty job id', {}, '?job=', 400, 'invalid_request'],
  ])('%s', async (_name, options, query, status, code) => {
    await open()
    const answer = await refusal(gateway.connect(query, options))
    expect(answer.status).toBe(status)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.body).toMatchObject({ status, code })
  })

  test('wrong credentials, where keys are needed', async () => {
    await open({ keys: KEYS })
    for (const authorization of ['Bearer wrong', 'Basic cmVhZC1rZXk=', 'Bearer', '']) {
      const answer = await refusal(gateway.connect('', { headers: { authorization } }))
      expect(answer).toMatchObject({ status: 401, body: { code: 'unauthorized' } })
    }
    await gateway.connect('', { headers: { authorization: 'Bearer read-key' } }).opened()
  })

  test('what a connection was opened with is good for no subscription once it has expired', async () => {
    await open({ keys: KEYS, tokenTtlMs: 60_000 })
    const { jobId } = await gateway.run()
    const token = await gateway.auth.issue({ kind: 'key', name: 'writer', role: 'submit' }, jobId)
    const client = await gateway.connect('', { headers: { authorization: `Bearer ${token}` } }).opened()
    await client.subscribe(jobId)
    client.send({ op: 'unsubscribe', jobId })
    await client.next('unsubscribed')
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 })
    onTestFinished(() => void vi.useRealTimers())
    client.send({ op: 'subscribe', jobId })
    expect(await client.next('error')).toMatchObject({ jobId, code: 'unauthorized' })
    await client.subscribe(jobId, { token: 'read-key' })
    expect(client.all('subscribed')).toHaveLength(2)
  })

  test('without keys a credential is not looked at', async () => {
    await open()
    await gateway.connect('', { headers: { authorization: 'Bearer anything' } }).opened()
  })

  test('the own origin, and none, are welcome', async () => {
    await open()
    await gateway.connect('', { headers: { origin: `http://127.0.0.1:${gateway.port}` } }).opened()
  })

  test('too many connections', async () => {
    await open({ sockets: { maxConnections: 1 } })
    const first = await gateway.connect().opened()
    const answer = await refusal(gateway.connect())
    expect(answer).toMatchObject({ status: 429, body: { code: 'rate_limited' } })
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    first.ws.close()
    await first.closed
    await until(() => gateway.hub.info().sockets === 0)
    await gateway.connect().opened()
  })

  test('a draining process', async () => {
    await open()
    gateway.sockets.drain()
    const answer = await refusal(gateway.connect())
    expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } })
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  })

  test.each([
    [
      'no key',
      'GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      400,
    ],
    [
      'another version',
      'GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 7\r\n\r\n',
      400,
    ],
    [
      'another method',
      'POST /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      405,
    ],
  ])('a handshake with %s', async (_name, request, status) => {
    await open()
    const answer = await rawAnswer(gateway.port, request)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(answer).toContain('application/problem+json')
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({ status })
  })

  test('a peer that resets in the middle of an upgrade ends nothing', async () => {
    await open({ keys: KEYS })
    for (let peer = 0; peer < 50; peer++) {
      const socket = createConnection(gateway.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(
        'GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer read-key\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
        () => socket.resetAndDestroy(),
      )
    }
    await gateway.connect().opened()
    await until(() => gateway.hub.info().sockets === 1)
  })
})

describe('subprotocol and compression', () => {
  test('jobcast.v1 is accepted, others are not echoed, compression is never negotiated', async () => {
    await open()
    const known = await gateway.connect('', { protocols: ['other', 'jobcast.v1'] }).opened()
    expect(known.ws.protocol).toBe('jobcast.v1')
    const answer = await rawAnswer(
      gateway.port,
      'GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: other\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n',
      'hello',
    )
    expect(answer).toMatch(/^HTTP\/1.1 101 /)
    expect(answer.toLowerCase()).not.toContain('sec-websocket-protocol')
    expect(answer.toLowerCase()).not.toContain('sec-websocket-extensions')
  })
})

describe('bad frames', () => {
  test.each([
    ['no JSON', '{"op":'],
    ['no object', '[]'],
    ['an unknown op', '{"op":"dance"}'],
    ['a wrong shape', '{"op":"subscribe","jobId":7}'],
    ['an unknown field', `{"op":"subscribe","jobId":"${UNKNOWN}","also":1}`],
    ['a prototype', `{"op":"subscribe","jobId":"${UNKNOWN}","constructor":{}}`],
    ['nothing', ''],
  ])('%s is answered', async (_name, text) => {
    await open()
    const client = await gateway.connect().opened()
    client.ws.send(text)
    expect(await client.next('error')).toMatchObject({ code: 'bad_frame', retry: false })
    client.send({ op: 'ping' })
    await client.next('pong')
  })

  test('the tenth is answered and closes with 4502; binary frames count', async () => {
    await open()
    const client = await gateway.connect().opened()
    for (let frame = 0; frame < 5; frame++) client.ws.send('nonsense')
    for (let frame = 0; frame < 7; frame++) client.ws.send(Buffer.from('{"op":"ping"}'))
    expect(await client.closed).toEqual({ code: 4502, reason: 'too_many_errors' })
    await until(() => gateway.hub.info().sockets === 0)
    expect(gateway.seen('gateway.closed')).toEqual([{ transport: 'socket', code: 4502 }])
    expect(client.all('error')).toHaveLength(10)
    expect(client.all('pong')).toEqual([])
  })

  test('frames beyond the bucket are rate limited, and count as bad', async () => {
    await open()
    const client = await gateway.connect().opened()
    for (let frame = 0; frame < 1000; frame++) client.send({ op: 'ping' })
    expect(await client.closed).toMatchObject({ code: 4502 })
    const errors = client.all('error')
    expect(errors).toHaveLength(10)
    for (const error of errors) expect(error).toMatchObject({ code: 'rate_limited', retry: true })
    expect(client.all('pong').length).toBeGreaterThanOrEqual(512)
  })

  test('a frame over 16 KiB closes with 1009, one of 16 KiB does not', async () => {
    await open()
    const client = await gateway.connect().opened()
    client.ws.send(`{"op":"ping"}${' '.repeat(16_384 - 13)}`)
    await client.next('pong')
    client.ws.send(`{"op":"ping"}${' '.repeat(16_385 - 13)}`)
    expect(await client.closed).toMatchObject({ code: 1009 })
    await until(() => gateway.hub.info().sockets === 0)
    expect(gateway.seen('gateway.closed')).toEqual([{ transport: 'socket', code: 1009 }])
  })

  test('bad UTF-8 closes with 1007', async () => {
    await open()
    const client = await gateway.connect().opened()
    client.ws.send(Buffer.from([0x22, 0xc3, 0x28, 0x22]), { binary: false })
    expect(await client.closed).toMatchObject({ code: 1007 })
  })

  test('a flood of tiny fragments closes with 1008', async () => {
    await open()
    const client = await gateway.connect().opened()
    for (let piece = 0; piece < 200; piece++) client.ws.send(' ', { fin: false })
    expect(await client.closed).toMatchObject({ code: 1008 })
    await until(() => gateway.hub.info().sockets === 0)
  })

  test('a watched job is released when its connection is broken off', async () => {
    await open()
    const run = await gateway.run()
    const client = await gateway.connect(`?job=${run.jobId}`).opened()
    await client.next('subscribed')
    client.ws.send(Buffer.alloc(20_000), { binary: false })
    await client.closed
    await until(() => gateway.hub.info().subscriptions === 0)
  })
})

describe('ids and cursors of any length', () => {
  test('a job id that is none is not found, on connect as well', async () => {
    await open()
    for (const jobId of ['x', 'x'.repeat(10_000)]) {
      const client = await gateway.connect(`?job=${jobId}`).opened()
      expect(await client.next('error', 1)).toMatchObject({ code: 'not_found', jobId, retry: false })
      client.send({ op: 'subscribe', jobId })
      expect(await client.next('error', 2)).toMatchObject({ code: 'not_found', jobId, retry: false })
      client.send({ op: 'token', jobId, token: 'any' })
      expect(await client.next('error', 3)).toMatchObject({ code: 'not_found', jobId, retry: false })
    }
  })

  test('a cursor that cannot be read is one of another history', async () => {
    await open()
    const { jobId } = await gateway.run()
    const client = await gateway.connect().opened()
    for (const after of ['x', 'x'.repeat(10_000), `${'x'.repeat(10_000)}.1`]) {
      expect(await client.subscribe(jobId, { after })).toMatchObject({ mode: 'snapshot', reason: 'epoch' })
      const onConnect = gateway.connect(`?job=${jobId}&after=${after}`)
      expect(await onConnect.next('subscribed')).toMatchObject({ mode: 'snapshot', reason: 'epoch' })
    }
  })
})

describe('limits of a connection', () => {
  test('256 subscriptions; one more may be tried later', async () => {
    await open()
    const jobs: string[] = []
    for (let job = 0; job < 257; job++) jobs.push(await gateway.submit())
    const client = await gateway.connect().opened()
    for (const jobId of jobs) client.send({ op: 'subscribe', jobId })
    expect(await client.next('error')).toMatchObject({
      code: 'too_many_subscriptions',
      jobId: jobs[256],
      retry: true,
    })
    await client.next('subscribed', 256)
    client.send({ op: 'subscribe', jobId: jobs[0] })
    await client.next('subscribed', 257)
    client.send({ op: 'unsubscribe', jobId: jobs[0] })
    await client.next('unsubscribed')
    client.send({ op: 'subscribe', jobId: jobs[256] })
    await client.next('subscribed', 258)
    expect(gateway.hub.info().subscriptions).toBe(256)
  })

  test('without a valid subscription it is closed with 4501, however it asks', async () => {
    await open({ sockets: { times: { ...TIMES, idleMs: 300 } } })
    const run = await gateway.run()
    const idle = await gateway.connect().opened()
    const asking = setInterval(() => idle.send({ op: 'subscribe', jobId: UNKNOWN }), 50)
    const watching = await gateway.connect(`?job=${run.jobId}`).opened()
    expect(await idle.closed).toEqual({ code: 4501, reason: 'idle' })
    clearInterval(asking)
    expect(watching.ws.readyState).toBe(watching.ws.OPEN)
    await run.settle({ kind: 'completed', result: null })
    await watching.next('end')
    expect(await watching.closed).toMatchObject({ code: 4501 })
  })

  test('heartbeats: a ping frame always, a JSON ping when nothing else was sent', async () => {
    await open({ sockets: { times: { ...TIMES, heartbeatMs: 1000 } } })
    const run = await gateway.run()
    const quiet = await gateway.connect(`?job=${run.jobId}`).opened()
    const busy = await gateway.connect().opened()
    const chatter = setInterval(() => busy.send({ op: 'ping' }), QUICK_SWEEP_MS)
    await quiet.next('ping', 3)
    await until(() => quiet.pings >= 3 && busy.pings >= 3)
    clearInterval(chatter)
    expect(busy.all('ping')).toEqual([])
    expect(quiet.frames[0]).toMatchObject({ op: 'hello', heartbeatMs: 1000 })
  })

  test('a silent peer is closed with 4000; any frame of its keeps it', async () => {
    await open({ sockets: { times: { ...TIMES, heartbeatMs: 1000 } } })
    const silent = await gateway.connect('', { autoPong: false }).opened()
    const speaking = await gateway.connect('', { autoPong: false }).opened()
    const pongs = setInterval(() => speaking.send({ op: 'pong' }), 50)
    const ponging = await gateway.connect().opened()
    expect(await silent.closed).toEqual({ code: 4000, reason: 'no_pong' })
    await until(() => gateway.hub.info().sockets === 2)
    expect(gateway.seen('gateway.closed')).toEqual([{ transport: 'socket', code: 4000 }])
    await speaking.next('ping', 4)
    clearInterval(pongs)
    expect(ponging.ws.readyState).toBe(ponging.ws.OPEN)
  })

  test('a half-open peer is gone, with everything of it', async () => {
    await open({ sockets: { times: { ...TIMES, heartbeatMs: 100 } } })
    const run = await gateway.run()
    const client = await gateway.connect(`?job=${run.jobId}`).opened()
    await client.next('subscribed')
    client.socket.pause()
    await until(() => gateway.hub.info().sockets === 0)
    expect(gateway.hub.info().subscriptions).toBe(0)
  })
})

describe('slow readers', () => {
  test('one that stops reading is closed with 4001, resumes by cursor, and delays nobody', async () => {
    await open()
    const run = await gateway.run()
    const slow = await gateway.connect(`?job=${run.jobId}`).opened()
    const fast = await gateway.connect(`?job=${run.jobId}`).opened()
    await slow.next('subscribed')
    await fast.next('subscribed')
    slow.socket.pause()
    let sent = 0
    // As much as the system buffers, and a good MiB more.
    while (gateway.hub.info().subscriptions === 2) {
      await run.report({ kind: 'chunk', data: 'x'.repeat(200_000) })
      await fast.next('event', ++sent)
      expect(sent).toBeLessThan(200)
    }
    slow.socket.resume()
    expect(await slow.closed).toEqual({ code: 4001, reason: 'slow_consumer' })
    expect(slow.all('event').length).toBeLessThan(sent)
    await until(() => gateway.hub.info().sockets === 1)
    expect(gateway.hub.info().subscriptions).toBe(1)
  })

  test('one that takes no byte for the stall time is closed, though little waits', async () => {
    await open({ sockets: { times: { ...TIMES, stallMs: 300 } } })
    const run = await gateway.run('p'.repeat(16_000_000))
    const slow = await gateway.connect().opened()
    slow.socket.pause()
    slow.send({ op: 'subscribe', jobId: run.jobId })
    await until(() => gateway.seen('gateway.unsubscribed').length === 1)
    slow.socket.resume()
    expect(await slow.closed).toEqual({ code: 4001, reason: 'slow_consumer' })
  })

  test('one that reads slowly but steadily gets a large snapshot whole', async () => {
    await open({ sockets: { times: { ...TIMES, stallMs: 1000 } } })
    const run = await gateway.run('p'.repeat(16_000_000))
    const slow = await gateway.connect().opened()
    slow.socket.pause()
    slow.send({ op: 'subscribe', jobId: run.jobId })
    const sips = setInterval(() => {
      slow.socket.resume()
      setTimeout(() => slow.socket.pause(), 1)
    }, 30)
    await slow.next('subscribed')
    clearInterval(sips)
    expect(gateway.seen('gateway.closed')).toEqual([])
  })

  test('large snapshots are made one at a time', async () => {
    await open()
    const runs = []
    for (let job = 0; job < 20; job++) runs.push(await gateway.run('p'.repeat(4_000_000)))
    const client = await gateway.connect().opened()
    client.socket.pause()
    for (const { jobId } of runs) client.send({ op: 'subscribe', jobId })
    await until(() => gateway.feed.reads.length >= 1)
    const probe = await gateway.connect().opened()
    probe.send({ op: 'ping' })
    await probe.next('pong')
    // The system takes a few MB for a peer that does not read; the rest must not even have been read.
    expect(gateway.feed.reads.length).toBeLessThan(5)
    client.socket.resume()
    await client.next('subscribed', 20)
    expect(gateway.seen('gateway.closed')).toEqual([])
  })
})

describe('authorization', () => {
  test('a key in Authorization is enough for every subscription', async () => {
    await open({ keys: KEYS })
    const run = await gateway.run()
    const client = await gateway.connect('', { headers: { authorization: 'Bearer read-key' } }).opened()
    await client.subscribe(run.jobId)
  })

  test('a token watches its own job; missing, forged and expired ones are unauthorized, another job is not found', async () => {
    await open({ keys: KEYS })
    const [own, other] = [await gateway.run(), await gateway.run()]
    const writer = { kind: 'key', name: 'writer', role: 'submit' } as const
    const past = new Auth({ keys: KEYS, secret: SECRET, tokenTtlMs: -1000 })
    const expired = (await past.issue(writer, own.jobId)) ?? ''
    const token = (await gateway.auth.issue(writer, own.jobId)) ?? ''
    const client = await gateway.connect().opened()
    const errors = [
      [own.jobId, undefined, 'unauthorized'],
      [own.jobId, 'forged', 'unauthorized'],
      [own.jobId, `${token}x`, 'unauthorized'],
      [own.jobId, expired, 'unauthorized'],
      [other.jobId, token, 'not_found'],
      [UNKNOWN, 'read-key', 'not_found'],
    ]
    for (const [index, [jobId, credential, code]] of errors.entries()) {
      client.send({ op: 'subscribe', jobId, token: credential })
      expect(await client.next('error', index + 1)).toMatchObject({ code, jobId, retry: false })
    }
    await client.subscribe(own.jobId, { token })
    const onConnect = gateway.connect(`?job=${own.jobId}`)
    expect(await onConnect.next('error')).toMatchObject({ code: 'unauthorized' })
    expect(onConnect.frames[0]?.op).toBe('hello')
    await gateway.connect(`?job=${own.jobId}&token=${token}`).next('subscribed')
    await gateway.connect(`?job=${own.jobId}&token=read-key`).next('subscribed')
  })

  test('a subscription ends with its token, and goes on with a new one', async () => {
    await open({ keys: KEYS, tokenTtlMs: 4000 })
    const [first, second] = [await gateway.run(), await gateway.run()]
    const { auth } = gateway
    const writer = { kind: 'key', name: 'writer', role: 'submit' } as const
    const client = await gateway.connect().opened()
    await client.subscribe(first.jobId, { token: await auth.issue(writer, first.jobId) })
    await client.subscribe(second.jobId, { token: await auth.issue(writer, second.jobId) })
    client.send({ op: 'token', jobId: second.jobId, token: 'forged' })
    expect(await client.next('error', 1)).toMatchObject({ code: 'unauthorized', jobId: second.jobId })
    client.send({ op: 'token', jobId: second.jobId, token: await auth.issue(writer, first.jobId) })
    expect(await client.next('error', 2)).toMatchObject({ code: 'not_found', jobId: second.jobId })
    client.send({ op: 'token', jobId: UNKNOWN, token: 'read-key' })
    expect(await client.next('error', 3)).toMatchObject({
      code: 'not_found',
      jobId: UNKNOWN,
      message: 'this connection has no subscription to this job',
    })
    client.send({ op: 'token', jobId: second.jobId, token: 'read-key' })
    expect(await client.next('unsubscribed')).toEqual({
      op: 'unsubscribed',
      jobId: first.jobId,
      code: 'token_expired',
      retry: true,
    })
    await first.report({ kind: 'log', data: { level: 'info', line: 'unheard' } })
    await second.report({ kind: 'log', data: { level: 'info', line: 'heard' } })
    expect((await client.next('event')).jobId).toBe(second.jobId)
    expect(client.all('unsubscribed')).toHaveLength(1)
  })
})

describe('draining', () => {
  test('drain is announced, then the connections close with 1012, spread out', async () => {
    await open({ sockets: { drainSpreadMs: 400 } })
    const run = await gateway.run()
    const clients = Array.from({ length: 40 }, () => gateway.connect(`?job=${run.jobId}`))
    await Promise.all(clients.map((client) => client.next('subscribed')))
    const closedAt: number[] = []
    for (const client of clients) void client.closed.then(() => closedAt.push(performance.now()))
    gateway.sockets.drain()
    await run.report({ kind: 'log', data: { level: 'info', line: 'still served' } })
    for (const client of clients) {
      expect(await client.closed).toEqual({ code: 1012, reason: 'restart' })
      expect(client.all('drain')).toEqual([{ op: 'drain', reconnectMs: [500, 500 + 40 * 20] }])
    }
    expect(Math.max(...closedAt) - Math.min(...closedAt)).toBeGreaterThan(100)
    expect(clients.some((client) => client.all('event').length === 1)).toBe(true)
    await until(() => gateway.hub.info().sockets === 0)
  })

  test('stop ends what is left, also a peer that does not answer', async () => {
    await open()
    const polite = await gateway.connect().opened()
    const stuck = await gateway.connect().opened()
    stuck.socket.pause()
    await gateway.sockets.stop()
    expect(await polite.closed).toMatchObject({ code: 1012 })
    expect(gateway.hub.info().sockets).toBe(0)
    await gateway.sockets.stop()
  })
})

/** What a server answers to bytes, until it closes or the answer contains a text. */
function rawAnswer(port: number, request: string, until?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = createConnection(port, '127.0.0.1', () => socket.write(request))
    let answer = ''
    socket.setTimeout(5000, () => reject(new Error(`no answer: ${answer}`)))
    socket.on('data', (data) => {
      answer += data.toString('latin1')
      if (until !== undefined && answer.includes(until)) socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
  })
}
