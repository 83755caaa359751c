import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { text as readText } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createSockets, type Sockets } from '../../server/gateway/transports/websocket/server.ts'
import { createApp } from '../../server/http/app.ts'
import { HEADERS_OF_PROBLEMS } from '../../server/http/openapi.ts'
import { Problem } from '../../shared/api.ts'
import { PROBLEMS } from '../../shared/codes.ts'
import { JOB } from '../../shared/job.ts'
import { LABELS, POLICY, TIMES } from '../../shared/options.ts'
import { SocketParameters } from '../../shared/query.ts'
import type { Table } from '../../shared/table.ts'
import { complaints } from '../helpers/declared.ts'
import { HttpApp, KEYS, problemIn } from '../helpers/http-app.ts'

const Reference = z.object({ $ref: z.string() })
const Operation = z.object({
  operationId: z.string(),
  summary: z.string().min(1),
  parameters: z
    .array(
      z.object({
        name: z.string(),
        in: z.enum(['path', 'query', 'header']),
        required: z.boolean().optional(),
      }),
    )
    .default([]),
  requestBody: z.object({ content: z.record(z.string(), z.object({ schema: z.unknown() })) }).optional(),
  responses: z.record(
    z.string().regex(/^[1-5]\d\d$/),
    z.object({
      description: z.string().min(1),
      headers: z.record(z.string(), z.unknown()).optional(),
      content: z.record(z.string(), z.object({ schema: z.unknown() })).optional(),
    }),
  ),
})
const Document = z.object({
  openapi: z.string().regex(/^3\.1\./),
  info: z.object({ title: z.literal('Jobcast'), version: z.literal('9.9.9') }),
  paths: z.record(z.string().startsWith('/'), z.partialRecord(z.enum(['get', 'post', 'delete']), Operation)),
  components: z.object({
    schemas: z.record(z.string(), z.unknown()),
    securitySchemes: z.record(z.string(), z.unknown()),
  }),
})

let app: HttpApp
let text: string
let document: z.infer<typeof Document>
beforeAll(async () => {
  app = await HttpApp.start()
  const response = await app.fetch('/openapi.json')
  expect(response.headers.get('content-type')).toBe('application/json')
  text = await response.text()
  document = Document.parse(JSON.parse(text))
})
afterAll(() => app.stop())

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )

/** An address of the path, asked for with these parameters. */
function addressOf(path: string, names: readonly string[]): string {
  const address = path.replace('{id}', '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11').replace('{type}', 'resize')
  return `${address}?${new URLSearchParams(names.map((name) => [name, '1']))}`
}

/** A page of an allowed origin may send what a route reads, and read what it answers. */
test('a page may use every header that is declared', async () => {
  const named = (response: Response, header: string) =>
    response.headers.get(header)?.toLowerCase().split(', ')
  const origin = { origin: app.url }
  const preflight = await app.fetch('/api/jobs', {
    method: 'OPTIONS',
    headers: { ...origin, 'access-control-request-method': 'POST' },
  })
  const readable = named(await app.fetch('/healthz', { headers: origin }), 'access-control-expose-headers')
  for (const { path, headers, answers } of app.routes) {
    // A browser sends and reads those of a WebSocket itself.
    for (const name of path === '/ws' ? [] : Object.keys(headers?.shape ?? {}))
      expect(named(preflight, 'access-control-allow-headers')).toContain(name.toLowerCase())
    // Anybody may read the one (Fetch standard, section CORS-safelisted response-header name), and a proxy alone the other.
    for (const name of Object.values(answers).flatMap((one) => Object.keys(one.headers?.shape ?? {})))
      if (!['Cache-Control', 'X-Accel-Buffering'].includes(name))
        expect(readable).toContain(name.toLowerCase())
  }
  for (const name of Object.values(HEADERS_OF_PROBLEMS).flatMap((one) => Object.keys(one?.shape ?? {})))
    if (!name.startsWith('Accept')) expect(readable).toContain(name.toLowerCase())
})

describe('an upgrade of /ws', () => {
  let guarded: HttpApp
  let sockets: Sockets
  beforeAll(async () => {
    guarded = await HttpApp.start({ keys: KEYS })
    const { server, hub, auth, events, deps } = guarded
    const { reach, origins } = deps
    sockets = createSockets({ hub, reach, auth, events, origins, maxConnections: 1 })
    sockets.attach(server)
  })
  afterAll(async () => {
    await sockets.stop()
    await guarded.stop()
  })

  /** The answer to it, refused or not. */
  async function upgrade(query: string, headers: Record<string, string> = {}, method = 'GET') {
    const request = httpRequest(`${guarded.url}/ws${query}`, {
      method,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        ...headers,
      },
    })
    const answered = new Promise<{ message: IncomingMessage; socket?: Duplex }>((resolve, reject) => {
      request.on('response', (message) => resolve({ message }))
      request.on('upgrade', (message, socket) => resolve({ message, socket }))
      request.on('error', reject).end()
    })
    const { message, socket } = await answered
    return { message, socket, body: socket === undefined ? await readText(message) : null }
  }

  async function expectDeclared(status: number, ...asked: Parameters<typeof upgrade>) {
    const { message, socket, body } = await upgrade(...asked)
    const headers = new Headers()
    for (const [name, value] of Object.entries(message.headers)) headers.set(name, String(value))
    const route = guarded.routes.find(({ path }) => path === '/ws')
    expect(message.statusCode).toBe(status)
    if (body === null) expect(Object.keys(route?.answers ?? {})).toContain('101')
    else {
      const response = new Response(body, { status, headers })
      const answered = { method: 'GET', target: '/ws', response, body }
      expect(complaints(guarded.routes, answered)).toEqual([])
    }
    return { socket, problem: body === null ? null : Problem.parse(JSON.parse(body)) }
  }

  test('takes exactly the parameters that are described', async () => {
    const { parameters = [] } = document.paths['/ws']?.get ?? {}
    const names = parameters.filter((one) => one.in === 'query').map(({ name }) => name)
    expect(names).toEqual(Object.keys(SocketParameters.shape))
    const asked = new URLSearchParams([...names, 'nope'].map((name) => [name, '1']))
    const { problem } = await expectDeclared(400, `?${asked}`)
    expect(problem?.errors?.map(({ path }) => path)).toEqual(['nope'])
  })

  test('is answered as declared', async () => {
    await expectDeclared(400, '?nope=1')
    await expectDeclared(401, '', { authorization: 'Bearer wrong' })
    await expectDeclared(403, '', { origin: 'https://elsewhere.example' })
    await expectDeclared(405, '', {}, 'DELETE')
    const { socket } = await expectDeclared(101, '')
    await expectDeclared(429, '')
    socket?.destroy()
    sockets.drain()
    await expectDeclared(503, '')
  })
})

