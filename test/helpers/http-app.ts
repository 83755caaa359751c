import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { type ApiKey, Auth } from '../../server/auth/auth.ts'
import { createOriginPolicy } from '../../server/auth/origin.ts'
import { createReach, type TrustProxy } from '../../server/auth/reach.ts'
import type { Claim, Engine, Outcome } from '../../server/engine/engine.ts'
import { createSqliteEngine } from '../../server/engine/sqlite/engine.ts'
import { createEvents, type Events } from '../../server/events.ts'
import { Hub } from '../../server/gateway/hub.ts'
import { type AppDeps, allRoutes, createApp } from '../../server/http/app.ts'
import type { Route } from '../../server/http/route.ts'
import { createHttpServer } from '../../server/http/server.ts'
import { defineJob, type JobDefinition } from '../../server/jobs/define-job.ts'
import { TypeRegistry } from '../../server/jobs/registry.ts'
import { createMetrics } from '../../server/metrics.ts'
import { Problem, SubmitAnswer } from '../../shared/api.ts'
import { complaints } from './declared.ts'

export const KEYS: ApiKey[] = [
  { name: 'reader', role: 'read', key: 'read-key' },
  { name: 'writer', role: 'submit', key: 'submit-key' },
  { name: 'writer-two', role: 'submit', key: 'submit-key-two' },
  { name: 'boss', role: 'admin', key: 'admin-key' },
]

/** `resize` has a schema and policies of its own, `anything` takes any JSON. Nothing runs them: tests claim by hand. */
const DEFINITIONS: JobDefinition[] = [
  defineJob({
    type: 'resize',
    payload: z.strictObject({ width: z.int().min(16).max(2048) }),
    priority: 3,
    backoff: { kind: 'fixed', delayMs: 250 },
    timeoutMs: 5000,
    concurrency: 2,
    run: () => null,
  }),
  defineJob({ type: 'anything', run: () => null }),
]

export interface HttpAppOptions {
  readonly keys?: readonly ApiKey[]
  readonly allowedOrigins?: readonly string[]
  readonly allowedHeaders?: readonly string[]
  readonly maxBytes?: number
  readonly defaultType?: string
  readonly pageFolder?: string
  readonly tokenTtlMs?: number
  readonly basePath?: string
  readonly trustProxy?: TrustProxy
  readonly holdMs?: number
  /** Stands between the app and the real engine, to inject a fault. */
  readonly wrap?: (engine: Engine) => Engine
  readonly definitions?: readonly JobDefinition[]
  readonly readiness?: () => string | null
  readonly warnings?: () => readonly string[]
}

/** Longer answers, of which there may be many, are not held to what was declared, in bytes. */
const MOST_LOOKED_AT = 1_000_000

/** The whole HTTP side on the embedded engine, listening; no worker. */
export class HttpApp {
  readonly url: string
  readonly port: number
  readonly engine: Engine
  readonly events: Events
  readonly hub: Hub
  readonly auth: Auth
  readonly server: Server
  /** What the app was made of. */
  readonly deps: AppDeps
  /** All that it declares. */
  readonly routes: readonly Route[]
  readonly #folder: string

  private constructor(
    parts: Pick<HttpApp, 'engine' | 'events' | 'hub' | 'auth' | 'server' | 'deps'> & { folder: string },
  ) {
    this.engine = parts.engine
    this.events = parts.events
    this.hub = parts.hub
    this.auth = parts.auth
    this.server = parts.server
    this.deps = parts.deps
    this.routes = allRoutes(parts.deps)
    this.#folder = parts.folder
    const address = parts.server.address()
    if (address === null || typeof address === 'string') throw new Error('the server does not listen')
    this.port = address.port
    this.url = `http://127.0.0.1:${address.port}`
  }

