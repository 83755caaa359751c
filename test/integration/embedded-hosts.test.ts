import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import { Hono } from 'hono'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { z } from 'zod'
import { createClient } from '../../client/client.ts'
import type { TransportName } from '../../client/transports/link.ts'
import { createJobServer, defineJob, type JobServer, type JobServerOptions } from '../../server/index.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/until.ts'

const double = defineJob({
  type: 'double',
  payload: z.object({ n: z.number() }),
  async run({ n }, context) {
    context.progress(50)
    context.log('half')
    return n * 2
  },
})
const patient = defineJob({
  type: 'patient',
  run: (_payload, { signal }) =>
    new Promise<null>((resolve) => signal.addEventListener('abort', () => resolve(null))),
})
const jobs = [double, patient]

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

/** Before any server was made here. */
const ofRuntime = { request: globalThis.Request, response: globalThis.Response }

const cleanups: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function makeServer(options: Partial<JobServerOptions<typeof jobs>> = {}): JobServer<typeof jobs> {
  const server = createJobServer({ jobs, store: 'memory', log: false, drainMs: 0, ...options })
  cleanups.push(() => server.stop())
  return server
}

/** Makes a program of its own listen, with whatever it answers itself. */
async function serve(listener: RequestListener, jobServer?: JobServer): Promise<string> {
  const host = createServer(listener)
  if (jobServer !== undefined) {
    host.on('upgrade', (request, socket, head) => {
      if (!jobServer.upgrade(request, socket, head)) socket.end('HTTP/1.1 426 Upgrade Required\r\n\r\n')
    })
  }
  return listen(host)
}

async function listen(host: Server): Promise<string> {
  host.listen(0, '127.0.0.1')
  await once(host, 'listening')
  cleanups.push(() => {
    host.closeAllConnections()
    return new Promise((resolve) => host.close(resolve))
  })
  const address = host.address()
  if (address === null || typeof address === 'string') throw new Error('it does not listen')
  return `http://127.0.0.1:${address.port}`
}

interface Host {
  readonly name: string
  /** Where the server is told to be, and where its callers find it. */
  readonly basePath: string
  readonly at: string
  readonly transports: readonly TransportName[]
  open(server: JobServer): Promise<string>
}

const ALL: readonly TransportName[] = ['websocket', 'sse', 'long-poll', 'polling']
const WITHOUT_SOCKETS: readonly TransportName[] = ['sse', 'long-poll', 'polling']

const HOSTS: readonly Host[] = [
  {
    name: 'node:http',
    basePath: '',
    at: '',
    transports: ALL,
    open: (server) => serve((request, response) => server.handler(request, response), server),
  },
  {
    name: 'node:http, under a base path',
    basePath: '/jobs',
    at: '/jobs',
    transports: ALL,
    open: (server) =>
      serve((request, response) => server.handler(request, response, () => response.end('mine')), server),
  },
  {
    name: 'Express, behind its parser of JSON',
    basePath: '/jobs',
    at: '/jobs',
    transports: ALL,
    open: (server) => serve(express().use(express.json()).use(server.handler), server),
  },
  {
    name: 'Express, mounted at the base path',
    basePath: '/in/jobs',
    at: '/in/jobs',
    transports: ALL,
    open: (server) => serve(express().use('/in/jobs', server.handler), server),
  },
  {
    name: 'Express, mounted where the server knows of none',
    basePath: '',
    at: '/elsewhere',
    transports: WITHOUT_SOCKETS,
    open: (server) => serve(express().use('/elsewhere', server.handler)),
  },
  {
    name: 'Hono',
    basePath: '/api/jobs',
    at: '/api/jobs',
    transports: WITHOUT_SOCKETS,
    open: (server) => {
      const app = new Hono().all('/api/jobs/*', ({ req }) => server.fetch(req.raw))
      return serve(getRequestListener(app.fetch, { overrideGlobalObjects: false }))
    },
  },
  {
    name: 'Hono, mounted with its requests as they are',
    basePath: '/jobs',
    at: '/jobs',
    transports: WITHOUT_SOCKETS,
    open: (server) => {
      const app = new Hono().mount('/jobs', server.fetch, { replaceRequest: false })
      return serve(getRequestListener(app.fetch, { overrideGlobalObjects: false }))
    },
  },
  {
    name: 'a port of its own',
    basePath: '/jobs',
    at: '/jobs',
    transports: ALL,
    open: async (server) => new URL((await server.listen({ port: 0 })).url).origin,
  },
]