describe('/openapi.json', () => {
  test('has exactly the routes of the app', () => {
    const served = createApp({ ...app.deps, pageFolder: null }).routes.map(
      ({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`,
    )
    const described = operations().map(({ method, path }) => `${method.toUpperCase()} ${path}`)
    expect(described.sort()).toEqual(served.sort())
  })

  test('has exactly the parameters that are accepted, on every address', async () => {
    for (const { path, method, operation } of operations()) {
      const names = operation.parameters.filter((one) => one.in === 'query').map(({ name }) => name)
      // An unknown one is named in the answer, and those that are described are not.
      const response = await app.fetch(addressOf(path, [...names, 'nope']), { method: method.toUpperCase() })
      const { errors } = await problemIn(response)
      const unknown = errors?.filter(({ message }) => message === 'is no parameter of this call')
      expect([path, method, unknown?.map((one) => one.path)]).toEqual([path, method, ['nope']])
    }
  })

  test('has no reference that leads nowhere, and every path parameter', () => {
    const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, target]) => target ?? '')
    expect(references.length).toBeGreaterThan(10)
    expect(Object.keys(document.components.schemas).filter((name) => /^__|Output$/.test(name))).toEqual([])
    for (const target of new Set(references)) {
      expect(target).toMatch(/^#\/components\/schemas\//)
      expect(document.components.schemas).toHaveProperty([target.slice('#/components/schemas/'.length)])
    }
    for (const { path, operation } of operations()) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const declared = operation.parameters.filter((one) => one.in === 'path')
      expect(declared.map(({ name }) => name)).toEqual(inPath)
      expect(declared.every(({ required }) => required === true)).toBe(true)
    }
    const ids = operations().map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('names every problem, each under its status', () => {
    const named = new Set<string>()
    for (const { operation } of operations()) {
      for (const [status, { description, content }] of Object.entries(operation.responses)) {
        if (content?.['application/problem+json'] === undefined) continue
        for (const [, code = ''] of description.matchAll(/`(\w+)`/g)) {
          expect(PROBLEMS).toHaveProperty(code, Number(status))
          named.add(code)
        }
      }
    }
    // Told before a request reaches any route.
    expect([...named, 'headers_too_large'].sort()).toEqual(Object.keys(PROBLEMS).sort())
  })

  test('names the headers of the protocol', () => {
    const { post, get } = document.paths['/api/jobs'] ?? {}
    expect(Object.keys(post?.responses[202]?.headers ?? {})).toEqual([
      'Location',
      'Preference-Applied',
      'Idempotency-Replayed',
    ])
    expect(Object.keys(post?.responses[200]?.headers ?? {})).toContain('Preference-Applied')
    expect(Object.keys(post?.responses[503]?.headers ?? {})).toEqual(['Retry-After'])
    expect(post?.parameters.map(({ name }) => name)).toEqual(['Idempotency-Key', 'Prefer'])
    expect(get?.parameters.map(({ name }) => name)).toEqual([
      'type',
      'status',
      'tag',
      'limit',
      'page',
      'full',
    ])
    const job = document.paths['/api/jobs/{id}']?.get
    expect(Object.keys(job?.responses[304]?.headers ?? {})).toEqual(['ETag', 'Cache-Control'])
    expect(Object.keys(job?.responses[405]?.headers ?? {})).toEqual(['Allow'])
    expect(Object.keys(job?.responses[401]?.headers ?? {})).toEqual(['WWW-Authenticate'])
  })

  test('lets any JSON be a payload', () => {
    const Submit = z.object({
      properties: z.object({ payload: z.object({ description: z.string() }).strict() }),
      required: z.array(z.string()),
    })
    const submit = Submit.parse(document.components.schemas.SubmitBody)
    expect(submit.required).toEqual(['type', 'payload'])
    expect(
      Reference.safeParse(
        document.paths['/api/jobs']?.post?.requestBody?.content['application/json']?.schema,
      ),
    ).toMatchObject({
      // Of a known type; any other may be sent as well.
      data: { $ref: '#/components/schemas/Submission' },
    })
  })
})

test('says of every field of a job and of every option what it is for', () => {
  const Described = z.object({ properties: z.record(z.string(), z.object({ description: z.string() })) })
  const described = (name: string) =>
    Object.entries(Described.parse(document.components.schemas[name]).properties).map(
      ([field, { description }]) => [field, description],
    )
  const abouts = (rows: Table) => Object.entries(rows).map(([field, { about }]) => [field, about])
  expect(described('Job')).toEqual(abouts(JOB))
  expect(described('SubmitOptions')).toEqual(abouts({ ...TIMES, ...POLICY, ...LABELS }))
})
