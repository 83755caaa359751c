import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { z } from 'zod'
import { createClient } from '../../client/client.ts'
import {
  type Authorize,
  createJobClient,
  createJobServer,
  defineJob,
  type JobServer,
  type JobServerOptions,
} from '../../server/index.ts'
import { freePort } from '../helpers/free-port.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { dataFolder } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const double = defineJob({
  type: 'double',
  payload: z.object({ n: z.number() }),
  run: ({ n }) => n * 2,
})
/** Ends when the test says so, or when it is told to. */
const gates = new Map<string, () => void>()
const gated = defineJob({
  type: 'gated',
  run: (_payload, { jobId, signal }) =>
    new Promise<string>((resolve, reject) => {
      gates.set(jobId, () => resolve('opened'))
      signal.addEventListener('abort', () => reject(signal.reason))
    }),
})
const failing = defineJob({
  type: 'failing',
  maxAttempts: 1,
  run() {
    throw new Error('no luck today')
  },
})
const jobs = [double, gated, failing]

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

const cleanups: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function makeServer(options: Partial<JobServerOptions<typeof jobs>> = {}): JobServer<typeof jobs> {
  const server = createJobServer({ jobs, store: 'memory', log: false, drainMs: 0, ...options })
  cleanups.push(() => server.stop())
  return server
}

const ask = (server: JobServer, path = '/readyz', init: RequestInit = {}) =>
  server.fetch(new Request(`http://localhost${path}`, init))

async function refusalOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof Error)) throw new Error('it was not refused')
  expect(error.message).not.toContain('\n')
  return error.message
}

describe('a server', () => {
  test('starts by whatever is called first, once, and is what it was after another start', async () => {
    const server = makeServer()
    const [answer, , job] = await Promise.all([
      ask(server),
      server.start(),
      server.client.submit({ type: 'double', payload: { n: 2 } }),
    ])
    await server.start()
    expect([answer.status, job.status]).toEqual([200, 'queued'])
    const { workers, gateways } = await server.client.overview()
    expect([workers.length, gateways.length]).toEqual([1, 1])
  })

  test('answers nothing once it was stopped, until it is started again', async () => {
    const server = makeServer()
    const { client } = server
    const { url } = await server.listen({ port: 0 })
    await Promise.all([server.stop(), server.stop()])
    await server.stop()
    const answer = await ask(server)
    expect([answer.status, (await answer.json()).detail]).toEqual([
      503,
      'the job server was stopped; start() starts it again',
    ])
    await expect(client.list()).rejects.toMatchObject({ code: 'closed' })
    await expect(server.token({ jobId: crypto.randomUUID(), rights: 'watch' })).rejects.toThrow(
      /jobId|stopped/,
    )
    await expect(fetch(url)).rejects.toThrow()
    await server.start()
    expect((await ask(server)).status).toBe(200)
    expect(await server.client.run({ type: 'double', payload: { n: 2 } })).toBe(4)
  })

  test('that is stopped while it starts is stopped once it has', async () => {
    const server = makeServer({ store: { redis: redis.url, prefix: 'brief' } })
    const starting = server.start()
    const stopping = server.stop()
    await starting
    await stopping
    expect((await ask(server)).status).toBe(503)
    const control = new Redis(redis.url)
    cleanups.push(() => control.disconnect())
    await until(async () => !String(await control.client('LIST')).includes('jobcast-'))
  })

  test('lets jobs end while it stops, and gives back what does not', async () => {
    const store = { redis: redis.url, prefix: 'drained' }
    const server = makeServer({ store, drainMs: 60_000 })
    const hasty = makeServer({ store, role: 'worker', drainMs: 0 })
    const { jobId } = await server.client.submit({ type: 'gated', payload: null })
    await until(() => gates.has(jobId))
    const watch = server.client.watch(jobId)
    const finished = watch.finished.catch((error: unknown) => error)
    const stopping = server.stop()
    gates.get(jobId)?.()
    await stopping
    // The client of a server ends with it.
    expect(await finished).toMatchObject({ code: 'closed' })
    await hasty.start()
    expect(await hasty.client.get(jobId)).toMatchObject({ status: 'completed', result: 'opened' })
    const other = await hasty.client.submit({ type: 'gated', payload: null })
    await until(() => gates.has(other.jobId))
    await hasty.stop()
    const reader = createJobClient({ redis: redis.url, prefix: 'drained', log: false })
    cleanups.push(() => reader.close())
    expect(await reader.get(other.jobId)).toMatchObject({ status: 'queued', attempt: 1 })
  })

  test('of 100 starts and stops nothing is left, and nothing of its process was touched', async () => {
    const folder = await dataFolder()
    cleanups.push(() => folder.remove())
    const stores = [{ sqlite: folder.path }, { redis: redis.url, prefix: 'again' }]
    const told = await Promise.all(stores.map((store) => startAndStop(store, 100)))
    for (const { first, last, reads, listeners, changed } of told) {
      expect([last.files, last.resources]).toEqual([first.files, first.resources])
      // What is compiled meanwhile takes a megabyte; the metrics alone of servers that are kept would take three, all of them ten.
      expect(last.heapBytes - first.heapBytes).toBeLessThan(2_500_000)
      expect(listeners.after).toEqual(listeners.before)
      expect(changed.filter((name) => !name.startsWith('__zod'))).toEqual([])
      expect(reads.filter((name) => /JOBCAST|REDIS|^PORT$|^HOST$/.test(name))).toEqual([])
    }
    const control = new Redis(redis.url)
    cleanups.push(() => control.disconnect())
    expect(String(await control.client('LIST'))).not.toContain('name=jobcast-')
  })
})

