import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { type ApiKey, Auth } from '../../server/auth/auth.ts'
import { createOriginPolicy } from '../../server/auth/origin.ts'
import { createReach } from '../../server/auth/reach.ts'
import type { Claim, Engine, Json, Outcome, RunEvent } from '../../server/engine/engine.ts'
import { openEngine } from '../../server/engine/open.ts'
import { createEvents, type Events, type ServerEvents } from '../../server/events.ts'
import { Hub, type HubOptions } from '../../server/gateway/hub.ts'
import { createSockets, type SocketOptions } from '../../server/gateway/transports/websocket/server.ts'
import { createApp } from '../../server/http/app.ts'
import { createHttpServer } from '../../server/http/server.ts'
import { TypeRegistry } from '../../server/jobs/registry.ts'
import { createMetrics } from '../../server/metrics.ts'
import { DEFAULT_OPTIONS } from '../../shared/options.ts'
import { ServerFrame } from '../../shared/protocol.ts'
import { FaultyFeed } from './faulty-feed.ts'

export interface GatewayOptions {
  /** Of a Redis to store in; left out: the embedded engine, in a folder of its own. */
  readonly redisUrl?: string
  /** Of the keys in that Redis, which several gateways share; left out: a new one. */
  readonly prefix?: string
  readonly keys?: readonly ApiKey[]
  readonly tokenTtlMs?: number
  readonly allowedOrigins?: readonly string[]
  readonly hub?: Partial<Omit<HubOptions, 'feed' | 'events'>>
  readonly sockets?: Partial<Omit<SocketOptions, 'server' | 'hub' | 'events' | 'auth'>>
}

export const QUICK_SWEEP_MS = 20
export const SECRET = 'a secret of the tests'

/** A gateway on a real engine, served on a free port with the whole HTTP side. Nothing runs jobs: tests claim by hand. */
export interface Gateway {
  readonly engine: Engine
  readonly feed: FaultyFeed
  readonly hub: Hub
  readonly auth: Auth
  readonly events: Events
  readonly server: Server
  readonly port: number
  readonly sockets: { drain(): void; stop(): Promise<void> }
  /** What was emitted so far under a name. */
  seen<Name extends keyof ServerEvents>(name: Name): ServerEvents[Name][0][]
  submit(options?: { type?: string; payload?: Json; retainMs?: number; tags?: string[] }): Promise<string>
  /** Claims the job's run; it must be the only one queued of its type. */
  claim(type?: string): Promise<Run>
  /** Submits a job of a type of its own and claims it. */
  run(payload?: Json, options?: { retainMs?: number }): Promise<Run>
  connect(query?: string, options?: ConnectOptions): TestSocket
  close(): Promise<void>
}

export interface Run {
  readonly jobId: string
  report(...events: RunEvent[]): Promise<void>
  settle(outcome: Outcome, events?: readonly RunEvent[]): Promise<void>
}

export interface ConnectOptions {
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly protocols?: string[]
  readonly autoPong?: boolean
}

