import { once } from 'node:events'
import { createConnection } from 'node:net'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Engine } from '../../server/engine/engine.ts'
import { OutcomeUnknown, Unavailable } from '../../server/engine/errors.ts'
import { HttpApp, problemIn } from '../helpers/http-app.ts'

describe('requests that are none', () => {
  let app: HttpApp
  beforeAll(async () => {
    app = await HttpApp.start()
  })
  afterAll(() => app.stop())

  const POST = 'POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'

  test.each<[string, string, number, string]>([
    ['no HTTP at all', 'hello\r\n\r\n', 400, 'invalid_request'],
    [
      'two lengths',
      `${POST}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
      'invalid_request',
    ],
    ['a length that is no number', `${POST}Content-Length: two\r\n\r\n{}`, 400, 'invalid_request'],
    ['a chunk that is none', `${POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400, 'invalid_request'],
    ['no Host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'invalid_request'],
    [
      'a bad Host',
      'GET /healthz HTTP/1.1\r\nHost: a b/c?\r\nConnection: close\r\n\r\n',
      400,
      'invalid_request',
    ],
    ['headers over 16 KiB', `${POST}X: ${'x'.repeat(16 * 1024)}\r\n\r\n`, 431, 'headers_too_large'],
  ])('%s', async (_, text, status, code) => {
    const answer = await app.raw(text)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer.toLowerCase()).toContain('content-type: application/problem+json')
    const body = JSON.parse(answer.slice(answer.indexOf('{')))
    expect(body).toMatchObject({ status, code })
  })

  // Together, since each takes as long as the server is patient.
  test('what dribbles in at a byte a second is 408', async () => {
    const dribbles = ['GET /healthz HTTP/1.1\r\nX: ', `${POST}Content-Length: 1000\r\n\r\n`]
    for (const answer of await Promise.all(dribbles.map((start) => dribble(app.port, start)))) {
      expect(answer).toMatch(/^HTTP\/1\.1 408 /)
      expect(answer).toContain('"code":"request_timeout"')
    }
  })

  test('a body that comes along with its headers is not waited for', async () => {
    const listenedTo = vi.fn()
    app.server.prependOnceListener('request', (incoming) => {
      vi.spyOn(incoming, 'on').mockImplementation((event, listener) => {
        listenedTo(event)
        return incoming.addListener(event, listener)
      })
    })
    const body = '{"type":"anything","payload":1}'
    const answer = await app.raw(`${POST}Connection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    expect(answer).toMatch(/^HTTP\/1\.1 202 /)
    expect(listenedTo).not.toHaveBeenCalledWith('data')
  })

  test('a caller that goes away in the middle harms nobody', async () => {
    const failures: unknown[] = []
    app.events.on('failure', (failure) => failures.push(failure))
    const answered = once(app.events, 'http.answered')
    const socket = createConnection({ port: app.port, host: '127.0.0.1' })
    await once(socket, 'connect')
    const requested = once(app.server, 'request')
    socket.write(`${POST}Content-Length: 1000\r\n\r\n{`)
    await requested
    socket.resetAndDestroy()
    expect(await answered).toMatchObject([{ route: '/api/jobs', status: 499 }])
    expect(failures).toEqual([])
    expect((await app.fetch('/healthz')).status).toBe(200)
  })

  test('requests in a row share a connection', async () => {
    const one = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n'
    const answer = await app.raw(`${one}\r\n${one}Connection: close\r\n\r\n`)
    expect(answer.match(/HTTP\/1\.1 200 /g)).toHaveLength(2)
  })
})

/** Sends the start of a request, then a byte a second, until the server ends it; resolves to the answer. */
async function dribble(port: number, start: string): Promise<string> {
  const socket = createConnection({ port, host: '127.0.0.1' })
  await once(socket, 'connect')
  let answer = ''
  socket.on('data', (data) => {
    answer += data.toString()
  })
  socket.on('error', () => {})
  socket.write(start)
  const timer = setInterval(() => socket.write('x'), 1000)
  await once(socket, 'close')
  clearInterval(timer)
  return answer
}

describe('addresses and methods', () => {
  let app: HttpApp
  beforeAll(async () => {
    app = await HttpApp.start()
  })
  afterAll(() => app.stop())

  const ID = '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11'

  test.each([
    ['PUT', '/api/jobs', 'POST, GET, HEAD, OPTIONS'],
    ['DELETE', '/api/jobs', 'POST, GET, HEAD, OPTIONS'],
    ['GET', '/api/jobs/submit', 'POST, OPTIONS'],
    ['DELETE', '/api/jobs/batch', 'POST, OPTIONS'],
    ['POST', `/api/jobs/${ID}`, 'GET, HEAD, DELETE, OPTIONS'],
    ['PATCH', `/api/jobs/${ID}`, 'GET, HEAD, DELETE, OPTIONS'],
    ['GET', `/api/jobs/${ID}/cancel`, 'POST, OPTIONS'],
    ['POST', `/api/jobs/${ID}/events`, 'GET, HEAD, OPTIONS'],
    ['GET', '/api/types/resize/pause', 'POST, OPTIONS'],
    ['POST', '/healthz', 'GET, HEAD, OPTIONS'],
    ['POST', '/openapi.json', 'GET, HEAD, OPTIONS'],
  ])('%s %s is 405', async (method, path, allow) => {
    const response = await app.fetch(path, { method })
    expect(response.headers.get('allow')).toBe(allow)
    expect(await problemIn(response)).toMatchObject({ status: 405, code: 'method_not_allowed' })
    const options = await app.fetch(path, { method: 'OPTIONS' })
    expect([options.status, options.headers.get('allow')]).toEqual([204, allow])
  })

  test.each([
    '/api',
    '/api/',
    '/api/nothing',
    '/api/jobs/',
    '/api/jobs/x/y',
    '/API/jobs',
    '/nothing',
    '/api//jobs',
  ])('%s is 404', async (path) => {
    for (const method of ['GET', 'POST', 'OPTIONS', 'DELETE']) {
      const response = await app.fetch(path, { method, headers: { accept: 'text/html' } })
      expect(await problemIn(response)).toMatchObject({ status: 404, code: 'not_found' })
    }
  })

  test('unknown parameters are errors on every address', async () => {
    for (const path of [
      '/healthz',
      '/readyz',
      '/metrics',
      '/openapi.json',
      '/api/types',
      '/api/overview',
      '/api/jobs',
    ]) {
      const problem = await problemIn(await app.fetch(`${path}?nope=1`))
      expect([path, problem.code, problem.errors?.[0]?.path]).toEqual([path, 'invalid_request', 'nope'])
    }
  })

  test('a GET of the socket says how to connect', async () => {
    for (const query of ['', '?job=x', '?job=x&after=e.1&token=t&history=1']) {
      const problem = await problemIn(await app.fetch(`/ws${query}`))
      expect(problem).toMatchObject({ code: 'invalid_request', detail: expect.stringContaining('WebSocket') })
      expect(problem.errors).toBeUndefined()
    }
  })
})

describe('while the store is away', () => {
  const LOST_ID = '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11'
  let fault: (() => Error) | null = null
  let app: HttpApp
  /** The real engine whose every call, of the feed too, fails as long as there is a fault. */
  const failing = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(object, name) {
        const value: unknown = Reflect.get(object, name)
        if (name === 'feed') return failing(value as object)
        // Only of a store that others share it is asked which types they have.
        if (name === 'kind') return 'redis'
        if (typeof value !== 'function') return value
        return (...args: unknown[]) =>
          fault === null || name === 'onReset' ? value.apply(object, args) : Promise.reject(fault())
      },
    })
  beforeAll(async () => {
    app = await HttpApp.start({ wrap: (engine: Engine) => failing(engine) })
  })
  afterAll(async () => {
    fault = null
    await app.stop()
  })

  const CALLS = [
    ['POST', '/api/jobs', '{"type":"anything","payload":1}'],
    ['POST', '/api/jobs', '{"type":"elsewhere","payload":1}'],
    ['POST', '/api/jobs/batch', '{"jobs":[{"type":"anything","payload":1}]}'],
    ['GET', '/api/jobs'],
    ['GET', `/api/jobs/${LOST_ID}`],
    ['GET', `/api/jobs/${LOST_ID}?after=x.1&wait=30`],
    ['GET', `/api/jobs/${LOST_ID}/events`],
    ['POST', `/api/jobs/${LOST_ID}/cancel`],
    ['POST', `/api/jobs/${LOST_ID}/retry`],
    ['POST', `/api/jobs/${LOST_ID}/token`],
    ['DELETE', `/api/jobs/${LOST_ID}`],
    ['GET', '/api/types'],
    ['GET', '/api/overview'],
    ['POST', '/api/types/anything/pause'],
    ['GET', '/readyz'],
  ] as const
  const call = ([method, path, body]: (typeof CALLS)[number]) =>
    app.fetch(path, { method, ...(body && { body, headers: { 'content-type': 'application/json' } }) })

  test.each(CALLS)('%s %s is 503 unavailable', async (...one) => {
    fault = () => new Unavailable('the store restarts')
    const response = await call(one as (typeof CALLS)[number])
    expect(response.headers.get('retry-after')).toBe('1')
    expect(await problemIn(response)).toMatchObject({
      status: 503,
      code: 'unavailable',
      detail: 'the store restarts',
    })
  })

  test.each([
    [
      'the store is away',
      () => new Unavailable('the store\nrestarts'),
      /^: unavailable: the store restarts\n/,
    ],
    ['nobody foresaw it', () => new Error('oops'), /^: internal_error: /],
  ])(
    'an EventSource, for which any refusal is final, is told when to come back: %s',
    async (_why, made, comment) => {
      fault = made
      const stream = (accept: string, method = 'GET') =>
        app.fetch(`/api/jobs/${LOST_ID}/events`, { method, headers: { accept } })
      const response = await stream('text/event-stream')
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toBe('text/event-stream')
      expect(response.headers.get('cache-control')).toContain('no-store')
      const text = await response.text()
      expect(text).toMatch(comment)
      expect(text).toMatch(/\nretry: [1-5]\d{3}\n\n$/)
      expect(await (await stream('text/event-stream', 'HEAD')).text()).toBe('')
      for (const accept of ['application/json', 'application/json, text/event-stream;q=0.5', '*/*']) {
        expect((await stream(accept)).status).toBeGreaterThanOrEqual(500)
      }
    },
  )

  test('an answer that was lost is told with the ids to ask for', async () => {
    fault = () => new OutcomeUnknown('the connection broke', [LOST_ID])
    for (const one of [CALLS[0], CALLS[7], CALLS[8], CALLS[10]]) {
      const response = await call(one)
      expect(response.headers.get('retry-after')).toBe('1')
      const problem = await problemIn(response)
      expect(problem).toMatchObject({ status: 503, code: 'outcome_unknown', jobId: LOST_ID })
      expect(problem).not.toHaveProperty('jobIds')
    }
    const batch = await problemIn(await call(CALLS[2]))
    expect(batch).toMatchObject({ code: 'outcome_unknown', jobIds: [LOST_ID] })
    expect(batch).not.toHaveProperty('jobId')
  })

  test('what nobody foresaw is 500, told to the operator and not to the caller', async () => {
    const failures: { where: string; error: unknown }[] = []
    app.events.on('failure', (failure) => failures.push(failure))
    fault = () => new Error('secret path /etc/jobcast')
    const response = await app.fetch('/api/jobs')
    const problem = await problemIn(response)
    expect(problem).toMatchObject({ status: 500, code: 'internal_error' })
    expect(JSON.stringify(problem)).not.toContain('secret')
    expect(failures).toMatchObject([
      { where: 'GET /api/jobs', error: { message: 'secret path /etc/jobcast' } },
    ])
  })

  test('the process lives, is not ready, and still has metrics', async () => {
    fault = () => new Unavailable('the store restarts')
    expect((await app.fetch('/healthz')).status).toBe(200)
    const metrics = await app.fetch('/metrics')
    expect(metrics.status).toBe(200)
    expect(await metrics.text()).toContain('jobcast_store_reachable 0')
    fault = null
    expect((await app.fetch('/readyz')).status).toBe(200)
  })
})