interface Left {
  readonly files: number
  readonly resources: readonly string[]
  readonly heapBytes: number
}

async function startAndStop(
  store: object,
  times: number,
): Promise<{
  first: Left
  last: Left
  reads: string[]
  listeners: Record<'before' | 'after', unknown>
  changed: string[]
}> {
  return JSON.parse(
    await outputOf('start-and-stop.mjs', ['--expose-gc'], [JSON.stringify(store), String(times)]),
  )
}

/** What a script beside the tests prints, once it has ended by itself. */
async function outputOf(script: string, options: string[], args: string[]): Promise<string> {
  const path = fileURLToPath(new URL(`../helpers/${script}`, import.meta.url))
  const child = spawn(process.execPath, [...options, path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${script} ended with ${code}: ${output}`)
  return output
}

describe('a start that cannot be', () => {
  test('says what to do about a Redis that is away, to everybody who asks, and may be tried again', async () => {
    const away = await startRedis()
    await away.kill()
    cleanups.push(() => away.stop())
    const told: string[] = []
    const server = makeServer({ store: { redis: away.url }, log: { error: (message) => told.push(message) } })
    const host = createServer((request, response) => server.handler(request, response)).listen(0, '127.0.0.1')
    await once(host, 'listening')
    cleanups.push(() => host.close())
    const { port } = host.address() as AddressInfo
    const [refused, answer, overHttp, submitted] = await Promise.all([
      refusalOf(server.start()),
      ask(server),
      fetch(`http://127.0.0.1:${port}/readyz`),
      server.client.submit({ type: 'double', payload: { n: 1 } }).catch((error: unknown) => error),
    ])
    expect(refused).toMatch(/start Redis, or correct store\.redis$/)
    // Where the store is concerns no caller.
    const detail = 'the job server did not start; its log says why'
    expect([answer.status, (await answer.json()).detail]).toEqual([503, detail])
    expect([overHttp.status, (await overHttp.json()).detail]).toEqual([503, detail])
    expect(submitted).toMatchObject({ code: 'unavailable', message: refused })
    expect(told).toContain(`the job server did not start: ${refused}`)
    await away.restart()
    await server.start()
    expect((await ask(server)).status).toBe(200)
  })

  test('says so of a folder that another server of the process has', async () => {
    const folder = await dataFolder()
    cleanups.push(() => folder.remove())
    const store = { sqlite: folder.path }
    await makeServer({ store }).start()
    expect(await refusalOf(makeServer({ store }).start())).toMatch(
      /in use by another Jobcast server of this process: stop it .* keeps its server in globalThis\), or set store\.sqlite to another folder$/,
    )
  })

  test('says so of a port that is taken, of a host that others reach, and of a second address', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    cleanups.push(() => taken.close())
    const { port } = taken.address() as AddressInfo
    const server = makeServer()
    expect(await refusalOf(server.listen({ port }))).toBe(
      `port ${port} is in use: end what listens there, or set port to another one`,
    )
    expect(await refusalOf(server.listen({ port: 0, host: '0.0.0.0' }))).toBe(
      'host 0.0.0.0 is reachable from other machines: set apiKeys or authorize, or use 127.0.0.1',
    )
    const { url } = await server.listen({ port: await freePort() })
    expect(await refusalOf(server.listen({ port }))).toBe(`it listens at ${url} already`)
    const open = makeServer({ authorize: () => null })
    expect((await open.listen({ port: 0, host: '0.0.0.0' })).url).toMatch(/^http:\/\/0\.0\.0\.0:\d+$/)
  })

  test.each([
    [{ concurency: 3 }, /^there is no option concurency; did you mean concurrency\?$/],
    [{ concurrency: 0 }, /^concurrency must be a whole number from 1 to 10000$/],
    [{ drainMs: '1 s' }, /^drainMs must be a whole number/],
    [{ role: 'boss' }, /^role must be one of all, api, worker$/],
    [{ role: 'api' }, /^role api needs store\.redis: /],
    [{ basePath: 'jobs' }, /^basePath must be a path such as \/jobs/],
    [{ store: 'redis://localhost' }, /^store must be \{ redis: /],
    [
      { store: { redis: 'http://user:hunter2@localhost' } },
      /^store\.redis must be an address such as redis:/,
    ],
    [{ store: { redis: 'redis://localhost', prefix: '{x}' } }, /^store\.prefix must be 1–64 letters/],
    [{ store: { sqlite: '' } }, /^store\.sqlite must be the path of a folder$/],
    [
      { apiKeys: [{ name: 'a', role: 'boss', key: 'hunter2' }] },
      /^apiKeys every entry must be name:role:key/,
    ],
    [{ allowedOrigins: ['example.com'] }, /^allowedOrigins every entry must be an origin/],
    [{ authorize: 'everybody' }, /^authorize must be a function$/],
    [{ log: 'loud' }, /^log must be false, or have functions such as warn and error, as console has$/],
    [{ jobs: double }, /^jobs must be an array of what defineJob returns$/],
    [{ jobs: [double, double] }, /^jobs has two definitions of type "double"$/],
    [{ jobs: [{ type: 'No' }] }, /^job definition "No": type/],
  ])('of %j is refused by its name at once', (options, message) => {
    const attempt = () => Reflect.apply(createJobServer, null, [{ jobs, ...options }])
    expect(attempt).toThrow(message)
    expect(attempt).not.toThrow(/hunter2|\n/)
  })

  test.each([[[]], [[null]], [[jobs]]])('that are no options, %j, are refused', (options) => {
    for (const call of [createJobServer, createJobClient]) {
      const message = `${call.name} takes an object of options, such as { `
      expect(() => Reflect.apply(call, null, options)).toThrow(message)
    }
  })

  test('of a default type that there is not is refused', async () => {
    expect(await refusalOf(makeServer({ defaultType: 'doubel' }).start())).toBe(
      'defaultType doubel is no job type: double, gated, failing',
    )
  })
})

