import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener, type HttpBindings, RequestError } from '@hono/node-server'
import { PROBLEMS, type ProblemCode } from '../../shared/codes.ts'
import { bytesTaken } from '../gateway/transports/websocket/socket-pipe.ts'
import { answeringOn } from '../gateway/transports/websocket/upgrade.ts'
import { Answer } from './answer.ts'
import { type Arrival, type Call, CallArrival, FetchArrival, isElsewhere, NodeArrival } from './arrival.ts'
import type { App } from './dispatch.ts'
import { PROBLEM_HEADERS, ProblemError, problemBody, problemResponse, RETRY_AFTER_S } from './problem.ts'

/** Of a whole request; bodies have a least speed besides. */
const REQUEST_TIMEOUT_MS = 300_000
const HEADERS_TIMEOUT_MS = 15_000
const TIMEOUT_CHECK_MS = 2000
const MAX_HEADER_BYTES = 16 * 1024
/** Longer than the 60 s for which load balancers keep their connections, so that they are the ones to end them. */
const KEEP_ALIVE_MS = 65_000

/** Answers what comes over `node:http`. Where `next` is given, it is called for what this app has nothing to do with. */
export type NodeHandler = (incoming: IncomingMessage, outgoing: ServerResponse, next?: () => void) => void

export function nodeHandler(app: App): NodeHandler {
  const { reach } = app
  const answer = getRequestListener(
    (request, bindings) => {
      // The border: the listener is handed nothing but HTTP/1 below, and hands back what it was handed.
      const { incoming, outgoing } = bindings as HttpBindings
      return app.fetch(request, new NodeArrival(incoming, outgoing, reach))
    },
    { overrideGlobalObjects: false, errorHandler: (error) => problemResponse(malformed(error)) },
  )
  const isOurs = (arrival: Arrival) => !isElsewhere(arrival) && (reach.basePath !== '' || app.knows(arrival))
  return (incoming, outgoing, next) => {
    if (next !== undefined && !isOurs(new NodeArrival(incoming, outgoing, reach))) {
      next()
      return
    }
    const { headers } = incoming
    if (headers.host?.startsWith('[')) headers.host = shortestIpv6(headers.host)
    void answer(incoming, outgoing)
  }
}

/** Whoever serves by `Request` and `Response` in Bun or Deno has no socket to hand over: clients need not try. */
const PASSES_WEBSOCKETS = process.versions.bun === undefined && process.versions.deno === undefined

/** Does the same for whoever has a `Request`. */
export async function answerFetch(app: App, request: Request): Promise<Response> {
  const response = responseOf(await app.fetch(request, new FetchArrival(request, app.reach)))
  if (!PASSES_WEBSOCKETS) response.headers.set('jobcast-transports', 'sse, long-poll, polling')
  return response
}

/** Does the same for a client in this process, which may do everything. */
export async function answerCall(app: App, call: Call): Promise<Response> {
  const arrival = new CallArrival(call)
  return app.fetch(arrival.request, arrival)
}

function responseOf(answer: Response): Response {
  return answer instanceof Answer ? answer.toResponse() : answer
}

/** A server for the app, with limits on how a request may arrive; what breaks them is told in problems as well. */
export function createHttpServer(app: App): Server {
  const listener = nodeHandler(app)
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      // Answered below, with a body that says so.
      requireHostHeader: false,
    },
    oneByOne(listener, (socket) =>
      refuse(
        socket,
        'rate_limited',
        `${MAX_PIPELINED} requests of a connection may wait for earlier answers`,
      ),
    ),
  )
  // A body that its sender announced is asked for only once its reader wants it.
  server.on('checkContinue', (incoming, outgoing) => server.emit('request', incoming, outgoing))
  server.on('clientError', refuseRaw)
  cutStalled(server)
  return server
}

/** The listener takes an IPv6 address for a host in one spelling only (RFC 5952). */
function shortestIpv6(host: string): string {
  const address = `http://${host}`
  return URL.canParse(address) ? new URL(address).host : host
}

function malformed(error: unknown): ProblemError {
  if (error instanceof RequestError) return new ProblemError('invalid_request', error.message)
  return new ProblemError('internal_error', 'the request could not be read')
}

