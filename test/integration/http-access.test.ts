import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SubmitAnswer, TokenAnswer } from '../../shared/api.ts'
import { HttpApp, KEYS, problemIn } from '../helpers/http-app.ts'

const ALLOWED = 'https://app.example'
const FOREIGN = 'https://evil.example'

describe('where API keys are set', () => {
  let app: HttpApp
  beforeAll(async () => {
    app = await HttpApp.start({ keys: KEYS, allowedOrigins: [ALLOWED], allowedHeaders: ['X-Tenant'] })
  })
  afterAll(() => app.stop())

  /** A job that is queued, or failed and so to be retried or removed. */
  async function job(state: 'queued' | 'failed', key = 'submit-key'): Promise<{ id: string; token: string }> {
    const response = await app.post('/api/jobs', { type: 'resize', payload: { width: 16 } }, { key })
    const { jobId, token } = SubmitAnswer.parse(await response.json())
    if (token === undefined) throw new Error('a submission came without a token')
    if (state === 'failed') {
      await app.fetch(`/api/jobs/${jobId}/cancel`, { method: 'POST', key })
    }
    return { id: jobId, token }
  }

  const watchToken = async (id: string) =>
    TokenAnswer.parse(await (await app.post(`/api/jobs/${id}/token`, undefined, { key: 'read-key' })).json())
      .token

  const single = { type: 'anything', payload: 1 }
  const CALLS = {
    list: ['GET', '/api/jobs'],
    types: ['GET', '/api/types'],
    overview: ['GET', '/api/overview'],
    metrics: ['GET', '/metrics'],
    submit: ['POST', '/api/jobs', single],
    classic: ['POST', '/api/jobs/submit', single],
    batch: ['POST', '/api/jobs/batch', { jobs: [single] }],
    pause: ['POST', '/api/types/spare/pause'],
    resume: ['POST', '/api/types/spare/resume'],
    get: ['GET', '/api/jobs/:id'],
    poll: ['GET', '/api/jobs/:id?after=x.1'],
    events: ['GET', '/api/jobs/:id/events'],
    token: ['POST', '/api/jobs/:id/token'],
    cancel: ['POST', '/api/jobs/:id/cancel'],
    retry: ['POST', '/api/jobs/:id/retry'],
    remove: ['DELETE', '/api/jobs/:id'],
  } as const
  type CallName = keyof typeof CALLS
  const reads = {
    list: 200,
    types: 200,
    overview: 200,
    metrics: 200,
    get: 200,
    poll: 200,
    events: 200,
    token: 200,
  }
  const all = (status: number) =>
    Object.fromEntries(Object.keys(CALLS).map((name) => [name, status])) as Record<CallName, number>
  const submits = { submit: 202, classic: 202, batch: 202, cancel: 202, retry: 202 }
  const onOwnJob = { get: 200, poll: 200, events: 200, token: 200 }
  const onAnothers = { get: 404, poll: 404, events: 404, token: 404, cancel: 404, retry: 404, remove: 404 }

  const MATRIX: [string, Record<CallName, number>][] = [
    ['nobody', all(401)],
    ['a wrong key', all(401)],
    ['a forged token', all(401)],
    ['read-key', { ...all(403), ...reads }],
    ['submit-key', { ...all(403), ...reads, ...submits }],
    ['admin-key', { ...reads, ...submits, pause: 200, resume: 200, remove: 204 }],
    ['its token', { ...all(403), ...onOwnJob, cancel: 202 }],
    ['its watch-only token', { ...all(403), ...onOwnJob }],
    ["another job's token", { ...all(403), ...onAnothers }],
  ]
  const cases = MATRIX.flatMap(([who, row]) =>
    (Object.keys(CALLS) as CallName[]).map((name) => [who, name, row[name]] as const),
  )

  test.each(cases)('%s calling %s is answered %i', async (who, name, status) => {
    const { id, token } = await job(name === 'retry' || name === 'remove' ? 'failed' : 'queued')
    const [method, path, body] = CALLS[name]
    const credentials: Record<string, () => Promise<string>> = {
      'a wrong key': async () => 'submit-keyy',
      'a forged token': async () => `${token.slice(0, -6)}AAAAAA`,
      'its token': async () => token,
      'its watch-only token': () => watchToken(id),
      "another job's token": async () => (await job('queued')).token,
    }
    const key = who === 'nobody' ? undefined : await (credentials[who]?.() ?? who)
    const abort = new AbortController()
    const response = await app.fetch(path.replace(':id', id), {
      method,
      signal: abort.signal,
      ...(key !== undefined && { key }),
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    expect(response.status).toBe(status)
    const codes: Record<number, string> = { 401: 'unauthorized', 403: 'forbidden', 404: 'not_found' }
    if (codes[status]) expect((await problemIn(response)).code).toBe(codes[status])
    if (status === 401) expect(response.headers.get('www-authenticate')).toMatch(/^Bearer\b/)
    abort.abort()
  })

  test('a missing key is asked for plainly, a bad one is named so', async () => {
    expect((await app.fetch('/api/jobs')).headers.get('www-authenticate')).toBe('Bearer')
    const wrong = await app.fetch('/api/jobs', { key: 'nope' })
    expect(wrong.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
    const basic = await app.fetch('/api/jobs', { headers: { authorization: 'Basic cmVhZC1rZXk6' } })
    expect(basic.status).toBe(401)
    expect((await app.fetch('/api/jobs', { headers: { authorization: 'bearer read-key' } })).status).toBe(200)
  })

  test('what needs no key is open', async () => {
    for (const path of ['/healthz', '/readyz', '/openapi.json', '/']) {
      expect([path, (await app.fetch(path)).status]).toEqual([path, 200])
    }
  })

  test('credentials are judged before the body is read', async () => {
    const raw = await app.raw(
      'POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\nConnection: close\r\n\r\n',
    )
    expect(raw).toMatch(/^HTTP\/1\.1 401 /)
    expect((await app.post('/api/jobs', '{', { key: 'read-key' })).status).toBe(403)
  })

  test('the rights of a token come from its issuer', async () => {
    const { id, token } = await job('queued')
    const handOn = async (key: string) =>
      TokenAnswer.parse(await (await app.post(`/api/jobs/${id}/token`, undefined, { key })).json()).token
    const cancel = async (key: string) =>
      (await app.post(`/api/jobs/${id}/cancel`, undefined, { key })).status
    expect(await cancel(await handOn(await watchToken(id)))).toBe(403)
    expect(await cancel(await handOn(await handOn(token)))).toBe(202)
    const unknown = await app.post('/api/jobs/0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11/token', undefined, {
      key: 'read-key',
    })
    expect(unknown.status).toBe(404)
  })

  test('an event stream takes its token from the query, other calls do not', async () => {
    const { id, token } = await job('failed')
    expect((await app.fetch(`/api/jobs/${id}/events?token=${token}`)).status).toBe(200)
    expect((await app.fetch(`/api/jobs/${id}/events?token=`)).status).toBe(401)
    expect((await app.fetch(`/api/jobs/${id}/events?token=x`)).status).toBe(401)
    expect((await app.fetch(`/api/jobs/${id}?token=${token}`)).status).toBe(401)
    const json = await app.fetch(`/api/jobs/${id}/events?token=${token}`, {
      headers: { accept: 'application/json' },
    })
    expect(await json.json()).toMatchObject({ mode: 'snapshot', status: 'cancelled' })
  })

  test('tokens never reach the events that logs are made of', async () => {
    const { id, token } = await job('failed')
    const seen: unknown[] = []
    app.events.on('http.answered', (answer) => seen.push(answer))
    await (await app.fetch(`/api/jobs/${id}/events?token=${token}`)).text()
    expect(seen).toMatchObject([{ method: 'GET', route: '/api/jobs/:id/events', status: 200 }])
    expect(JSON.stringify(seen)).not.toContain(token)
  })

  test('every item of a batch has its token', async () => {
    const response = await app.post('/api/jobs/batch', { jobs: [single, single] }, { key: 'submit-key' })
    const { jobs } = (await response.json()) as { jobs: SubmitAnswer[] }
    for (const { jobId, token } of jobs) {
      expect((await app.fetch(`/api/jobs/${jobId}`, { key: token ?? '' })).status).toBe(200)
    }
  })

  describe('pages of other origins', () => {
    test('may change nothing', async () => {
      for (const [method, path] of [
        ['POST', '/api/types/spare/pause'],
        ['POST', '/api/jobs'],
        ['DELETE', '/api/jobs/0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11'],
      ] as const) {
        for (const origin of [FOREIGN, 'null', `${ALLOWED}.evil.example`, 'http://app.example']) {
          const response = await app.fetch(path, { method, key: 'admin-key', headers: { origin } })
          expect(response.headers.get('access-control-allow-origin')).toBeNull()
          expect(await problemIn(response)).toMatchObject({ status: 403, code: 'forbidden' })
        }
      }
    })

    test('may call, and read what the protocol has in headers, where they are allowed', async () => {
      const headers = { origin: ALLOWED, 'content-type': 'application/json' }
      const response = await app.post('/api/jobs', single, { key: 'submit-key', headers })
      expect(response.status).toBe(202)
      expect(response.headers.get('access-control-allow-origin')).toBe(ALLOWED)
      expect(response.headers.get('vary')).toContain('Origin')
      const exposed = response.headers.get('access-control-expose-headers')?.split(/, */) ?? []
      for (const name of ['Location', 'ETag', 'Idempotency-Replayed', 'Preference-Applied', 'Retry-After']) {
        expect(exposed).toContain(name)
      }
      const refused = await app.fetch('/api/jobs/nope', { key: 'read-key', headers })
      expect(refused.status).toBe(404)
      expect(refused.headers.get('access-control-allow-origin')).toBe(ALLOWED)
    })

    test('may not read a GET unless they are allowed', async () => {
      const foreign = await app.fetch('/api/jobs', { key: 'read-key', headers: { origin: FOREIGN } })
      expect(foreign.status).toBe(200)
      expect(foreign.headers.get('access-control-allow-origin')).toBeNull()
    })

    test('ask in advance', async () => {
      const preflight = (origin: string, path = '/api/jobs') =>
        app.fetch(path, {
          method: 'OPTIONS',
          headers: {
            origin,
            'access-control-request-method': 'POST',
            'access-control-request-headers': 'authorization,content-type,idempotency-key,prefer',
          },
        })
      const response = await preflight(ALLOWED)
      expect(response.status).toBe(204)
      expect(response.headers.get('access-control-allow-origin')).toBe(ALLOWED)
      expect(response.headers.get('access-control-allow-methods')).toContain('POST')
      const headers = response.headers.get('access-control-allow-headers')?.toLowerCase().split(', ')
      expect(headers).toEqual(expect.arrayContaining(['idempotency-key', 'last-event-id', 'x-tenant']))
      const onJob = await preflight(ALLOWED, '/api/jobs/0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11')
      expect(onJob.headers.get('access-control-allow-methods')).toBe('GET, HEAD, DELETE, OPTIONS')
      const foreign = await preflight(FOREIGN)
      expect(foreign.headers.get('access-control-allow-origin')).toBeNull()
      expect(foreign.headers.get('access-control-allow-methods')).toBeNull()
    })
  })

  test('any Host is answered', async () => {
    const answer = await app.raw('GET /healthz HTTP/1.1\r\nHost: jobs.example\r\nConnection: close\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  })
})

test('an expired token is 401', async () => {
  const app = await HttpApp.start({ keys: KEYS, tokenTtlMs: -1000 })
  try {
    const { links, token = '' } = await app.submit({}, 'submit-key')
    const response = await app.fetch(links.self, { key: token })
    expect(await problemIn(response)).toMatchObject({ status: 401, code: 'unauthorized' })
    expect((await app.fetch(`${links.events}?token=${token}`)).status).toBe(401)
  } finally {
    await app.stop()
  }
})

describe('without API keys', () => {
  let app: HttpApp
  beforeAll(async () => {
    app = await HttpApp.start()
  })
  afterAll(() => app.stop())

  const get = (host: string, path = '/api/jobs') =>
    app.raw(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)

  test.each(['evil.example', 'localhost.evil.example', '192.168.0.1', '127.0.0.1.nip.io', '0.0.0.0'])(
    'the Host %s is refused',
    async (host) => {
      for (const path of ['/api/jobs', '/', '/metrics', '/api/nothing']) {
        const answer = await get(host, path)
        expect(answer).toMatch(/^HTTP\/1\.1 403 /)
        expect(answer).toContain('"code":"forbidden"')
      }
    },
  )

  const LOCAL = [
    ...['localhost', 'localhost:3000', 'LOCALHOST', 'localhost.:3000', '127.0.0.1:1', '127.1:3000'],
    ...['[::1]:3000', '[0:0:0:0:0:0:0:1]:3000', '[0000::0001]', '[::FFFF:127.0.0.1]:443'],
  ]

  test.each(LOCAL)('the Host %s is answered', async (host) => {
    expect(await get(host)).toMatch(/^HTTP\/1\.1 200 /)
  })

  test.each(['[::2]:3000', '[::1]evil.example', '[evil.example]', '[::1]@evil.example'])(
    'the Host %s is not',
    async (host) => {
      expect(await get(host)).toMatch(/^HTTP\/1\.1 40[03] /)
    },
  )

  test('a foreign Origin changes nothing all the same, its own does', async () => {
    const pause = (origin: string) =>
      app.fetch('/api/types/spare/pause', { method: 'POST', headers: { origin } })
    expect((await problemIn(await pause(FOREIGN))).code).toBe('forbidden')
    expect((await pause(app.url)).status).toBe(200)
  })

  test('a credential is neither asked for nor looked at', async () => {
    expect((await app.fetch('/api/jobs', { key: 'whatever' })).status).toBe(200)
  })
})
