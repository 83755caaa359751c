import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { retryAfterMs } from '../../client/http.ts'
import { type ClientOptions, createClient, JobcastError } from '../../client/index.ts'
import { Attempts, reconnectDelayMs } from '../../client/retry.ts'
import { type ScriptedRequest, scriptedFetch } from '../helpers/scripted-network.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

function setUp(options: ClientOptions = {}) {
  const { requests, fetch } = scriptedFetch()
  const client = createClient({ baseUrl: 'http://server/base/', fetch, ...options })
  const request = (): ScriptedRequest => {
    const newest = requests.at(-1)
    if (newest === undefined) throw new Error('there is none yet')
    return newest
  }
  return { client, requests, request }
}

const submission = { type: 'countdown', payload: { steps: 3 } }
const answer = { jobId: 'j1', status: 'queued', type: 'countdown', createdAt: '', cursor: 'e.1', links: {} }

describe('calls', () => {
  it('go to the server with the API key', async () => {
    const { client, request } = setUp({ credential: 'key' })
    const list = client.list({ type: ['a', 'b'], status: 'failed', tag: 'x', limit: 5, full: true })
    expect(request().url.href).toBe(
      'http://server/base/api/jobs?type=a&type=b&status=failed&tag=x&limit=5&full=1',
    )
    expect(request().headers.get('authorization')).toBe('Bearer key')
    request().json({ jobs: [], nextPage: null })
    await expect(list).resolves.toEqual({ jobs: [], nextPage: null })
  })

  it('use the token that submit returned, where there is no API key', async () => {
    const { client, request } = setUp()
    const submitted = client.submit({ ...submission, options: { priority: 3 } })
    expect(request().body).toEqual({ ...submission, options: { priority: 3 } })
    expect(request().headers.get('authorization')).toBeNull()
    request().json({ ...answer, token: 't1' }, 202)
    await submitted
    const cancelled = client.cancel('j1')
    expect(request().url.pathname).toBe('/base/api/jobs/j1/cancel')
    expect(request().headers.get('authorization')).toBe('Bearer t1')
    request().problem(409, 'already_finished')
    await expect(cancelled).rejects.toMatchObject({
      code: 'already_finished',
      message: 'it is already_finished',
    })
  })

  it('escape what goes into an address', () => {
    const { client, request } = setUp()
    client.get('a/../b?c').catch(() => {})
    expect(request().url.href).toBe('http://server/base/api/jobs/a%2F..%2Fb%3Fc')
    request().json({})
    return pass(0)
  })

  it("tell a stranger's answer, a broken connection and a missing address", async () => {
    const { client, request } = setUp()
    const proxied = client.types()
    request().answer(new Response('<html>', { status: 502, statusText: 'Bad Gateway' }))
    await expect(proxied).rejects.toMatchObject({
      code: 'http_error',
      status: 502,
      message: 'HTTP 502 Bad Gateway',
    })
    const broken = client.types()
    request().breaks()
    await expect(broken).rejects.toMatchObject({ code: 'network', status: null })
    const page = client.types()
    request().answer(new Response('<html>'))
    await expect(page).rejects.toMatchObject({ code: 'http_error', status: 200 })
    await expect(createClient({ fetch: vi.fn() }).types()).rejects.toMatchObject({ code: 'unsupported' })
  })

  it('carry paths, jobs and Retry-After of a refusal', async () => {
    const { client, request } = setUp()
    const submitted = client.submit(submission)
    const errors = [{ path: 'payload.steps', message: 'too many' }]
    const problem = { code: 'outcome_unknown', title: 'Unknown', detail: 'ask', jobId: 'j9', errors }
    request().json(problem, 503, { 'content-type': 'application/problem+json', 'retry-after': '2' })
    await expect(submitted).rejects.toMatchObject({
      jobIds: ['j9'],
      errors,
      retryAfterMs: 2000,
      message: 'ask',
    })
    const asks = (retryAfter: Date | string, date?: Date) =>
      retryAfterMs(
        new Headers({
          'retry-after': typeof retryAfter === 'string' ? retryAfter : retryAfter.toUTCString(),
          ...(date !== undefined && { date: date.toUTCString() }),
        }),
      )
    expect(asks(new Date(Date.now() + 5000))).toBeGreaterThan(3000)
    // By the clock of whoever says it.
    expect(asks(new Date(905_000), new Date(900_000))).toBe(5000)
    expect(asks('soon')).toBeNull()
  })

  it('do not hang for ever, and end when their signal fires', async () => {
    const { client } = setUp()
    const hanging = client.overview()
    const assertion = expect(hanging).rejects.toMatchObject({ code: 'timeout' })
    await pass(60_000)
    await assertion
    const abort = new AbortController()
    const aborted = client.overview({ signal: abort.signal })
    abort.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'aborted' })
    await expect(client.overview({ signal: abort.signal })).rejects.toMatchObject({ code: 'aborted' })
  })
})

