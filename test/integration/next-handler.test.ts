import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createClient } from '../../client/index.ts'
import { type Access, createHandler, type HandlerOptions } from '../../next/index.ts'
import { createJobServer, defineJob } from '../../server/index.ts'
import { Problem, SubmitAnswer } from '../../shared/api.ts'
import { Job } from '../../shared/job.ts'
import { freePort } from '../helpers/free-port.ts'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

/** The handler in front of the built server, behind Node's HTTP as a framework puts it there. */
const KEY = 'the-key-of-the-app'
const MOUNT = '/api/jobcast'

let server: ServerProcess
let data: Awaited<ReturnType<typeof dataFolder>>
beforeAll(async () => {
  data = await dataFolder()
  server = await startServer({
    JOBCAST_DATA: data.path,
    ...SAMPLES,
    JOBCAST_API_KEYS: `app:submit:${KEY},boss:admin:boss-key`,
  })
})
afterAll(async () => {
  await server?.stop()
  await data?.remove()
})

interface App {
  readonly url: string
  /** With the handler's path before it. */
  call(path: string, init?: RequestInit): Promise<Response>
}

/** An app whose handler stands at `/api/jobcast`, or everywhere that `createHandler` knows. */
async function app(
  options: Partial<HandlerOptions> & { readonly access?: Access | null } = {},
): Promise<App> {
  const { access = { role: 'submit' } as const, ...given } = options
  const handlers = createHandler({
    url: server.url,
    key: KEY,
    authorize: () => access,
    ...given,
  } as HandlerOptions)
  const front = createServer((incoming, outgoing) => void serve(handlers, incoming, outgoing))
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  onTestFinished(() => close(front))
  const url = `http://127.0.0.1:${(front.address() as AddressInfo).port}`
  return { url, call: (path, init) => fetch(url + MOUNT + path, init) }
}

/** Signals fire when the caller is gone, as those of a framework do. */
async function serve(
  handlers: ReturnType<typeof createHandler>,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const gone = new AbortController()
  outgoing.once('close', () => gone.abort())
  const method = incoming.method as keyof typeof handlers
  const reads = incoming.method === 'GET'
  const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
    method,
    headers: Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
    signal: gone.signal,
    ...(reads ? {} : { body: Readable.toWeb(incoming) as ReadableStream, duplex: 'half' }),
  })
  const response = await handlers[method](request)
  outgoing.writeHead(response.status, [...response.headers].flat())
  outgoing.flushHeaders()
  for await (const bytes of response.body ?? []) outgoing.write(bytes)
  outgoing.end()
}

async function close(front: Server): Promise<void> {
  front.closeAllConnections()
  front.close()
  await once(front, 'close')
}

const json = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
})
const countdown = (payload: object = { steps: 1, stepMs: 0 }) => json({ type: 'countdown', payload })
const slow = { steps: 10_000, stepMs: 20 }

async function submit(one: App, payload?: object): Promise<SubmitAnswer & { token: string }> {
  const response = await one.call('/api/jobs', countdown(payload))
  expect(response.status).toBe(202)
  const answer = SubmitAnswer.parse(await response.json())
  return { ...answer, token: answer.token ?? '' }
}

async function refusal(response: Response): Promise<string> {
  const { code, status } = Problem.parse(await response.json())
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  return code
}

