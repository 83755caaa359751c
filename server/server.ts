import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Auth } from './auth/auth.ts'
import { createOriginPolicy } from './auth/origin.ts'
import { createReach } from './auth/reach.ts'
import { type Config, VERSION } from './config.ts'
import type { Engine, Presence } from './engine/engine.ts'
import { openEngine } from './engine/open.ts'
import type { Events } from './events.ts'
import { Hub } from './gateway/hub.ts'
import { attachSockets } from './gateway/transports/websocket/server.ts'
import { createApp, createHealthApp } from './http/app.ts'
import { createHttpServer } from './http/server.ts'
import type { JobDefinition } from './jobs/define-job.ts'
import { TypeRegistry } from './jobs/registry.ts'
import { createMaintenance } from './maintenance/maintenance.ts'
import { PresenceBoard } from './maintenance/presence.ts'
import { TypeKeeper, unservedTypes, unservedWarning } from './maintenance/type-keeper.ts'
import { createMetrics } from './metrics.ts'
import { hungWarnings, stuckReason } from './worker/hung.ts'
import type { GiveBack } from './worker/runner.ts'
import { createWorker } from './worker/worker.ts'

/** A part of the process. Each call may be made twice; `drain` ends what the part does for others, politely. */
interface Service {
  start?(): Promise<void> | void
  drain?(giveBack: GiveBack): Promise<void> | void
  stop(): Promise<void> | void
}

export interface JobcastServer {
  /** Rejects, with everything stopped again, where a part cannot start. */
  start(): Promise<void>
  /** Drains, then stops. What does not end by itself meanwhile is given back: unspent where nothing else is said. */
  stop(giveBack?: GiveBack): Promise<void>
  /** The line that tells whoever started the process that it is ready. */
  ready(): string
}

/** Where `vite build` puts the web page, seen from the built server. */
const PAGE_FOLDER = fileURLToPath(new URL('../page', import.meta.url))

/** What requests under way get to be answered when the process stops, in ms. */
const ANSWER_MS = 1000

/** Wires the parts of one process together; the only place that knows all of them and their order. */
export function createServer(options: {
  config: Config
  definitions: readonly JobDefinition[]
  events: Events
}): JobcastServer {
  const { config, definitions, events } = options
  let services: Service[] = []
  let http: HttpServer | null = null
  let draining = false

  async function start(): Promise<void> {
    const engine = await openEngine(config.store, {
      onDown: (reason) => events.emit('store.down', { reason }),
      onUp: (epoch, warnings) => events.emit('store.up', { epoch, warnings }),
      onNewer: (what) => events.emit('store.newer', { what }),
    })
    services = [engine]
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
      if (draining) return 'the process is draining'
      return worker === null ? null : stuckReason(worker.hung())
    }
    const warnings = async () => {
      const [states, alive] = await Promise.all([engine.types(), engine.presences()])
      const unserved = unservedTypes(states, alive).map(unservedWarning)
      return worker === null ? unserved : [...hungWarnings(worker.hung()), ...unserved]
    }

    // In the order in which they start; they stop in the opposite one.
    const parts: Service[] = [
      createMaintenance({ engine, events }),
      new TypeKeeper({ engine, events, registrations, runs: works }),
    ]
    const metrics = createMetrics({ events, engine })
    const auth = await openAuth(engine)
    const reach = createReach(config)
    if (serves) {
      const hub = new Hub({ feed: engine.feed, events, presences: () => engine.presences() })
      const origins = createOriginPolicy({
        allowedOrigins: config.allowedOrigins,
        allowedHeaders: config.allowedHeaders,
        keysRequired: auth.enabled,
        reach,
      })
      const server = createHttpServer(
        createApp({
          engine,
          registry,
          hub,
          reach,
          auth,
          origins,
          events,
          metrics,
          maxBytes: config.maxBytes,
          defaultType: config.defaultType,
          pageFolder: existsSync(PAGE_FOLDER) ? PAGE_FOLDER : null,
          readiness,
          warnings,
          version: VERSION,
        }),
      )
      const sockets = attachSockets({ server, hub, reach, auth, origins, events })
      // Sockets stop before the listener: it waits for every connection.
      parts.push(hub, listener(server), sockets)
      const startedAt = new Date().toISOString()
      presences.push(() => ({
        id: `g-${processId}`,
        role: 'gateway',
        info: { id: `g-${processId}`, host: hostname(), pid: process.pid, startedAt, ...hub.info() },
      }))
    } else if (config.portGiven) {
      parts.push(
        listener(
          createHttpServer(createHealthApp({ engine, metrics, readiness, warnings, reach, auth, events })),
        ),
      )
    }
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
  }

  async function openAuth(engine: Engine): Promise<Auth> {
    const secret = config.tokenSecret ?? (await engine.secret('token', randomBytes(32).toString('base64url')))
    return new Auth({ keys: config.apiKeys, secret, tokenTtlMs: config.tokenTtlMs })
  }

  function listener(server: HttpServer): Service {
    return {
      start: () =>
        new Promise((resolve, reject) => {
          server.once('error', reject)
          server.listen(config.port, config.host, () => {
            server.removeListener('error', reject)
            http = server
            resolve()
          })
        }),
      stop: () =>
        new Promise((resolve) => {
          const cut = setTimeout(() => server.closeAllConnections(), ANSWER_MS)
          server.close(() => {
            clearTimeout(cut)
            resolve()
          })
        }),
    }
  }

  async function stop(giveBack: GiveBack = 'unspent'): Promise<void> {
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
  }

  return {
    async start() {
      try {
        await start()
      } catch (error) {
        await stop().catch(() => {})
        throw error
      }
    },
    stop,
    ready() {
      const address = http?.address() as AddressInfo | null | undefined
      const url = address
        ? `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
        : null
      if (config.role !== 'worker') return `jobcast listening on ${url}${config.basePath}`
      return url === null ? 'jobcast worker ready' : `jobcast worker ready on ${url}${config.basePath}`
    },
  }
}
