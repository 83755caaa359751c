import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { type ApiKey, Auth } from '../../server/auth/auth.ts'
import { createOriginPolicy } from '../../server/auth/origin.ts'
import type {
  Claim,
  Engine,
  Feed,
  FeedMessage,
  JobPage,
  Json,
  ListQuery,
  Outcome,
  ReadRequest,
  ReadResult,
  RunEvent,
  Submitted,
} from '../../server/engine/engine.ts'
import { Unavailable } from '../../server/engine/errors.ts'
import { openEngine } from '../../server/engine/open.ts'
import { createEvents, type Events, type ServerEvents } from '../../server/events.ts'
import { Hub, type HubOptions } from '../../server/gateway/hub.ts'
import { attachSockets, type SocketOptions } from '../../server/gateway/socket.ts'
import { DEFAULT_OPTIONS } from '../../shared/api.ts'
import { parseCursor } from '../../shared/cursor.ts'
import { ServerFrame } from '../../shared/protocol.ts'
import { until } from './until.ts'

/**
 * The feed of a real engine, with faults put between it and the gateway: messages dropped, repeated and delayed, a
 * store that is away, a change of history.
 */
class FaultyFeed implements Feed {
  /** What becomes of each message; by default it is delivered. */
  disturb: (message: FeedMessage, deliver: (message: FeedMessage) => void) => void = (message, deliver) =>
    deliver(message)
  down = false
  /** Each read waits for this. */
  gate: Promise<void> = Promise.resolve()
  /** Each answer of a read, once made, waits for this. */
  answerGate: Promise<void> = Promise.resolve()
  /** What is told of submissions is lost. */
  deaf = false
  watching = 0
  /** Calls of `list`. */
  lists = 0
  readonly reads: ReadRequest[] = []
  /** Calls of `read`; each holds one or more requests. */
  calls = 0
  readonly #inner: Feed
  readonly #onReset = new Set<() => void>()
  #lives = 0

  constructor(inner: Feed) {
    this.#inner = inner
  }

  get epoch(): string {
    return this.#lives === 0 ? this.#inner.epoch : `${this.#inner.epoch}-${this.#lives}`
  }

  /** As after a restart of the store: old cursors are foreign now. */
  changeHistory(): void {
    this.#lives++
    this.reset()
  }

  reset(): void {
    for (const listener of this.#onReset) listener()
  }

  get resetListeners(): number {
    return this.#onReset.size
  }

  async watch(jobId: string, listener: (message: FeedMessage) => void) {
    this.#check()
    const unwatch = await this.#inner.watch(jobId, (message) => this.disturb(message, listener))
    this.watching++
    return () => {
      this.watching--
      unwatch()
    }
  }

  async read(requests: readonly ReadRequest[]): Promise<(ReadResult | null)[]> {
    this.reads.push(...requests)
    this.calls++
    await this.gate
    this.#check()
    const translated = requests.map((request) => {
      if (request.after === null) return request
      const known = request.after.epoch === this.epoch
      return { ...request, after: { ...request.after, epoch: known ? this.#inner.epoch : '' } }
    })
    const results = await this.#inner.read(translated)
    await this.answerGate
    return results.map((result) => {
      if (result === null) return null
      const { epoch } = this
      if (result.job === null) return { ...result, epoch }
      return { ...result, epoch, job: { ...result.job, cursor: `${epoch}.${result.seq}` } }
    })
  }

  async positions(jobIds: readonly string[]) {
    this.#check()
    const positions = await this.#inner.positions(jobIds)
    return positions.map((position) => position && { ...position, epoch: this.epoch })
  }

  onReset(listener: () => void) {
    this.#onReset.add(listener)
    return () => this.#onReset.delete(listener)
  }

  async list(query: ListQuery): Promise<JobPage> {
    this.lists++
    this.#check()
    const { jobs, nextPage, newest } = await this.#inner.list(query)
    const translated = jobs.map((job) => {
      const { seq } = parseCursor(job.cursor)
      return { ...job, cursor: `${this.epoch}.${seq}` }
    })
    return { jobs: translated, nextPage, newest }
  }

  async onSubmitted(listener: (submitted: Submitted) => void) {
    this.#check()
    return this.#inner.onSubmitted((submitted) => {
      if (!this.deaf) listener(submitted)
    })
  }

  #check(): void {
    if (this.down) throw new Unavailable('the store is away')
  }
}

export interface GatewayOptions {
  /** Of a Redis to store in; left out: the embedded engine, in a folder of its own. */
  readonly redisUrl?: string
  /** Left out: one of its own. */
  readonly redisPrefix?: string
  readonly keys?: readonly ApiKey[]
  readonly tokenTtlMs?: number
  readonly hub?: Partial<Omit<HubOptions, 'feed' | 'events'>>
  readonly sockets?: Partial<Omit<SocketOptions, 'server' | 'hub' | 'events' | 'auth'>>
}

export const QUICK_TICK_MS = 20

/** A gateway on a real engine, served on a free port. */
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
  submit(options?: { type?: string; payload?: Json; tags?: readonly string[] }): Promise<string>
  /** Claims the job's run; it must be the only one queued of its type. */
  claim(type?: string): Promise<Run>
  /** Submits a job of a type of its own and claims it. */
  run(payload?: Json): Promise<Run>
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
      : { kind: 'redis', url: options.redisUrl, prefix: options.redisPrefix ?? `gateway-${randomUUID()}` },
  )
  await engine.start()
  const feed = new FaultyFeed(engine.feed)
  const events = createEvents()
  const seen = record(events)
  const hub = new Hub({ feed, events, tickMs: QUICK_TICK_MS, ...options.hub })
  const keys = options.keys ?? []
  const auth = new Auth({ keys, secret: 'a secret of the tests', tokenTtlMs: options.tokenTtlMs ?? 60_000 })
  const origins = createOriginPolicy({ allowedOrigins: [], keysRequired: auth.enabled })
  const server = createServer((_request, response) => response.writeHead(404).end())
  const sockets = attachSockets({ server, hub, auth, origins, events, ...options.sockets })
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

  async function submit(options: { type?: string; payload?: Json; tags?: readonly string[] } = {}) {
    const { type = 'work', payload = null, tags = [] } = options
    const receipt = await engine.submit({
      jobs: [{ type, payload, policy: DEFAULT_OPTIONS, tags, when: { delayMs: 0 } }],
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
    async run(payload = null) {
      const type = `t${randomUUID()}`
      await submit({ type, payload })
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
    return until(() => this.all(op)[count - 1], { what: `frame ${count} of op ${op}`, timeoutMs: 10_000 })
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
