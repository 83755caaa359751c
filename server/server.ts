import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Server as HttpServer, IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { Auth, type JobTokenScope } from './auth/auth.ts'
import { createOriginPolicy } from './auth/origin.ts'
import { createReach } from './auth/reach.ts'
import { type Config, ConfigError, checkHost, VERSION } from './config.ts'
import type { Engine, Presence } from './engine/engine.ts'
import { openEngine } from './engine/open.ts'
import type { Events } from './events.ts'
import { Hub } from './gateway/hub.ts'
import { createSockets } from './gateway/transports/websocket/server.ts'
import { type AppDeps, createApp, createHealthApp } from './http/app.ts'
import type { Call } from './http/arrival.ts'
import { answerCall, answerFetch, createHttpServer, type NodeHandler, nodeHandler } from './http/server.ts'
import type { JobDefinition } from './jobs/define-job.ts'
import { TypeRegistry } from './jobs/registry.ts'
import { createMaintenance } from './maintenance/maintenance.ts'
import { PresenceBoard } from './maintenance/presence.ts'
import { TypeKeeper, unservedTypes, unservedWarning } from './maintenance/type-keeper.ts'
import { createMetrics } from './metrics.ts'
import { hungWarnings, stuckReason } from './worker/hung.ts'
import type { GiveBack } from './worker/runner.ts'
import { createWorker, type WorkerOptions } from './worker/worker.ts'

/** A part of the server. Each call may be made twice; `drain` ends what the part does for others, politely. */
interface Service {
  start?(): Promise<void> | void
  drain?(giveBack: GiveBack): Promise<void> | void
  stop(): Promise<void> | void
}

/** Where to listen. */
export interface ListenAt {
  readonly port: number
  readonly host: string
}

/** What answers clients in this process, and nobody else. */
export interface RunningProducer {
  /** Answers a client, which may do everything. */
  call(call: Call): Promise<Response>
  /** Drains, then stops. What does not end by itself meanwhile is given back: unspent where nothing else is said. */
  stop(giveBack?: GiveBack): Promise<void>
}

/** A server that was started. */
export interface RunningServer extends RunningProducer {
  /** Never rejects for what a caller has done. */
  fetch(request: Request): Promise<Response>
  readonly handler: NodeHandler
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  token(scope: JobTokenScope): Promise<string>
  /** Resolves to the address, base path included. Rejects with `ListenError`, and where it listens already elsewhere. */
  listen(at: ListenAt): Promise<string>
}

interface ProducerParts {
  readonly config: Config
  readonly definitions: readonly JobDefinition[]
  readonly events: Events
}

export interface ServerParts extends ProducerParts {
  /** Where to listen before the first job is claimed; null: nowhere yet. */
  readonly listenAt: ListenAt | null
  /** What a test has in place of the machine's time. */
  readonly time?: {
    readonly worker: Pick<WorkerOptions, 'after' | 'random' | 'heard'>
    /** Promotes and forgets jobs when their time has come. */
    readonly upkeep: (engine: Engine) => Service
  }
}

/** The address cannot be listened on; the message is one line that says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

/** Where `vite build` puts the web page, seen from the built server. */
const PAGE_FOLDER = fileURLToPath(new URL('../page', import.meta.url))

/** What requests under way get to be answered when the server stops, in ms. */
const ANSWER_MS = 1000

/**
 * Wires the parts of one server together and starts them; the only place that knows all of them and their order. Rejects, with
 * everything stopped again, where a part cannot start.
 */
export function startServer(parts: ServerParts): Promise<RunningServer> {
  return withServices(parts.events, (services) => startAll(parts, services))
}

/** Does the same for what only clients of this process use: no worker, no gateway for others, and none of the store's duties. */
export function startProducer(parts: ProducerParts): Promise<RunningProducer> {
  return withServices(parts.events, async (services) => {
    const { engine, registry } = await openStore(parts, services, { isBackground: true })
    const { app, hub } = await openGateway(parts, {
      engine,
      registry,
      readiness: () => null,
      warnings: () => [],
    })
    // It starts with the first job that is watched.
    await services.add({ stop: () => hub.stop() })
    return { call: (call) => answerCall(app, call) }
  })
}