describe('calls that get through', () => {
  test('a job is submitted with the key of the app, and its links lead through the handler', async () => {
    const one = await app()
    const response = await one.call('/api/jobs', countdown())
    const { jobId, links } = SubmitAnswer.parse(await response.json())
    expect(response.headers.get('location')).toBe(`${MOUNT}/api/jobs/${jobId}`)
    expect(links.self).toBe(`${MOUNT}/api/jobs/${jobId}`)
    const found = await fetch(one.url + links.self)
    expect(Job.parse(await found.json()).jobId).toBe(jobId)
  })

  test.each([MOUNT, `/shop${MOUNT}`])(
    'links begin with the basePath of an app of Next, at %s',
    async (at) => {
      const { POST } = createHandler({ url: server.url, key: KEY, authorize: () => ({ role: 'submit' }) })
      const request = new Request(`http://app${at}/api/jobs`, countdown())
      const response = await POST(Object.assign(request, { nextUrl: { basePath: '/shop' } }))
      expect(response.headers.get('location')).toMatch(`/shop${MOUNT}/api/jobs/`)
    },
  )

  test('the client submits, watches and gets the result, over server-sent events alone', async () => {
    const one = await app({ access: { submit: ['countdown'] } })
    const sockets: string[] = []
    class NoSocket {
      constructor(url: string) {
        sockets.push(url)
        throw new Error('there is no WebSocket')
      }
    }
    const client = createClient({ baseUrl: one.url + MOUNT, WebSocket: NoSocket as never, fetch })
    onTestFinished(() => client.close())
    const { jobId } = await client.submit({
      type: 'countdown',
      payload: { steps: 3, stepMs: 20, logs: true },
    })
    const watch = client.watch(jobId, { history: true })
    const lines: unknown[] = []
    for await (const event of watch) if (event.kind === 'log') lines.push(event.data)
    expect(await watch.finished).toMatchObject({ status: 'completed', result: { steps: 3 } })
    expect(lines).toHaveLength(3)
    expect(sockets).toEqual([])
  })

  test('a batch, a conditional read, a held poll, a cancel', async () => {
    const one = await app()
    const batch = await one.call('/api/jobs/batch', json({ jobs: [{ type: 'countdown', payload: slow }] }))
    const { jobs } = (await batch.json()) as { jobs: SubmitAnswer[] }
    const jobId = jobs[0]?.jobId ?? ''
    await until(async () => (await (await one.call(`/api/jobs/${jobId}`)).text()).includes('"processing"'))
    const cancelled = await one.call(`/api/jobs/${jobId}/cancel`, { method: 'POST' })
    expect(cancelled.status).toBe(202)
    const { cursor } = Job.parse(await cancelled.json())
    const held = await one.call(`/api/jobs/${jobId}?after=${cursor}&wait=20`)
    expect(await held.json()).toMatchObject({ status: 'cancelled', mode: 'resume' })
    const read = await one.call(`/api/jobs/${jobId}`)
    const etag = read.headers.get('etag') ?? ''
    const again = await one.call(`/api/jobs/${jobId}`, { headers: { 'if-none-match': etag } })
    expect(again.status).toBe(304)
  })

  test('problems of the server come as they are', async () => {
    const one = await app()
    const response = await one.call('/api/jobs', countdown({ steps: -1 }))
    expect(await response.json()).toMatchObject({
      code: 'invalid_payload',
      errors: [{ path: 'payload.steps' }],
    })
  })

  test('the poller of submit and poll runs as it stands, at the address that it has', async () => {
    const one = await app({ access: { submit: ['countdown'], watch: 'any' } })
    const states: string[] = []
    const api = one.url
    async function runJob(payload: unknown): Promise<unknown> {
      const submitted = await fetch(`${api}/api/jobs/submit`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ payload }),
      })
      if (submitted.status !== 202) throw new Error(`submit failed: ${submitted.status}`)
      const { jobId, token } = (await submitted.json()) as { jobId: string; token: string }
      for (;;) {
        const response = await fetch(`${api}/api/jobs/${jobId}`, {
          headers: { Authorization: `Bearer ${token}` },
        })
        const job = (await response.json()) as { status: string; result: unknown; error: string }
        states.push(job.status)
        if (job.status === 'completed') return job.result
        if (job.status === 'failed') throw new Error(job.error)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    expect(await runJob({ steps: 5, stepMs: 30 })).toEqual({ steps: 5 })
    expect(states.at(-1)).toBe('completed')
    expect(states).toContain('processing')
  })
})