const RAW_CODES: Record<string, readonly [ProblemCode, string]> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', `the headers may have ${MAX_HEADER_BYTES} bytes`],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['payload_too_large', 'the chunk extensions are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'the request took too long to arrive'],
}

const NO_HTTP = ['invalid_request', 'this is no valid HTTP request'] as const

/** Answers what was no HTTP, or came too slowly or too large for the parser, and ends the connection. */
function refuseRaw(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET') socket.destroy()
  else refuse(socket, ...(RAW_CODES[error.code ?? ''] ?? NO_HTTP))
}

/** In place of the answer whose turn it is, if that is not half out already. */
function refuse(socket: Duplex, code: ProblemCode, detail: string): void {
  if (!socket.writable || wouldCorrupt(socket)) {
    socket.destroy()
    return
  }
  const body = problemBody(code, detail)
  const head = [
    `HTTP/1.1 ${PROBLEMS[code]} ${STATUS_CODES[PROBLEMS[code]]}`,
    ...Object.entries(PROBLEM_HEADERS).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(body)}`,
    ...(code === 'rate_limited' ? [`retry-after: ${RETRY_AFTER_S}`] : []),
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

/** Whether an answer is half out already, or nothing ever came in, as from a browser that connects in advance. */
function wouldCorrupt(socket: Duplex): boolean {
  return answeringOn(socket)?.headersSent === true || (socket as Socket).bytesRead === 0
}

/** So many requests of one connection may wait for the answer to an earlier one. */
export const MAX_PIPELINED = 32

/** A connection on which no byte was taken in so many looks, one every so many ms, while some wait is ended: 30 s. */
const LOOK_MS = 2000
const PATIENCE = 15

/** What waits of one connection: how many requests, and the last of them. */
interface Line {
  waiting: number
  last: ServerResponse
}

/**
 * Hands on the requests of a connection one after another, each when the one before is answered. Node tells of all that
 * came in one packet at once, hundreds of them, and keeps the answers until it is their turn; and those behind the first
 * would never learn that their caller is gone. `refuse` ends a connection with more than may wait.
 */
export function oneByOne(listener: RequestListener, refuse: (socket: Socket) => void): RequestListener {
  const lines = new WeakMap<Socket, Line>()

  function standInLine(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { socket } = incoming
    // What else came in the packet that broke the limit.
    if (socket.destroyed || socket.writableEnded) return
    const line = lines.get(socket) ?? { waiting: 0, last: outgoing }
    const before = line.waiting > 0 ? line.last : answeringOn(socket)
    if (line.waiting === MAX_PIPELINED || before === null) {
      refuse(socket)
      return
    }
    line.waiting += 1
    line.last = outgoing
    lines.set(socket, line)
    before.once('close', () => {
      line.waiting -= 1
      // It has none where the connection ends with the answer before.
      if (outgoing.socket !== null) listener(incoming, outgoing)
    })
  }

  return (incoming, outgoing) => {
    // Only the first in line has been given the socket.
    if (outgoing.socket === null) standInLine(incoming, outgoing)
    else listener(incoming, outgoing)
  }
}

/**
 * Ends connections whose readers have stopped to read, whatever they asked for. Looks are counted, not time: a process that
 * was held up itself has offered nothing meanwhile.
 */
export function cutStalled(server: Server, lookMs = LOOK_MS): void {
  const open = new Set<Socket>()
  const stuck = new Map<Socket, { taken: number; quietLooks: number }>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => {
      open.delete(socket)
      stuck.delete(socket)
    })
  })

  function look(socket: Socket): void {
    if (socket.writableLength === 0) {
      stuck.delete(socket)
      return
    }
    const taken = bytesTaken(socket)
    const last = stuck.get(socket)
    if (last === undefined || last.taken !== taken) stuck.set(socket, { taken, quietLooks: 0 })
    else if (++last.quietLooks >= PATIENCE) socket.destroy()
  }

  server.on('listening', () => {
    const looks = setInterval(() => open.forEach(look), lookMs)
    server.once('close', () => clearInterval(looks))
  })
}