describe('a submission', () => {
  class Point {
    x = 1
  }

  it.each([
    [{ payload: { n: Number.NaN } }, 'payload.n: NaN'],
    [{ payload: { items: [0, { id: Number.POSITIVE_INFINITY }] } }, 'payload.items.1.id: Infinity'],
    [{ payload: { a: [[1], { b: 10n }] } }, 'payload.a.1.b: BigInt'],
    [{ payload: { a: { b: {} }, c: [undefined] } }, 'payload.c.0: undefined'],
    [{ payload: { bare: Object.assign(Object.create(null), { n: -1 / 0 }) } }, 'payload.bare.n: -Infinity'],
    [{ payload: () => 1 }, 'payload: Function'],
    [{ payload: [Symbol('x')] }, 'payload.0: Symbol'],
    [{ payload: { at: new Date(Number.NaN) } }, 'payload.at: an invalid Date'],
    [{ payload: new Map([['a', 1]]) }, 'payload: Map'],
    [{ payload: { a: new Set() } }, 'payload.a: Set'],
    [{ payload: [new Error('x')] }, 'payload.0: Error'],
    [{ payload: { bytes: new Uint8Array(2) } }, 'payload.bytes: Uint8Array'],
    [{ payload: { file: new Blob(['x']) } }, 'payload.file: Blob'],
    [{ payload: { later: Promise.resolve(1) } }, 'payload.later: Promise'],
    [{ payload: 1, options: { delayMs: Number.NaN } }, 'options.delayMs: NaN'],
  ])('that JSON cannot hold is a TypeError, by path, and is not sent: %#', async (rest, message) => {
    const { client, requests } = setUp()
    const lost = { type: 'countdown', ...rest }
    const submitted = client.submit({ ...lost, idempotencyKey: 'k' })
    await expect(submitted).rejects.toThrow(new TypeError(`JSON cannot hold ${message}`))
    const batch = client.submitBatch([submission, lost])
    await expect(batch).rejects.toThrow(new TypeError(`JSON cannot hold jobs.1.${message}`))
    expect(requests).toHaveLength(0)
  })

  it('is sent as JSON has it where nothing is lost', async () => {
    const { client, request } = setUp()
    const same = { deep: [1] }
    const payload = {
      at: new Date(0),
      left: undefined,
      point: new Point(),
      nothing: null,
      bare: Object.create(null),
      same,
      again: [same, same],
      own: { toJSON: () => 'mine' },
      boxed: new String('s'),
    }
    client.submit({ type: 'countdown', payload }).catch(() => {})
    expect(request().body).toEqual({
      type: 'countdown',
      payload: JSON.parse(JSON.stringify(payload)),
    })
    request().problem(503, 'unavailable')
    await pass(0)
    const round: { self?: unknown } = {}
    round.self = round
    await expect(client.submit({ type: 'countdown', payload: round })).rejects.toMatchObject({
      code: 'invalid_json',
    })
  })

  it('is sent once where it has no idempotency key', async () => {
    const { client, request, requests } = setUp()
    const submitted = client.submit(submission)
    request().problem(503, 'unavailable')
    await expect(submitted).rejects.toMatchObject({ code: 'unavailable' })
    expect(requests).toHaveLength(1)
  })

  it('is sent again with the same key until it is answered', async () => {
    const { client, request, requests } = setUp()
    const submitted = client.submit({ ...submission, idempotencyKey: 'k1' })
    request().breaks()
    await pass(1000)
    request().problem(503, 'outcome_unknown', { 'retry-after': '4' })
    await pass(3999)
    expect(requests).toHaveLength(2)
    await pass(1)
    expect(requests.map(({ headers }) => headers.get('idempotency-key'))).toEqual(['k1', 'k1', 'k1'])
    request().json(answer, 202)
    await expect(submitted).resolves.toMatchObject({ jobId: 'j1' })
  })

  it('is given up when the signal fires, after a minute, or where it is refused', async () => {
    const { client, request, requests } = setUp()
    const abort = new AbortController()
    const aborted = client.submit({ ...submission, idempotencyKey: 'k1', signal: abort.signal })
    request().breaks()
    await pass(100)
    abort.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'aborted' })

    const late = client.submit({ ...submission, idempotencyKey: 'k2' })
    const assertion = expect(late).rejects.toMatchObject({ code: 'network' })
    for (let ms = 0; ms <= 61_000; ms += 500) {
      request().breaks()
      await pass(500)
    }
    await assertion

    const refused = client.submit({ ...submission, idempotencyKey: 'k3' })
    request().problem(422, 'idempotency_mismatch')
    await expect(refused).rejects.toMatchObject({ code: 'idempotency_mismatch' })
    const before = requests.length
    const bad = client.submit({ ...submission, idempotencyKey: 'é'.repeat(3) })
    await expect(bad).rejects.toBeInstanceOf(JobcastError)
    expect(requests).toHaveLength(before)
  })
})