describe('authorize', () => {
  const byCookie: Authorize = async (request) => {
    const cookie = request.headers.get('cookie') ?? ''
    if (cookie.includes('broken')) throw new Error('the session store is away')
    if (cookie.includes('odd')) return { role: 'king' } as never
    const name = /user=(\w+)/.exec(cookie)?.[1]
    return name === undefined ? null : { role: name === 'root' ? 'admin' : 'submit', name }
  }
  const submission = JSON.stringify({ type: 'gated', payload: null })
  const headers = { 'content-type': 'application/json' }
  const submit = (server: JobServer, more: Record<string, string>) =>
    ask(server, '/api/jobs', { method: 'POST', headers: { ...headers, ...more }, body: submission })

  test('lets in whom it knows, with what they may do, and nobody else', async () => {
    const told: string[] = []
    const server = makeServer({
      authorize: byCookie,
      apiKeys: 'ci:read:read-key',
      log: { error: (message, details) => told.push(message + JSON.stringify(details)) },
    })
    expect((await submit(server, {})).status).toBe(401)
    expect((await submit(server, { cookie: 'user=ada' })).status).toBe(202)
    expect((await submit(server, { cookie: 'user=ada', authorization: 'Bearer of-the-app' })).status).toBe(
      202,
    )
    // Who brings a key is who it says.
    expect((await submit(server, { cookie: 'user=ada', authorization: 'Bearer read-key' })).status).toBe(403)
    const pause = (cookie: string) =>
      ask(server, '/api/types/gated/pause', { method: 'POST', headers: { cookie } })
    expect((await pause('user=ada')).status).toBe(403)
    expect((await pause('user=root')).status).toBe(200)
    expect((await submit(server, { cookie: 'broken' })).status).toBe(500)
    expect((await submit(server, { cookie: 'odd' })).status).toBe(500)
    expect(told.join()).toMatch(
      /the session store is away[\s\S]*authorize must return null or \{ role, name \}/,
    )
  })

  test('is not asked by whoever has a token, which is good for one job', async () => {
    const asked = vi.fn(byCookie)
    const server = makeServer({ authorize: asked })
    const { jobId, token } = await (await submit(server, { cookie: 'user=ada' })).json()
    const calls = asked.mock.calls.length
    const as = (bearer: string, id = jobId) =>
      ask(server, `/api/jobs/${id}`, { headers: { authorization: `Bearer ${bearer}` } })
    expect((await as(token)).status).toBe(200)
    const watching = await server.token({ jobId, rights: 'watch', ttlMs: 60_000 })
    expect((await as(watching)).status).toBe(200)
    const cancel = (bearer: string) =>
      ask(server, `/api/jobs/${jobId}/cancel`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bearer}` },
      })
    expect((await cancel(watching)).status).toBe(403)
    const other = await (await submit(server, { cookie: 'user=bob' })).json()
    expect((await as(watching, other.jobId)).status).toBe(404)
    expect((await cancel(await server.token({ jobId, rights: 'control' }))).ok).toBe(true)
    expect(asked.mock.calls.length).toBe(calls + 1)
    await expect(server.token({ jobId: 'x', rights: 'watch' })).rejects.toThrow(TypeError)
    await expect(Reflect.apply(server.token, null, [{ jobId, rights: 'all' }])).rejects.toThrow(TypeError)
    await expect(Reflect.apply(server.token, null, [])).rejects.toThrow('token takes an object of options')
  })

  test('keeps the idempotency keys of its users apart', async () => {
    const server = makeServer({ authorize: byCookie })
    const as = async (cookie: string) =>
      (await (await submit(server, { cookie, 'idempotency-key': 'once' })).json()).jobId
    const first = await as('user=ada')
    expect(await as('user=ada')).toBe(first)
    expect(await as('user=bob')).not.toBe(first)
  })

  test('decides about WebSockets as well', async () => {
    const server = makeServer({ authorize: byCookie })
    const { url } = await server.listen({ port: 0 })
    const { jobId } = await server.client.submit({ type: 'gated', payload: null })
    const watch = (headers: Record<string, string>, token?: string) => {
      const client = createClient({
        baseUrl: url,
        transports: ['websocket'],
        WebSocket: class extends WebSocket {
          constructor(address: string | URL) {
            super(address, { headers })
          }
        },
      })
      cleanups.push(() => client.close())
      return client.watch(jobId, token === undefined ? {} : { token })
    }
    const known = watch({ cookie: 'user=ada' })
    await until(() => known.getSnapshot().phase === 'live')
    const bearer = watch({}, await server.token({ jobId, rights: 'watch' }))
    await until(() => bearer.getSnapshot().phase === 'live')
    await expect(watch({}).finished).rejects.toMatchObject({ code: 'unauthorized' })
    const upgraded = async (cookie: string) => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { headers: { cookie } })
      const [, answer] = await once(socket, 'unexpected-response')
      return answer.statusCode
    }
    expect(await upgraded('broken')).toBe(500)
  })
})

describe('the log', () => {
  const failOnce = async (log: JobServerOptions['log']) => {
    const server = makeServer({ log: log as never })
    const { jobId } = await server.client.submit({ type: 'failing', payload: null })
    await server.client.watch(jobId).finished
    return jobId
  }

  test('goes to the console where nothing else is said, a line for each warning, with the stack of what was thrown', async () => {
    const lines: string[] = []
    const spies = (['log', 'info', 'debug', 'warn', 'error'] as const).map((level) =>
      vi.spyOn(console, level).mockImplementation((text: unknown) => void lines.push(`${level}: ${text}`)),
    )
    cleanups.push(() => {
      for (const spy of spies) spy.mockRestore()
    })
    const server = createJobServer({ jobs, store: 'memory' })
    cleanups.push(() => server.stop())
    const { jobId } = await server.client.submit({ type: 'failing', payload: null })
    await server.client.watch(jobId).finished
    const told = lines.filter((line) => line.includes('run failed'))
    expect(told).toHaveLength(1)
    expect(told[0]).toMatch(new RegExp(`^warn: jobcast: run failed \\(jobId "${jobId}", type "failing", `))
    expect(told[0]).toMatch(/\nError: no luck today\n {4}at .*embedded-life\.test\.ts/)
    expect(lines.filter((line) => !line.startsWith('warn'))).toEqual([])
  })

  test('goes to what it is given, sentence first, and to pino the other way round', async () => {
    const warn = vi.fn()
    const jobId = await failOnce({ warn })
    expect(warn).toHaveBeenCalledWith('run failed', expect.objectContaining({ jobId, type: 'failing' }))
    const pinoWarn = vi.fn()
    const other = await failOnce(Object.assign({ warn: pinoWarn }, { bindings: () => ({}) }))
    expect(pinoWarn).toHaveBeenCalledWith(expect.objectContaining({ jobId: other }), 'run failed')
  })
})

describe('a client without a server', () => {
  test('submits, runs and watches, and knows what workers have registered', async () => {
    const prefix = 'producer'
    const worker = makeServer({ store: { redis: redis.url, prefix }, role: 'worker' })
    await worker.start()
    const client = createJobClient<typeof jobs>({ redis: redis.url, prefix, log: false })
    cleanups.push(() => client.close())
    expect(await client.run({ type: 'double', payload: { n: 2 } })).toBe(4)
    await expect(
      Reflect.apply(client.submit, client, [{ type: 'duoble', payload: { n: 2 } }]),
    ).rejects.toMatchObject({
      code: 'unknown_type',
      message: expect.stringContaining('did you mean double?'),
    })
    const { gateways, workers } = await client.overview()
    expect([gateways.length, workers.length]).toEqual([0, 1])
    client.close()
    await expect(client.list()).rejects.toMatchObject({ code: 'closed' })
  })

  test('checks payloads by definitions of its own, before any worker has ever been there', async () => {
    const client = createJobClient({ redis: redis.url, prefix: 'alone', jobs, log: false })
    cleanups.push(() => client.close())
    const { status } = await client.submit({ type: 'double', payload: { n: 2 } })
    expect(status).toBe('queued')
    await expect(client.submit({ type: 'double', payload: Object({}) })).rejects.toMatchObject({
      code: 'invalid_payload',
      errors: [{ path: 'payload.n', message: expect.any(String) }],
    })
  })

  test.each(['closed', 'open'])('lets its process end by itself: %s', async (end) => {
    const prefix = `ends-${end}`
    const worker = makeServer({ store: { redis: redis.url, prefix }, role: 'worker' })
    await worker.start()
    expect(await outputOf('producer.mjs', [], [redis.url, prefix, end])).toBe('6\n')
  })

  test('names the option that is wrong', () => {
    expect(() => createJobClient({ redis: 'localhost:6379' })).toThrow(/^redis must be an address such as/)
    expect(() => createJobClient({ redis: redis.url, prefix: '' })).toThrow(/^prefix must be 1–64/)
  })
})
