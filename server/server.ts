import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Server as HttpServer, IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { Auth, type JobTokenScope } from './auth/auth.ts'
import { createOriginPolicy } from './auth/origin.ts'
import { createReach } from './auth/reach.ts'
import { type Config, ConfigError, checkHost, VERSION } from './config.ts'
import type { Engine, Presence } from './engine/engine.ts'
import { openEngine } from './engine/open.ts'
import type { Events } from './events.ts'
import { Hub } from './gateway/hub.ts'
import { createSockets } from './gateway/transports/websocket/server.ts'
import { createApp, createHealthApp } from './http/app.ts'
import { answerCall, answerFetch, createHttpServer, type NodeHandler, nodeHandler } from './http/server.ts'
import type { JobDefinition } from './jobs/define-job.ts'
import { TypeRegistry } from './jobs/registry.ts'
import { createMaintenance } from './maintenance/maintenance.ts'
import { PresenceBoard } from './maintenance/presence.ts'
import { TypeKeeper, unservedTypes, unservedWarning } from './maintenance/type-keeper.ts'
import { createMetrics } from './metrics.ts'
import { hungWarnings, stuckReason } from './worker/hung.ts'
import type { GiveBack } from './worker/runner.ts'
import { createWorker } from './worker/worker.ts'

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

/** A server that was started. */
export interface RunningServer {
  /** Never rejects for what a caller has done. */
  fetch(request: Request): Promise<Response>
  readonly handler: NodeHandler
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Answers a client in this process, which may do everything. */
  call(url: string, init: RequestInit): Promise<Response>
  token(scope: JobTokenScope): Promise<string>
  /** Resolves to the address, such as `http://127.0.0.1:3000`; listening already, to that. Rejects with `ListenError`. */
  listen(at: ListenAt): Promise<string>
  /** Drains, then stops. What does not end by itself meanwhile is given back: unspent where nothing else is said. */
  stop(giveBack?: GiveBack): Promise<void>
}

export interface ServerParts {
  readonly config: Config
  readonly definitions: readonly JobDefinition[]
  readonly events: Events
  /** Where to listen before the first job is claimed; null: nowhere yet. */
  readonly listenAt: ListenAt | null
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
export async function startServer(parts: ServerParts): Promise<RunningServer> {
  const services: Service[] = []
  const stop = stopper(services, parts.events)
  try {
    return { ...(await startAll(parts, services, stop.isDraining)), stop: stop.stop }
  } catch (error) {
    await stop.stop().catch(() => {})
    throw error
  }
}

function stopper(services: Service[], events: Events) {
  let draining = false
  return {
    isDraining: () => draining,
    async stop(giveBack: GiveBack = 'unspent'): Promise<void> {
      draining = true
      await Promise.all(services.map((service) => service.drain?.(giveBack)))
      for (const service of services.reverse().splice(0)) {
        try {
          await service.stop()
        } catch (error) {
          // The others, the store among them, are to be stopped all the same.
          events.emit('failure', { where: 'stop', error })
        }
      }
    },
  }
}

async function startAll(
  { config, definitions, events, listenAt }: ServerParts,
  services: Service[],
  isDraining: () => boolean,
): Promise<Omit<RunningServer, 'stop'>> {
  checkDefaultType(config, definitions)
  const engine = await openEngine(config.store, {
    onDown: (reason) => events.emit('store.down', { reason }),
    onUp: (epoch, warnings) => events.emit('store.up', { epoch, warnings }),
    onNewer: (what) => events.emit('store.newer', { what }),
  })
  services.push(engine)
  await engine.start()
  const registry = new TypeRegistry(engine, definitions, config.retainMs)
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
      })
    : null
  const readiness = () => {
    if (isDraining()) return 'the process is draining'
    return worker === null ? null : stuckReason(worker.hung())
  }
  const warnings = async () => {
    const [states, alive] = await Promise.all([engine.types(), engine.presences()])
    const unserved = unservedTypes(states, alive).map(unservedWarning)
    return worker === null ? unserved : [...hungWarnings(worker.hung()), ...unserved]
  }

  const metrics = createMetrics({ events, engine })
  const auth = await openAuth(config, engine)
  const hub = new Hub({ feed: engine.feed, events, presences: () => engine.presences() })
  const reach = createReach(config)
  const origins = createOriginPolicy({
    allowedOrigins: config.allowedOrigins,
    allowedHeaders: config.allowedHeaders,
    keysRequired: auth.enabled,
    reach,
    embedded: config.embedded,
  })
  const app = createApp({
    engine,
    registry,
    hub,
    auth,
    origins,
    events,
    metrics,
    reach,
    maxBytes: config.maxBytes,
    defaultType: config.defaultType,
    dashboard: config.dashboard,
    pageFolder: existsSync(PAGE_FOLDER) ? PAGE_FOLDER : null,
    readiness,
    warnings,
    version: VERSION,
  })
  const open = serves ? app : createHealthApp({ engine, metrics, readiness, warnings, reach, auth, events })
  const server = createHttpServer(open)
  const listener = listenerOf(server, config)
  const sockets = createSockets({ hub, reach, auth, origins, events })
  if (serves) {
    sockets.attach(server)
    const startedAt = new Date().toISOString()
    presences.push(() => ({
      id: `g-${processId}`,
      role: 'gateway',
      info: { id: `g-${processId}`, host: hostname(), pid: process.pid, startedAt, ...hub.info() },
    }))
  }

  // In the order in which they start; they stop in the opposite one.
  const parts: Service[] = [
    createMaintenance({ engine, events }),
    new TypeKeeper({ engine, events, registrations, runs: works }),
    // Sockets stop before the listener: it waits for every connection.
    // Where nobody is served it starts with the first job that this process watches itself.
    serves ? hub : { stop: () => hub.stop() },
    {
      start: () => (listenAt === null ? undefined : listener.listen(listenAt).then(() => {})),
      stop: listener.stop,
    },
    sockets,
  ]
  // After the listener: where the port is taken, no job has been claimed in vain.
  if (worker !== null) {
    parts.push({
      start: () => worker.start(),
      drain: (giveBack) => worker.drain(config.drainMs, giveBack),
      stop: () => worker.stop(),
    })
    presences.push(() => ({
      id: `w-${processId}`,
      role: 'worker',
      info: { ...worker.info(), pace: worker.pace() },
    }))
  }
  parts.push(new PresenceBoard({ engine, events, describe: () => presences.map((describe) => describe()) }))

  for (const part of parts) {
    services.push(part)
    await part.start?.()
  }
  return {
    fetch: (request) => answerFetch(open, request),
    handler: nodeHandler(open),
    upgrade: sockets.upgrade,
    call: (url, init) => answerCall(app, url, init),
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
  let listening: Promise<string> | null = null

  function listen(at: ListenAt): Promise<string> {
    listening ??= begin(at).catch((error: unknown) => {
      listening = null
      throw error
    })
    return listening
  }

  async function begin({ port, host }: ListenAt): Promise<string> {
    if (config.role !== 'worker') checkHost(config, host)
    return new Promise((resolve, reject) => {
      const refuse = (error: Error) => reject(explained(error, { port, host }, config))
      server.once('error', refuse)
      server.listen(port, host, () => {
        server.removeListener('error', refuse)
        resolve(urlOf(server.address() as AddressInfo))
      })
    })
  }

  async function stop(): Promise<void> {
    if (listening === null) return
    await listening
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
