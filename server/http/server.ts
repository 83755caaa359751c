import { createServer, type RequestListener, type Server, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener, RequestError } from '@hono/node-server'
import { PROBLEMS, type ProblemCode } from '../../shared/codes.ts'
import { answeringOn } from '../gateway/transports/websocket/upgrade.ts'
import { cutStalled, MAX_PIPELINED, oneByOne } from './connections.ts'
import type { App } from './dispatch.ts'
import { PROBLEM_HEADERS, ProblemError, problemBody, problemResponse, RETRY_AFTER_S } from './problem.ts'

/** Of a whole request; bodies have a least speed besides. */
const REQUEST_TIMEOUT_MS = 300_000
const HEADERS_TIMEOUT_MS = 15_000
const TIMEOUT_CHECK_MS = 2000
const MAX_HEADER_BYTES = 16 * 1024
/** Longer than the 60 s for which load balancers keep their connections, so that they are the ones to end them. */
const KEEP_ALIVE_MS = 65_000

/** A server for the app, with limits on how a request may arrive; what breaks them is told in problems as well. */
export function createHttpServer(app: App): Server {
  const answer = getRequestListener((request, env) => app.fetch(request, env), {
    errorHandler: (error) => problemResponse(malformed(error)),
  })
  const listener: RequestListener = (incoming, outgoing) => {
    const { headers } = incoming
    if (headers.host?.startsWith('[')) headers.host = shortestIpv6(headers.host)
    return answer(incoming, outgoing)
  }
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