describe('who may', () => {
  test('nobody whom authorize does not let in, but whoever has a job token may use it', async () => {
    const { jobId, token } = await submit(await app(), slow)
    const one = await app({ access: null })
    expect(await refusal(await one.call('/api/jobs', countdown()))).toBe('unauthorized')
    expect(await refusal(await one.call(`/api/jobs/${jobId}`))).toBe('unauthorized')
    const authorization = `Bearer ${token}`
    expect((await one.call(`/api/jobs/${jobId}`, { headers: { authorization } })).status).toBe(200)
    const stream = await one.call(`/api/jobs/${jobId}/events?token=${token}`)
    expect(stream.status).toBe(200)
    await stream.body?.cancel()
    const other = await submit(await app())
    expect(await refusal(await one.call(`/api/jobs/${other.jobId}`, { headers: { authorization } }))).toBe(
      'not_found',
    )
    // A token is for its job: of other calls it says nothing, and authorize is asked.
    expect(await refusal(await one.call('/api/jobs', { headers: { authorization } }))).toBe('unauthorized')
    for (const [method, rest] of [
      ['DELETE', ''],
      ['POST', '/retry'],
    ] as const) {
      const response = await one.call(`/api/jobs/${jobId}${rest}`, { method, headers: { authorization } })
      expect(response.status).toBe(401)
    }
    const forged = `${token.slice(0, -6)}AAAAAA`
    const response = await one.call(`/api/jobs/${jobId}`, { headers: { authorization: `Bearer ${forged}` } })
    expect(await refusal(response)).toBe('unauthorized')
    const cancelled = await one.call(`/api/jobs/${jobId}/cancel`, {
      method: 'POST',
      headers: { authorization },
    })
    expect(cancelled.status).toBe(202)
  })

  test('authorize sees the request as it came: cookies, and a bearer that is no job token', async () => {
    const seen: (string | null)[] = []
    const one = await app({
      authorize(request: Request) {
        seen.push(request.headers.get('cookie'), request.headers.get('authorization'))
        return { role: 'read' }
      },
    })
    const headers = { cookie: 'session=1', authorization: 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln' }
    expect((await one.call('/api/jobs', { headers })).status).toBe(200)
    expect(seen).toEqual([headers.cookie, headers.authorization])
  })

  test.each([
    { access: { role: 'read' }, list: 200, get: 200, submit: 403, cancel: 403, remove: 403, pause: 403 },
    { access: { role: 'submit' }, list: 200, get: 200, submit: 202, cancel: 202, remove: 403, pause: 403 },
    { access: { role: 'admin' }, list: 200, get: 200, submit: 202, cancel: 202, remove: 204, pause: 200 },
    { access: { submit: true }, list: 403, get: 401, submit: 202, cancel: 401, remove: 403, pause: 403 },
    {
      access: { submit: true, watch: 'any' },
      list: 403,
      get: 200,
      submit: 202,
      cancel: 202,
      remove: 403,
      pause: 403,
    },
  ] as const)('$access', async ({ access, ...expected }) => {
    const admin = await app({ key: 'boss-key', access: { role: 'admin' } })
    const { jobId } = await submit(admin, slow)
    const one = await app({ key: 'boss-key', access })
    const post = { method: 'POST' }
    const statuses = {
      list: (await one.call('/api/jobs?limit=1')).status,
      get: (await one.call(`/api/jobs/${jobId}`)).status,
      submit: (await one.call('/api/jobs', countdown())).status,
      cancel: (await one.call(`/api/jobs/${jobId}/cancel`, post)).status,
      remove: 0,
      pause: (await one.call('/api/types/nobodys/pause', post)).status,
    }
    if (expected.cancel !== 202) await admin.call(`/api/jobs/${jobId}/cancel`, post)
    await until(async () => (await (await admin.call(`/api/jobs/${jobId}`)).text()).includes('"cancelled"'))
    statuses.remove = (await one.call(`/api/jobs/${jobId}`, { method: 'DELETE' })).status
    expect(statuses).toEqual(expected)
  })

  test('only the types that it may submit, in batches too, and what was looked at is what is sent', async () => {
    const one = await app({ access: { submit: ['countdown'] } })
    const status = async (path: string, body: string) =>
      (await one.call(path, { ...json(null), body })).status
    expect(await status('/api/jobs', '{"type":"render","payload":{}}')).toBe(403)
    expect(await status('/api/jobs', '{"type":"countdown","payload":{},"type":"render"}')).toBe(403)
    const both = '{"jobs":[{"type":"countdown","payload":{}},{"type":"render","payload":{}}]}'
    expect(await status('/api/jobs/batch', both)).toBe(403)
    expect(await status('/api/jobs', '{"payload":{}}')).toBe(202)
    expect(await status('/api/jobs', 'no json')).toBe(400)
    // Digits that would change are the server's to refuse, and must not have changed on the way.
    expect(await status('/api/jobs', '{"payload":{"steps":9007199254740993}}')).toBe(400)
    const several = await app({ access: { submit: ['countdown', 'render'] } })
    expect((await several.call('/api/jobs', json({ payload: {} }))).status).toBe(403)
  })

  test.each([{ role: 'root' }, { role: 'admin', submit: ['countdown'] }])(
    'an answer of authorize that is none is told to whoever wrote it: %j',
    async (answer) => {
      const { POST } = createHandler({ url: server.url, authorize: () => answer as never })
      const request = new Request('http://app/api/jobcast/api/jobs', { method: 'POST', body: '{}' })
      await expect(POST(request)).rejects.toThrow(`it returned ${JSON.stringify(answer)}`)
    },
  )
})

describe('what does not get through', () => {
  /** Answers what it was asked. */
  async function echo(): Promise<{ url: string; asked: IncomingMessage[] }> {
    const asked: IncomingMessage[] = []
    const target = createServer((incoming, outgoing) => {
      asked.push(incoming)
      outgoing.writeHead(200, {
        'set-cookie': 'upstream=1',
        connection: 'keep-alive, x-hop',
        'x-hop': '1',
        'x-other': '1',
      })
      outgoing.end('{}')
    })
    target.listen(0, '127.0.0.1')
    await once(target, 'listening')
    onTestFinished(() => close(target))
    return { url: `http://127.0.0.1:${(target.address() as AddressInfo).port}`, asked }
  }

  test('cookies and headers of one connection, in both directions', async () => {
    const { url, asked } = await echo()
    const one = await app({ url: `${url}/jobs/` })
    const headers = { cookie: 'session=1', 'x-forwarded-prefix': '/evil', 'x-api-key': 'k', te: 'trailers' }
    const response = await one.call('/api/jobs?limit=1', { headers })
    expect(asked[0]?.url).toBe('/jobs/api/jobs?limit=1')
    expect(asked[0]?.headers).toMatchObject({ authorization: `Bearer ${KEY}` })
    for (const name of Object.keys(headers)) expect(asked[0]?.headers).not.toHaveProperty(name)
    expect(response.headers.get('x-other')).toBe('1')
    expect(response.headers.get('x-hop')).toBeNull()
    expect(response.headers.get('set-cookie')).toBeNull()
  })

  test('parameters of the route that the framework adds to the query', async () => {
    const { url, asked } = await echo()
    const { GET } = createHandler({ url, authorize: () => ({ role: 'read' }) })
    const params = Promise.resolve({ path: ['api', 'jobs'] })
    for (const query of ['limit=1&path=api&path=jobs', 'limit=1&path=x']) {
      const request = new Request(`http://app${MOUNT}/api/jobs?${query}`)
      await Reflect.apply(GET, null, [request, { params }])
    }
    expect(asked.map((one) => one.url)).toEqual(['/api/jobs?limit=1', '/api/jobs?limit=1&path=x'])
  })

  test.each([
    '/metrics',
    '/',
    '/openapi.json',
    '/api/../metrics',
    '/api/jobs/%2e%2e/%2e%2e/metrics',
    '/api/jobs/..%2f..%2fmetrics',
    '/api/jobs/..%5cmetrics',
    '/api/jobs//example.com/',
    '/api/jobs/%00',
    '/api/jobsx',
    '//example.com/api/jobs',
  ])('%s', async (path) => {
    const { url, asked } = await echo()
    const { GET } = createHandler({ url, authorize: () => ({ role: 'admin' }) })
    const response = await GET(new Request(`http://app${MOUNT}${path}`))
    expect(await refusal(response)).toBe('not_found')
    expect(asked).toEqual([])
  })

  test('what changes something for a page of another origin', async () => {
    const one = await app()
    const from = (headers: Record<string, string>) =>
      one.call('/api/jobs', json({ type: 'countdown', payload: { steps: 1, stepMs: 0 } }, headers))
    expect(
      await refusal(await from({ origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' })),
    ).toBe('forbidden')
    expect(await refusal(await from({ origin: 'https://evil.example' }))).toBe('forbidden')
    expect((await from({ origin: one.url, 'sec-fetch-site': 'same-origin' })).status).toBe(202)
    expect((await from({ origin: one.url })).status).toBe(202)
  })
})

describe('streams and time', () => {
  const streamOf = (one: App, jobId: string, signal?: AbortSignal) =>
    one.call(`/api/jobs/${jobId}/events`, {
      headers: { accept: 'text/event-stream' },
      ...(signal && { signal }),
    })

  async function readers(): Promise<number> {
    const response = await fetch(`${server.url}/metrics`, { headers: { authorization: 'Bearer boss-key' } })
    return Number(
      /^jobcast_gateway_connections{transport="sse"} (\d+)/m.exec(await response.text())?.[1] ?? 0,
    )
  }

  test('a caller that goes away ends the stream at the server too', async () => {
    const one = await app()
    const { jobId } = await submit(one, slow)
    const leave = new AbortController()
    const stream = await streamOf(one, jobId, leave.signal)
    expect(stream.headers.get('cache-control')).toContain('no-transform')
    await stream.body?.getReader().read()
    await until(async () => (await readers()) === 1, { what: 'the stream to be open' })
    leave.abort()
    await until(async () => (await readers()) === 0, { what: 'the stream to be over' })
  })

  test('a stream ends within maxDuration behind a whole event, and asks to come back at once', async () => {
    const one = await app({ maxDuration: 5 })
    const { jobId } = await submit(one, slow)
    const text = await (await streamOf(one, jobId)).text()
    expect(text).toMatch(/\n\nretry: 200\n\n$/)
    const ids = [...text.matchAll(/^id: (.+)$/gm)]
    expect(ids.length).toBeGreaterThan(1)
    const poll = await one.call(`/api/jobs/${jobId}?after=${ids.at(-1)?.[1]}&wait=0`)
    expect(await poll.json()).toMatchObject({ mode: 'resume' })
  })

  test('a held answer is held for less than maxDuration', async () => {
    const one = await app({ maxDuration: 5 })
    const response = await one.call('/api/jobs', {
      ...countdown(slow),
      headers: { 'content-type': 'application/json', prefer: 'wait=20' },
    })
    expect(response.status).toBe(202)
    const { jobId } = (await response.json()) as { jobId: string }
    const held = await one.call(`/api/jobs/${jobId}?after=none&wait=20`)
    expect(held.status).toBe(200)
  })
})

describe('a server that does not answer', () => {
  test('is told to the page as something that passes, and to whoever runs the app once', async () => {
    const complaints = vi.spyOn(console, 'error').mockImplementation(() => {})
    onTestFinished(() => complaints.mockRestore())
    const url = `http://127.0.0.1:${await freePort()}`
    const one = await app({ url })
    const response = await one.call('/api/jobs', countdown())
    expect(response.headers.get('retry-after')).toBe('1')
    expect(await refusal(response)).toBe('unavailable')
    const stream = await one.call('/api/jobs/x/events', { headers: { accept: 'text/event-stream' } })
    expect(stream.status).toBe(200)
    expect(await stream.text()).toMatch(/^: unavailable: .*\nretry: 2000\n\n$/)
    expect(complaints.mock.calls).toEqual([
      [`createHandler: Jobcast cannot be reached at ${url} (ECONNREFUSED); "npx jobcast dev" starts one`],
    ])
  })

  test.each([
    { key: undefined, says: 'asks for an API key: give one as key' },
    { key: 'wrong', says: 'does not know the key that it was given' },
  ])('to this key ($key) is an error of the app, not of the page', async ({ key, says }) => {
    const complaints = vi.spyOn(console, 'error').mockImplementation(() => {})
    onTestFinished(() => complaints.mockRestore())
    const one = await app({ key })
    expect(await refusal(await one.call('/api/jobs', countdown()))).toBe('internal_error')
    expect(complaints.mock.calls[0]?.[0]).toContain(says)
  })

  const authorize = () => null
  const mistakes: [object, string][] = [
    [{}, 'authorize is missing'],
    [{ authorize, uri: 'x' }, 'there is no option uri'],
    [{ authorize: true }, 'authorize must be a function'],
    [{ server: { fetch }, key: 'x' }, 'authorize is missing'],
    [{ authorize, url: 'http://x', server: { fetch } }, 'give one of them'],
    [{ server: {} }, 'must be what createJobServer returns'],
    [{ authorize, maxDuration: 1 }, 'maxDuration must be a number'],
  ]
  test.each(mistakes)('an option that is a mistake is told at the call: %s', (options, says) => {
    expect(() => createHandler(options as never)).toThrow(says)
  })

  test.each(['jobs.example.com', 'ftp://x', 'http://x?a'])(
    'url %s is told at the first call',
    async (url) => {
      const { GET } = createHandler({ url, authorize: () => ({ role: 'read' }) })
      await expect(GET(new Request(`http://app${MOUNT}/api/jobs`))).rejects.toThrow(
        `url must be the address of Jobcast, such as "http://127.0.0.1:3300"; it is "${url}"`,
      )
    },
  )
})

describe('a server of the same process', () => {
  const double = defineJob({ type: 'double', run: (payload) => 2 * Number(payload) })
  const ask = (handlers: ReturnType<typeof createHandler>, path: string, init?: RequestInit) => {
    const request = new Request(`https://app.example.com${MOUNT}${path}`, init)
    return request.method === 'POST' ? handlers.POST(request) : handlers.GET(request)
  }

  test('is asked without a network, as far as the app permits', async () => {
    const embedded = createJobServer({ jobs: [double], store: 'memory', log: false })
    onTestFinished(() => embedded.stop())
    const handlers = createHandler({
      server: embedded,
      authorize: ({ headers }) => (headers.has('cookie') ? { submit: ['double'], watch: 'any' } : null),
    })
    expect(await refusal(await ask(handlers, '/api/jobs', json({ payload: 21 })))).toBe('unauthorized')
    const cookie = 'session=1'
    const { jobId, links } = await (
      await ask(handlers, '/api/jobs', json({ payload: 21 }, { cookie }))
    ).json()
    expect(links.self).toBe(`${MOUNT}/api/jobs/${jobId}`)
    const headers = { cookie, accept: 'text/event-stream' }
    const stream = await ask(handlers, `/api/jobs/${jobId}/events`, { headers })
    expect(await stream.text()).toContain('"result":42')
    expect(await refusal(await ask(handlers, '/api/jobs', { headers }))).toBe('forbidden')
    // It has no keys, and so would take any token for good.
    const forged = `e30.${btoa(JSON.stringify({ job: jobId, rights: 'control' }))}.x`
    const authorization = `Bearer ${forged}`
    expect(await refusal(await ask(handlers, `/api/jobs/${jobId}`, { headers: { authorization } }))).toBe(
      'unauthorized',
    )
    expect(await refusal(await ask(handlers, `/api/jobs/${jobId}/events?token=${forged}`))).toBe(
      'unauthorized',
    )
  })

  test('a body without end is not read to its end', async () => {
    const embedded = createJobServer({ jobs: [double], store: 'memory', log: false })
    onTestFinished(() => embedded.stop())
    const handlers = createHandler({ server: embedded, authorize: () => ({ submit: ['double'] }) })
    const chunk = new Uint8Array(1024 * 1024).fill(0x20)
    let chunks = 0
    const body = new ReadableStream({
      pull(controller) {
        chunks += 1
        if (chunks > 100) controller.close()
        else controller.enqueue(chunk)
      },
    })
    const endless = { method: 'POST', body, duplex: 'half' } as RequestInit
    expect(await refusal(await ask(handlers, '/api/jobs', endless))).toBe('payload_too_large')
    expect(chunks).toBeLessThan(40)
  })

  test('a token that nobody checks opens nothing', async () => {
    const embedded = createJobServer({ jobs: [double], store: 'memory', log: false })
    onTestFinished(() => embedded.stop())
    const { jobId } = await embedded.client.submit({ type: 'double', payload: 1 })
    const handlers = createHandler({ server: embedded, authorize: () => null })
    const authorization = `Bearer x.${btoa(JSON.stringify({ job: jobId, rights: 'control' }))}.x`
    for (const token of ['', 'x', authorization.slice(7)])
      expect(await refusal(await ask(handlers, `/api/jobs/${jobId}/events?token=${token}`))).toBe(
        'unauthorized',
      )
    expect(await refusal(await ask(handlers, `/api/jobs/${jobId}`, { headers: { authorization } }))).toBe(
      'unauthorized',
    )
    const cancel = { method: 'POST', headers: { authorization } }
    expect(await refusal(await ask(handlers, `/api/jobs/${jobId}/cancel`, cancel))).toBe('unauthorized')
  })

  test('decides by itself where the app does not, by the request as it came', async () => {
    const seen: string[] = []
    const embedded = createJobServer({
      jobs: [double],
      store: 'memory',
      log: false,
      authorize(request) {
        seen.push(`${new URL(request.url).host} ${request.headers.get('cookie')}`)
        return { role: 'submit' }
      },
    })
    onTestFinished(() => embedded.stop())
    const handlers = createHandler({ server: embedded })
    const submitted = await ask(
      handlers,
      '/api/jobs',
      json({ type: 'double', payload: 1 }, { cookie: 'session=1' }),
    )
    expect(submitted.status).toBe(202)
    expect(seen).toEqual(['app.example.com session=1'])
  })
})
