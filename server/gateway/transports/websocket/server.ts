import type { IncomingMessage, Server } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import * as CLOSE from '../../../../shared/close-codes.ts'
import { HEARTBEAT_MS, MAX_FRAME_BYTES, MAX_SUBSCRIPTIONS } from '../../../../shared/limits.ts'
import { SUBPROTOCOL } from '../../../../shared/protocol.ts'
import type { Auth, Caller } from '../../../auth/auth.ts'
import type { OriginPolicy } from '../../../auth/origin.ts'
import type { Reach } from '../../../auth/reach.ts'
import type { Events } from '../../../events.ts'
import type { Hub } from '../../hub.ts'
import { Lists, type ListTimes } from '../../lists/list-follower.ts'
import { STALL_MS } from '../../slow-reader.ts'
import { Connection, type SocketTimes } from './connection.ts'
import { encodeFrame } from './server-frames.ts'
import {
  answerRefusal,
  asksForWebSocket,
  type FirstSubscription,
  ignoreUpgrade,
  judgeUpgrade,
  type UpgradeRules,
} from './upgrade.ts'

export interface SocketOptions {
  readonly hub: Hub
  readonly auth: Auth
  readonly origins: OriginPolicy
  readonly events: Events
  readonly reach: Reach
  /** Whether the process drains already, apart from `drain` being called here. */
  readonly isDraining?: () => boolean
  readonly maxConnections?: number
  /** Over how many ms a drain closes the connections. */
  readonly drainSpreadMs?: number
  readonly times?: Partial<SocketTimes>
  readonly listTimes?: Partial<ListTimes>
}

const MAX_CONNECTIONS = 20_000
const DRAIN_SPREAD_MS = 2000
const TIMES: SocketTimes = { heartbeatMs: HEARTBEAT_MS, idleMs: 30_000, stallMs: STALL_MS, closeMs: 5000 }

/** No frame of a client needs more pieces; a flood of tiny ones would cost memory far beyond their bytes. */
const MAX_FRAGMENTS = 64
const MAX_BUFFERED_CHUNKS = 128

export interface Sockets {
  /** Makes a WebSocket of a request that asks for one, or answers why not. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Takes all upgrades of an HTTP server, until `stop`. */
  attach(server: Server): void
  /** Tells every client to reconnect elsewhere. Tolerates being called twice, as `stop` does. */
  drain(): void
  stop(): Promise<void>
}

/** Serves WebSockets at `path`. */
export function createSockets(options: SocketOptions): Sockets {
  const { hub, auth, origins, events, drainSpreadMs = DRAIN_SPREAD_MS } = options
  const times = { ...TIMES, ...options.times }
  const hello = encodeFrame({
    op: 'hello',
    protocol: 1,
    heartbeatMs: times.heartbeatMs,
    maxSubscriptions: MAX_SUBSCRIPTIONS,
    maxFrameBytes: MAX_FRAME_BYTES,
  })
  const lists = new Lists(hub, options.listTimes)
  const connections = new Set<Connection>()
  const maxConnections = options.maxConnections ?? MAX_CONNECTIONS
  let draining = false
  let onEmpty = () => {}

  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    maxFragments: MAX_FRAGMENTS,
    maxBufferedChunks: MAX_BUFFERED_CHUNKS,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  })
  sockets.on('wsClientError', (error, socket) => {
    const headers = { 'Sec-WebSocket-Version': '13' }
    answerRefusal(socket, { code: 'invalid_request', detail: error.message, headers })
  })
  const rules: UpgradeRules = {
    reach: options.reach,
    auth,
    origins,
    events,
    isDraining: () => draining || hub.draining || options.isDraining?.() === true,
    isFull: () => connections.size >= maxConnections,
  }
  const offSweep = hub.onSweep((now) => {
    for (const connection of connections) connection.sweep(now)
  })
  const detach: (() => void)[] = []

  function attach(server: Server): void {
    const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (asksForWebSocket(request)) upgrade(request, socket, head)
      else ignoreUpgrade(server, request, socket, head)
    }
    server.on('upgrade', onUpgrade)
    detach.push(() => server.removeListener('upgrade', onUpgrade))
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // This listens until the WebSocket does itself: a peer that resets now must not end the process.
    const onError = () => socket.destroy()
    socket.on('error', onError)
    judgeAndOpen(request, socket, head)
      .catch((error: unknown) => {
        events.emit('failure', { where: 'upgrade', error })
        answerRefusal(socket, { code: 'internal_error', detail: 'the upgrade failed' })
      })
      .finally(() => {
        if (!socket.destroyed && !socket.writableEnded) socket.removeListener('error', onError)
      })
  }

  async function judgeAndOpen(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const judgement = await judgeUpgrade(request, rules)
    if (!judgement.ok) return answerRefusal(socket, judgement.refusal)
    if (!(socket instanceof Socket)) throw new TypeError('the upgraded connection is no socket')
    // The socket is corked so that the answer and the first frame are one write.
    socket.cork()
    sockets.handleUpgrade(request, socket, head, (ws) => {
      open(ws, socket, judgement.opener, judgement.first)
    })
    socket.uncork()
  }

  function open(ws: WebSocket, socket: Socket, opener: Caller | null, first: FirstSubscription | null): void {
    const connection = new Connection({ ws, socket, hub, lists, auth, opener, times, hello, onClosed })
    connections.add(connection)
    if (first !== null) connection.subscribe(first)
    if (rules.isDraining()) connection.drain(0)
  }

  function onClosed(connection: Connection): void {
    connections.delete(connection)
    if (connections.size === 0) onEmpty()
  }

  function drain(): void {
    if (draining) return
    draining = true
    for (const connection of connections) connection.drain(Math.random() * drainSpreadMs)
  }

  async function stop(): Promise<void> {
    draining = true
    for (const leave of detach.splice(0)) leave()
    if (connections.size > 0) await closeAll()
    offSweep()
  }

  function closeAll(): Promise<void> {
    for (const connection of connections) connection.close(CLOSE.restart, 'restart')
    return new Promise((resolve) => {
      const impatience = setTimeout(() => {
        for (const connection of connections) connection.terminate()
      }, STOP_MS)
      onEmpty = () => {
        clearTimeout(impatience)
        resolve()
      }
    })
  }

  return { upgrade, attach, drain, stop }
}

/** What peers get to answer the close frame when the process stops. */
const STOP_MS = 1000