export async function openGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-gateway-'))
  const engine = await openEngine(
    options.redisUrl === undefined
      ? { kind: 'sqlite', folder }
      : { kind: 'redis', url: options.redisUrl, prefix: options.prefix ?? `gateway-${randomUUID()}` },
  )
  await engine.start()
  const feed = new FaultyFeed(engine.feed)
  const events = createEvents()
  const seen = record(events)
  const hub = new Hub({ feed, events, sweepMs: QUICK_SWEEP_MS, ...options.hub })
  const keys = options.keys ?? []
  const auth = new Auth({ keys, secret: SECRET, tokenTtlMs: options.tokenTtlMs ?? 60_000 })
  const reach = createReach({ basePath: '', trustProxy: ['loopback'] })
  const origins = createOriginPolicy({
    reach,
    allowedOrigins: options.allowedOrigins ?? [],
    keysRequired: auth.enabled,
  })
  const server = createHttpServer(
    createApp({
      engine,
      registry: new TypeRegistry(engine, [], 60_000),
      hub,
      reach,
      auth,
      origins,
      events,
      metrics: createMetrics({ events, engine }),
      maxBytes: 8 * 1024 * 1024,
      defaultType: null,
      dashboard: true,
      pageFolder: null,
      readiness: () => null,
      warnings: () => [],
      version: '9.9.9',
    }),
  )
  const sockets = createSockets({ hub, reach, auth, origins, events, ...options.sockets })
  sockets.attach(server)
  hub.start()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const clients: TestSocket[] = []

  async function claim(type = 'work'): Promise<Run> {
    const [claimed] = await engine.claim({
      claimId: randomUUID(),
      workerId: 'worker-1',
      limit: 1,
      types: [{ type, limit: 1 }],
      leaseMs: 60_000,
    })
    if (claimed === undefined) throw new Error(`no job of type ${type} to claim`)
    return runOf(engine, claimed)
  }

  async function submit({
    type = 'work',
    payload = null,
    retainMs = DEFAULT_OPTIONS.retainMs,
    tags = [],
  }: {
    type?: string
    payload?: Json
    retainMs?: number
    tags?: string[]
  } = {}) {
    const policy = { ...DEFAULT_OPTIONS, retainMs }
    const receipt = await engine.submit({
      jobs: [{ type, payload, policy, tags, when: { delayMs: 0 } }],
    })
    const jobId = receipt.jobs[0]?.jobId
    if (jobId === undefined) throw new Error('no job was stored')
    return jobId
  }

  return {
    engine,
    feed,
    hub,
    auth,
    events,
    server,
    port,
    sockets,
    seen,
    submit,
    claim,
    async run(payload = null, runOptions = {}) {
      const type = `t${randomUUID()}`
      await submit({ type, payload, ...runOptions })
      return claim(type)
    },
    connect(query = '', connectOptions = {}) {
      const client = new TestSocket(
        `ws://127.0.0.1:${port}${connectOptions.path ?? '/ws'}${query}`,
        connectOptions,
      )
      clients.push(client)
      return client
    },
    async close() {
      for (const client of clients) client.ws.terminate()
      await sockets.stop()
      await hub.stop()
      server.closeAllConnections()
      server.close()
      await engine.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function runOf(engine: Engine, { jobId, lease }: Claim): Run {
  return {
    jobId,
    async report(...events) {
      const [verdict] = await engine.report([{ jobId, lease, events }])
      if (verdict !== 'ok') throw new Error(`the report was ${verdict}`)
    },
    async settle(outcome, events = []) {
      const { verdicts } = await engine.settle({ settlements: [{ jobId, lease, outcome, events }] })
      if (verdicts[0] === 'stale') throw new Error('the settlement was stale')
    },
  }
}

function record(events: Events) {
  const recorded = new Map<keyof ServerEvents, unknown[]>()
  const names: (keyof ServerEvents)[] = [
    'gateway.opened',
    'gateway.closed',
    'gateway.subscribed',
    'gateway.unsubscribed',
    'gateway.sent',
    'feed.gap',
    'feed.missed',
    'origin.refused',
    'feed.reset',
    'failure',
  ]
  for (const name of names) {
    const list: unknown[] = []
    recorded.set(name, list)
    events.on(name, (event: unknown) => list.push(event))
  }
  return <Name extends keyof ServerEvents>(name: Name) =>
    (recorded.get(name) ?? []) as unknown as ServerEvents[Name][0][]
}

export type Frame = ServerFrame
/** How long a frame may take, on a machine that is busy. */
const FRAME_MS = 30_000
type ListedJob = FrameOf<'changes'>['jobs'][number]
type FrameOf<Op extends Frame['op']> = Extract<Frame, { op: Op }>

/** A WebSocket client that checks every frame against the protocol and remembers it. */
export class TestSocket {
  readonly ws: WebSocket
  readonly frames: Frame[] = []
  readonly closed: Promise<{ code: number; reason: string }>
  /** Ping frames received. */
  pings = 0

  constructor(url: string, options: ConnectOptions = {}) {
    const { headers, protocols = [], autoPong = true } = options
    this.ws = new WebSocket(url, protocols, {
      ...(headers && { headers }),
      autoPong,
      perMessageDeflate: false,
    })
    this.ws.on('message', (data: Buffer) => this.frames.push(ServerFrame.parse(JSON.parse(data.toString()))))
    this.ws.on('ping', () => {
      this.pings++
    })
    this.ws.on('error', () => {})
    this.closed = new Promise((resolve) => {
      this.ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    })
  }

  /** Frames of one kind so far. */
  all<Op extends Frame['op']>(op: Op): FrameOf<Op>[] {
    return this.frames.filter((frame): frame is FrameOf<Op> => frame.op === op)
  }

  /** Waits until there are `count` frames of a kind, and resolves to the last of these. */
  async next<Op extends Frame['op']>(op: Op, count = 1): Promise<FrameOf<Op>> {
    const signal = AbortSignal.timeout(FRAME_MS)
    for (;;) {
      const frame = this.all(op)[count - 1]
      if (frame !== undefined) return frame
      await once(this.ws, 'message', { signal }).catch((cause: unknown) => {
        throw new Error(`waited ${FRAME_MS} ms in vain for frame ${count} of op ${op}`, { cause })
      })
    }
  }

  async opened(): Promise<this> {
    await this.next('hello')
    return this
  }

  send(frame: unknown): void {
    this.ws.send(JSON.stringify(frame))
  }

  /** Watches a list called `all`, unless it is called otherwise. */
  async watch(rest: Record<string, unknown> = {}): Promise<FrameOf<'list'>> {
    const before = this.all('list').length
    this.send({ op: 'watch', list: 'all', ...rest })
    return this.next('list', before + 1)
  }

  /** The list as this client has it: the last `list` frame of that name, and every change since. */
  listed(name = 'all'): ListedJob[] {
    const frames = this.frames.filter((frame) => 'list' in frame && frame.list === name)
    const jobs = new Map<string, ListedJob>()
    for (const frame of frames) {
      if (frame.op === 'list') jobs.clear()
      if (frame.op === 'list' || frame.op === 'changes')
        for (const job of frame.jobs) jobs.set(job.jobId, job)
      if (frame.op === 'changes') for (const jobId of frame.gone) jobs.delete(jobId)
    }
    return [...jobs.values()].sort((one, other) => (one.jobId < other.jobId ? 1 : -1))
  }

  async subscribe(jobId: string, rest: Record<string, unknown> = {}): Promise<FrameOf<'subscribed'>> {
    const before = this.all('subscribed').length
    this.send({ op: 'subscribe', jobId, ...rest })
    return this.next('subscribed', before + 1)
  }

  /** The TCP socket under it. */
  get socket(): Socket {
    const socket: unknown = Reflect.get(this.ws, '_socket')
    return socket as Socket
  }
}

/** The HTTP answer to a refused upgrade. */
export async function refusal(
  client: TestSocket,
): Promise<{ status: number; headers: Record<string, unknown>; body: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    client.ws.on('open', () => reject(new Error('the upgrade was not refused')))
    client.ws.on('unexpected-response', (_request, response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
      })
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(text) }),
      )
    })
  })
}