describe.each(HOSTS)('in $name', ({ basePath, at, transports, open }) => {
  test.each(transports)('a job is submitted, and watched over %s', async (transport) => {
    const server = makeServer({ basePath })
    const origin = await open(server)
    const client = createClient<typeof jobs>({
      baseUrl: origin + at,
      transports: [transport],
      WebSocket,
    })
    cleanups.push(() => client.close())
    const { jobId } = await client.submit({ type: 'double', payload: { n: 21 } })
    const watch = client.watch(jobId, { history: true })
    const job = await watch.finished
    expect(job.status === 'completed' && job.type === 'double' && job.result).toBe(42)
    const { transport: carrier, events } = watch.getSnapshot()
    expect(carrier).toBe(transport)
    if (transport === 'websocket' || transport === 'sse') {
      expect(events.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['log', 'status']))
    }
  })

  test('calls with and without a body, refusals, the page and the description are there', async () => {
    const server = makeServer({ basePath })
    const root = (await open(server)) + at
    const post = (path: string, body?: string) =>
      fetch(root + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        ...(body && { body }),
      })
    const submitted = await post('/api/jobs', JSON.stringify({ type: 'patient', payload: null }))
    expect(submitted.status).toBe(202)
    const { jobId, links } = await submitted.json()
    const self = new URL(links.self, root)
    expect((await fetch(self)).status).toBe(200)
    expect((await post(`/api/jobs/${jobId}/cancel`, '{}')).ok).toBe(true)
    expect((await post(`/api/jobs/${jobId}/cancel`)).status).toBeLessThan(500)
    const wrong = await post('/api/jobs', JSON.stringify({ type: 'double', payload: { n: 'one' } }))
    expect([wrong.status, (await wrong.json()).code]).toEqual([400, 'invalid_payload'])
    const lost = await fetch(`${root}/api/nowhere`)
    expect(lost.status).toBe(404)
    expect((await fetch(`${root}/openapi.json`)).status).toBe(200)
    expect((await fetch(`${root}/readyz`)).status).toBe(200)
    expect((await fetch(`${root}/`, { headers: { accept: 'text/html' } })).status).toBe(200)
    expect((await fetch(`${root}/api/types`, { method: 'HEAD' })).status).toBe(200)
  })

  test('an event stream ends with its reader', async () => {
    const server = makeServer({ basePath })
    const root = (await open(server)) + at
    const { jobId } = await server.client.submit({ type: 'patient', payload: null })
    const leave = new AbortController()
    const stream = await fetch(`${root}/api/jobs/${jobId}/events`, { signal: leave.signal })
    await stream.body?.getReader().read()
    await until(async () => (await streamsOf(server)) === 1)
    leave.abort()
    await until(async () => (await streamsOf(server)) === 0)
  })
})

/** Open event streams, as the overview tells of this gateway. */
async function streamsOf(server: JobServer): Promise<number | undefined> {
  const { body } = await textOf(server)
  return Number(/^jobcast_gateway_connections\{transport="sse"\} (\d+)$/m.exec(body)?.[1] ?? 0)
}

async function textOf(server: JobServer): Promise<{ body: string }> {
  for (const path of ['', '/jobs', '/in/jobs', '/api/jobs']) {
    const response = await server.fetch(new Request(`http://localhost${path}/metrics`))
    if (response.ok) return { body: await response.text() }
  }
  throw new Error('there are no metrics')
}

describe('what is not the server’s', () => {
  test('is left to the program, at any address', async () => {
    const server = makeServer({ basePath: '/jobs' })
    const app = express()
    app.use(server.handler)
    app.get(['/', '/jobsite', '/api/jobs'], (_request, response) => void response.send('mine'))
    const origin = await serve(app, server)
    for (const path of ['/', '/jobsite', '/api/jobs'])
      expect(await (await fetch(origin + path)).text()).toBe('mine')
    expect((await fetch(`${origin}/jobs/api/nothing`)).status).toBe(404)
    const other = new WebSocket(`${origin.replace('http', 'ws')}/other`)
    const [refusal] = await once(other, 'unexpected-response').then(([, response]) => [response])
    expect(refusal.statusCode).toBe(426)
  })

  test('is left to the program without a base path as well, where it is at no address of the server', async () => {
    const server = makeServer({ dashboard: false })
    const app = express()
    app.use(server.handler)
    app.get(['/', '/mine'], (_request, response) => void response.send('mine'))
    const origin = await serve(app)
    for (const path of ['/', '/mine']) expect(await (await fetch(origin + path)).text()).toBe('mine')
    expect((await fetch(`${origin}/api/types`)).status).toBe(200)
    expect((await fetch(`${origin}/api/types`, { method: 'PUT' })).status).toBe(405)
  })

  test('is 404 where nobody else is there', async () => {
    const server = makeServer({ basePath: '/jobs' })
    const origin = await serve((request, response) => server.handler(request, response))
    const answer = await fetch(`${origin}/api/jobs`)
    expect([answer.status, (await answer.json()).detail]).toEqual([
      404,
      'what there is here begins with /jobs/',
    ])
    expect((await server.fetch(new Request('http://localhost/api/jobs'))).status).toBe(404)
  })
})