  static async start(options: HttpAppOptions = {}): Promise<HttpApp> {
    const folder = await mkdtemp(join(tmpdir(), 'jobcast-http-'))
    const engine = createSqliteEngine({ folder })
    await engine.start()
    const events = createEvents()
    const seen = options.wrap?.(engine) ?? engine
    const keys = options.keys ?? []
    const auth = new Auth({
      keys,
      secret: 'a secret of this test alone',
      tokenTtlMs: options.tokenTtlMs ?? 60_000,
    })
    const registry = new TypeRegistry(seen, options.definitions ?? DEFINITIONS, 60_000)
    await engine.registerTypes(registry.registrations())
    const { holdMs } = options
    const hub = new Hub({ feed: seen.feed, events, ...(holdMs !== undefined && { holdMs }) })
    await hub.start()
    const reach = createReach({
      basePath: options.basePath ?? '',
      trustProxy: options.trustProxy ?? ['loopback'],
    })
    const deps: AppDeps = {
      engine: seen,
      registry,
      hub,
      reach,
      auth,
      origins: createOriginPolicy({
        allowedOrigins: options.allowedOrigins ?? [],
        allowedHeaders: options.allowedHeaders ?? [],
        keysRequired: auth.enabled,
        reach,
      }),
      events,
      metrics: createMetrics({ events, engine: seen }),
      maxBytes: options.maxBytes ?? 64 * 1024,
      defaultType: options.defaultType ?? null,
      dashboard: true,
      pageFolder: options.pageFolder ?? null,
      readiness: options.readiness ?? (() => null),
      warnings: options.warnings ?? (() => []),
      version: '9.9.9',
    }
    const server = createHttpServer(createApp(deps))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new HttpApp({ engine, events, hub, auth, server, deps, folder })
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
    await this.hub.stop()
    await this.engine.stop()
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** Throws where the answer is none that its route declares. */
  async fetch(path: string, init: RequestInit & { key?: string } = {}): Promise<Response> {
    const headers = new Headers(init.headers)
    if (init.key !== undefined) headers.set('authorization', `Bearer ${init.key}`)
    const response = await fetch(this.url + path, { ...init, headers })
    const isLookedAt =
      response.headers.get('content-type')?.includes('json') === true &&
      Number(response.headers.get('content-length')) < MOST_LOOKED_AT
    const body = isLookedAt ? await response.text() : null
    const undeclared = complaints(this.routes, { method: init.method ?? 'GET', target: path, response, body })
    if (undeclared.length > 0) throw new Error(undeclared.join('\n'))
    return body === null ? response : new Response(body, response)
  }

  /** POST of a JSON body. */
  post(path: string, body?: unknown, init: RequestInit & { key?: string } = {}): Promise<Response> {
    const headers = new Headers(init.headers)
    if (body !== undefined && !headers.has('content-type')) headers.set('content-type', 'application/json')
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return this.fetch(path, { method: 'POST', ...init, headers, ...(body !== undefined && { body: text }) })
  }

  /** A stored job of the type that takes any JSON. */
  async submit(options: object = {}, key?: string): Promise<SubmitAnswer> {
    const body = { type: 'anything', payload: { n: 1 }, options }
    const response = await this.post('/api/jobs', body, key === undefined ? {} : { key })
    if (response.status !== 202)
      throw new Error(`submit answered ${response.status}: ${await response.text()}`)
    return SubmitAnswer.parse(await response.json())
  }

  async claim(type = 'anything'): Promise<Claim> {
    const [claim] = await this.engine.claim({
      claimId: crypto.randomUUID(),
      workerId: 'test',
      limit: 1,
      types: [{ type, limit: 1 }],
      leaseMs: 60_000,
    })
    if (claim === undefined) throw new Error(`no job of type ${type} to claim`)
    return claim
  }

  async settle(
    claim: Claim,
    outcome: Outcome = { kind: 'completed', result: { done: true } },
  ): Promise<void> {
    await this.engine.settle({
      settlements: [{ jobId: claim.jobId, lease: claim.lease, outcome, events: [] }],
    })
  }

  /** Sends bytes as they are and resolves to all that comes back until the server ends the connection. */
  async raw(...parts: (string | Buffer)[]): Promise<string> {
    const socket = createConnection({ port: this.port, host: '127.0.0.1' })
    await once(socket, 'connect')
    let answer = ''
    socket.on('data', (data) => {
      answer += data.toString('latin1')
    })
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => {})
    for (const part of parts) socket.write(part)
    await closed
    return answer
  }
}

/** The problem of a refusal, its status and media type checked. */
export async function problemIn(response: Response): Promise<Problem> {
  const type = response.headers.get('content-type')
  const text = await response.text()
  if (type !== 'application/problem+json')
    throw new Error(`${response.status} ${type}: ${text.slice(0, 500)}`)
  const problem = Problem.parse(JSON.parse(text))
  if (problem.status !== response.status)
    throw new Error(`status ${response.status}, in the problem ${problem.status}`)
  return problem
}