async function withServices<Started>(
  events: Events,
  start: (services: Services) => Promise<Started>,
): Promise<Started & { stop(giveBack?: GiveBack): Promise<void> }> {
  const services = new Services(events)
  const stop = (giveBack?: GiveBack) => services.stop(giveBack)
  try {
    return { ...(await start(services)), stop }
  } catch (error) {
    await stop().catch(() => {})
    throw error
  }
}

/** What was started, in that order; it stops in the opposite one. */
class Services {
  readonly #events: Events
  readonly #started: Service[] = []
  #isDraining = false

  constructor(events: Events) {
    this.#events = events
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  async add(service: Service): Promise<void> {
    this.#started.push(service)
    await service.start?.()
  }

  async stop(giveBack: GiveBack = 'unspent'): Promise<void> {
    this.#isDraining = true
    await Promise.all(this.#started.map((service) => service.drain?.(giveBack)))
    for (const service of this.#started.reverse().splice(0)) {
      try {
        await service.stop()
      } catch (error) {
        // The others, the store among them, are to be stopped all the same.
        this.#events.emit('failure', { where: 'stop', error })
      }
    }
  }
}

async function openStore(
  { config, definitions, events }: ProducerParts,
  services: Services,
  { isBackground = false } = {},
): Promise<{ engine: Engine; registry: TypeRegistry }> {
  const engine = await openEngine(config.store, {
    named: config.named,
    isBackground,
    onDown: (reason) => events.emit('store.down', { reason }),
    onUp: (epoch, warnings) => events.emit('store.up', { epoch, warnings }),
    onNewer: (what) => events.emit('store.newer', { what }),
  })
  await services.add(engine)
  return { engine, registry: new TypeRegistry(engine, definitions, config.retainMs) }
}

/** Everything that answers callers, whoever they are. */
async function openGateway(
  { config, events }: ProducerParts,
  { engine, ...deps }: Pick<AppDeps, 'engine' | 'registry' | 'readiness' | 'warnings'>,
) {
  const hub = new Hub({ feed: engine.feed, events, presences: () => engine.presences() })
  const auth = await openAuth(config, engine)
  const reach = createReach(config)
  const origins = createOriginPolicy({
    allowedOrigins: config.allowedOrigins,
    allowedHeaders: config.allowedHeaders,
    keysRequired: auth.enabled,
    reach,
    embedded: config.embedded,
  })
  const all: AppDeps = {
    ...deps,
    engine,
    hub,
    reach,
    auth,
    origins,
    events,
    metrics: createMetrics({ events, engine }),
    maxBytes: config.maxBytes,
    defaultType: config.defaultType,
    dashboard: config.dashboard,
    pageFolder: existsSync(PAGE_FOLDER) ? PAGE_FOLDER : null,
    version: VERSION,
  }
  return { ...all, app: createApp(all) }
}

async function startAll(parts: ServerParts, services: Services): Promise<Omit<RunningServer, 'stop'>> {
  const { config, definitions, events, listenAt, time } = parts
  checkDefaultType(config, definitions)
  const { engine, registry } = await openStore(parts, services)
  const registrations = registry.registrations()
  await engine.registerTypes(registrations)

  const serves = config.role !== 'worker'
  const works = config.role !== 'api'
  const processId = randomUUID().slice(0, 8)
  const presences: (() => Presence)[] = []
  const worker = works
    ? createWorker({
        engine,
        definitions,
        events,
        workerId: `w-${processId}`,
        concurrency: config.concurrency,
        leaseMs: config.leaseMs,
        cancelGraceMs: config.cancelGraceMs,
        maxResultBytes: config.maxBytes,
        ...time?.worker,
      })
    : null
  const readiness = () => {
    if (services.isDraining) return 'the process is draining'
    return worker === null ? null : stuckReason(worker.hung())
  }
  const warnings = async () => {
    const [states, alive] = await Promise.all([engine.types(), engine.presences()])
    const unserved = unservedTypes(states, alive).map(unservedWarning)
    return worker === null ? unserved : [...hungWarnings(worker.hung()), ...unserved]
  }

  const gateway = await openGateway(parts, { engine, registry, readiness, warnings })
  const { app, hub, auth } = gateway
  // Of a worker only probes and metrics are there for others.
  const open = serves ? app : createHealthApp(gateway)
  const server = createHttpServer(open)
  const listener = listenerOf(server, config)
  const sockets = createSockets(gateway)
  if (serves) {
    sockets.attach(server)
    const startedAt = new Date().toISOString()
    presences.push(() => ({
      id: `g-${processId}`,
      role: 'gateway',
      info: { id: `g-${processId}`, host: hostname(), pid: process.pid, startedAt, ...hub.info() },
    }))
  }

  await services.add(time?.upkeep(engine) ?? createMaintenance({ engine, events }))
  await services.add(new TypeKeeper({ engine, events, registrations, runs: works }))
  // Where nobody is served it starts with the first job that this process watches itself.
  await services.add(serves ? hub : { stop: () => hub.stop() })
  // Sockets stop before the listener: it waits for every connection.
  await services.add({ stop: listener.stop })
  await services.add(sockets)
  if (listenAt !== null) await listener.listen(listenAt)
  if (worker !== null) {
    presences.push(() => ({
      id: `w-${processId}`,
      role: 'worker',
      info: { ...worker.info(), pace: worker.pace() },
    }))
  }
  await services.add(
    new PresenceBoard({ engine, events, describe: () => presences.map((describe) => describe()) }),
  )
  // At the very end: where the port is taken no job has been claimed in vain, and whoever is told to stop while it starts has
  // nothing to give back.
  if (worker !== null) {
    await services.add({
      start: () => worker.start(),
      drain: (giveBack) => worker.drain(config.drainMs, giveBack),
      stop: () => worker.stop(),
    })
  }
  return {
    fetch: (request) => answerFetch(open, request),
    handler: nodeHandler(open),
    upgrade: sockets.upgrade,
    call: (call) => answerCall(app, call),
    token: (scope) => auth.sign(scope),
    listen: listener.listen,
  }
}

/** On Redis it may be a type that only workers elsewhere know. */
function checkDefaultType(
  { defaultType, store, named }: Config,
  definitions: readonly JobDefinition[],
): void {
  if (defaultType === null || store.kind === 'redis') return
  const types = definitions.map(({ type }) => type)
  if (types.includes(defaultType)) return
  throw new ConfigError(`${named('defaultType')} ${defaultType} is no job type: ${types.join(', ')}`)
}

async function openAuth(
  { apiKeys, authorize, tokenSecret, tokenTtlMs }: Config,
  engine: Engine,
): Promise<Auth> {
  const secret = tokenSecret ?? (await engine.secret('token', randomBytes(32).toString('base64url')))
  return new Auth({ keys: apiKeys, authorize, secret, tokenTtlMs })
}

function listenerOf(server: HttpServer, config: Config) {
  let listening: { readonly at: ListenAt; readonly url: Promise<string> } | null = null

  function listen(at: ListenAt): Promise<string> {
    if (listening !== null)
      return isDeepStrictEqual(at, listening.at) ? listening.url : elsewhere(listening.url)
    const url = begin(at)
    listening = { at, url }
    url.catch(() => {
      listening = null
    })
    return url
  }

  async function elsewhere(url: Promise<string>): Promise<never> {
    throw new ListenError(`it listens at ${await url} already`)
  }

  async function begin({ port, host }: ListenAt): Promise<string> {
    if (config.role !== 'worker') checkHost(config, host)
    return new Promise((resolve, reject) => {
      const refuse = (error: Error) => reject(explained(error, { port, host }, config))
      server.once('error', refuse)
      server.listen(port, host, () => {
        server.removeListener('error', refuse)
        resolve(urlOf(server.address() as AddressInfo) + config.basePath)
      })
    })
  }

  async function stop(): Promise<void> {
    await listening?.url.catch(() => {})
    if (listening === null) return
    listening = null
    await new Promise<void>((resolve) => {
      const cut = setTimeout(() => server.closeAllConnections(), ANSWER_MS)
      server.close(() => {
        clearTimeout(cut)
        resolve()
      })
    })
  }

  return { listen, stop }
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}

function explained(error: NodeJS.ErrnoException, { port, host }: ListenAt, { named }: Config): Error {
  const { code, message } = error
  const says = (text: string) => new ListenError(text, { cause: error })
  if (code === 'EADDRINUSE')
    return says(`port ${port} is in use: end what listens there, or set ${named('port')} to another one`)
  if (code === 'EACCES')
    return says(`port ${port} may not be listened on: set ${named('port')} to one above 1023`)
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return says(`${named('host')} ${host} is not an address of this machine (${message})`)
  return error
}