describe('the reconnect delay', () => {
  it('grows from half a second to ten', () => {
    expect([0, 1, 2, 3, 4, 5, 50].map((n) => reconnectDelayMs(n, () => 1))).toEqual([
      1000, 1500, 2500, 4500, 8500, 10_000, 10_000,
    ])
    expect(reconnectDelayMs(50, () => 0)).toBe(500)
    expect(reconnectDelayMs(50, () => 0.5)).toBe(5500)
  })

  it('begins anew after five seconds of being connected, and knows the floor', async () => {
    const attempts = new Attempts(() => 1)
    expect(attempts.over()).toMatchObject({ delayMs: 1000, repeated: false })
    attempts.worked()
    expect(attempts.over({ floorMs: 7000 })).toMatchObject({ delayMs: 7000, repeated: false })
    attempts.worked()
    await pass(5000)
    expect(attempts.over()).toMatchObject({ delayMs: 1000, repeated: false })
    expect(attempts.over({ counts: false })).toMatchObject({ delayMs: 1500, repeated: false })
    expect(attempts.over()).toMatchObject({ delayMs: 2500, repeated: false })
    expect(attempts.over()).toMatchObject({ delayMs: 4500, repeated: false })
    expect(attempts.over()).toMatchObject({ delayMs: 8500, repeated: true, brief: false })
  })

  it('tells connections that all opened and were cut soon from those that did not open', async () => {
    const attempts = new Attempts(() => 1)
    const cutSoon = () => {
      attempts.worked()
      return attempts.over()
    }
    await pass(1000)
    expect([cutSoon(), cutSoon()]).toMatchObject([
      { repeated: false },
      { repeated: false, since: performance.now() },
    ])
    await pass(1000)
    expect(cutSoon()).toMatchObject({ repeated: true, brief: true, since: performance.now() - 1000 })
    expect([cutSoon(), attempts.over(), cutSoon()].at(-1)).toMatchObject({ repeated: true, brief: false })
  })
})