describe('a body that was read before', () => {
  test('and is nowhere to be found is told of in the log and to the caller', async () => {
    const told: string[] = []
    const server = makeServer({
      log: { error: (message, details) => told.push(message, JSON.stringify(details)) },
    })
    const app = express()
    app.use((request, _response, next) => request.resume().once('end', next))
    app.use(server.handler)
    const origin = await serve(app)
    const body = JSON.stringify({ type: 'double', payload: { n: 1 } })
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${origin}/api/jobs`, { method: 'POST', headers, body })
    expect(answer.status).toBe(500)
    expect(told.join()).toContain('put its handler before whatever reads bodies')
    const request = new Request('http://localhost/api/jobs', { method: 'POST', headers, body })
    await request.text()
    expect((await server.fetch(request)).status).toBe(500)
  })

  test('as text or bytes is taken as it is', async () => {
    for (const parser of [express.text({ type: '*/*' }), express.raw({ type: '*/*' })]) {
      const server = makeServer()
      const origin = await serve(express().use(parser).use(server.handler))
      const body = JSON.stringify({ type: 'double', payload: { n: 12345678901234567890n } }, (_key, value) =>
        typeof value === 'bigint' ? '#' : value,
      ).replace('"#"', '12345678901234567890')
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(`${origin}/api/jobs`, { method: 'POST', headers, body })
      expect([answer.status, (await answer.json()).code]).toEqual([400, 'invalid_payload'])
    }
  })
})

describe('fetch', () => {
  test('gives a response of the runtime, and leaves its classes alone', async () => {
    const { request, response } = ofRuntime
    const server = makeServer()
    const answer = await server.fetch(new Request('http://localhost/api/types'))
    expect(answer).toBeInstanceOf(response)
    expect(Object.getPrototypeOf(answer)).toBe(response.prototype)
    await server.listen({ port: 0 })
    expect(globalThis.Request).toBe(request)
    expect(globalThis.Response).toBe(response)
  })

  test('ends an event stream with the signal of its request, and once its body is cancelled', async () => {
    const server = makeServer()
    const { jobId } = await server.client.submit({ type: 'patient', payload: null })
    const url = `http://localhost/api/jobs/${jobId}/events`
    const leave = new AbortController()
    const stream = await server.fetch(new Request(url, { signal: leave.signal }))
    const other = await server.fetch(new Request(url))
    await until(async () => (await streamsOf(server)) === 2)
    leave.abort()
    await until(async () => (await streamsOf(server)) === 1)
    expect(stream.status).toBe(200)
    await other.body?.cancel()
    await until(async () => (await streamsOf(server)) === 0)
  })

  test('lets go of a long-poll with the signal of its request', async () => {
    const server = makeServer()
    const { jobId } = await server.client.submit({ type: 'patient', payload: null })
    const running = await until(async () => {
      const job = await server.client.get(jobId)
      return job.status === 'processing' ? job : undefined
    })
    const leave = new AbortController()
    const url = `http://localhost/api/jobs/${jobId}?after=${running.cursor}&wait=25`
    const polled = server.fetch(new Request(url, { signal: leave.signal }))
    const polls = async () => /connections\{transport="poll"\} 1$/m.test((await textOf(server)).body)
    await until(polls)
    leave.abort()
    expect((await polled).status).toBe(499)
  })

  test('bounds a body that has no length, and a large answer is the same', async () => {
    const server = makeServer({ maxBytes: 300_000 })
    const headers = { 'content-type': 'application/json' }
    let pieces = 0
    const long = new ReadableStream({
      pull(controller) {
        pieces += 1
        if (pieces > 20) controller.close()
        else controller.enqueue(new Uint8Array(65_536))
      },
    })
    const request = new Request('http://localhost/api/jobs', {
      method: 'POST',
      headers,
      body: long,
      duplex: 'half',
    } as RequestInit)
    expect((await server.fetch(request)).status).toBe(413)
    expect(pieces).toBeLessThan(10)
    const text = 'ä'.repeat(100_000)
    const { jobId } = await server.client.submit({ type: 'patient', payload: { text } })
    const answer = await server.fetch(new Request(`http://localhost/api/jobs/${jobId}`))
    const length = Number(answer.headers.get('content-length'))
    const body = await answer.text()
    expect(JSON.parse(body).payload).toEqual({ text })
    expect(length).toBe(Buffer.byteLength(body))
  })
})

describe('several servers in one process', () => {
  test('on one Redis share its jobs; with prefixes of their own they know nothing of each other', async () => {
    const store = { redis: redis.url, prefix: 'shared' }
    const api = makeServer({ store, role: 'api' })
    const worker = makeServer({ store, role: 'worker' })
    const apart = makeServer({ store: { redis: redis.url, prefix: 'apart' } })
    await Promise.all([worker.start(), apart.start()])
    expect(await api.client.run({ type: 'double', payload: { n: 4 } })).toBe(8)
    const overview = await api.client.overview()
    expect([overview.workers.length, overview.gateways.length]).toEqual([1, 1])
    expect((await apart.client.list()).jobs).toEqual([])
    // A worker shows itself to probes, and nothing else to nobody.
    expect((await worker.fetch(new Request('http://localhost/healthz'))).status).toBe(200)
    expect((await worker.fetch(new Request('http://localhost/api/jobs'))).status).toBe(404)
    expect(await worker.client.run({ type: 'double', payload: { n: 5 } })).toBe(10)
  })

  test('in two memories have two', async () => {
    const one = makeServer()
    const other = makeServer()
    await one.client.run({ type: 'double', payload: { n: 1 } })
    expect((await other.client.list()).jobs).toEqual([])
  })
})
