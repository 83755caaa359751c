import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { z } from 'zod'
import type { Problem } from '../../../../shared/api.ts'
import { PROBLEMS, type ProblemCode } from '../../../../shared/codes.ts'
import { readQuery, SocketParameters } from '../../../../shared/query.ts'
import { type Auth, type Caller, requestOf } from '../../../auth/auth.ts'
import type { OriginPolicy } from '../../../auth/origin.ts'
import type { Reach } from '../../../auth/reach.ts'
import type { Events } from '../../../events.ts'

/** Below the base path. */
const SOCKET_PATH = '/ws'

/** What `/ws?job=…` asks for: a subscription from the start. */
export interface FirstSubscription {
  readonly jobId: string
  readonly after: string
  readonly history: boolean
  readonly token?: string
}

export interface Refusal {
  readonly code: ProblemCode
  readonly detail: string
  /** Path and message of what is wrong with the query. */
  readonly errors?: Problem['errors']
  readonly retryAfterS?: number
  readonly headers?: Readonly<Record<string, string>>
}

export type Judgement =
  | {
      readonly ok: true
      /** Whom `Authorization` names; null where there was none. */
      readonly opener: Caller | null
      readonly first: FirstSubscription | null
    }
  | { readonly ok: false; readonly refusal: Refusal }

export interface UpgradeRules {
  readonly reach: Reach
  readonly auth: Auth
  readonly origins: OriginPolicy
  readonly events: Events
  readonly isDraining: () => boolean
  readonly isFull: () => boolean
}

const DRAIN_RETRY_S = 2
const FULL_RETRY_S = 5
/** What a refused peer gets to read its answer. */
const REFUSAL_MS = 5000

const TITLES: Partial<Record<ProblemCode, string>> = {
  invalid_request: 'The request is not valid',
  unauthorized: 'An API key or a job token is needed',
  forbidden: 'This is not allowed',
  not_found: 'Not found',
  method_not_allowed: 'Method not allowed',
  rate_limited: 'Too many connections',
  unavailable: 'The server is about to stop',
}

/** Decides about a WebSocket upgrade before anything is made of it. */
export async function judgeUpgrade(request: IncomingMessage, rules: UpgradeRules): Promise<Judgement> {
  const { pathname, query } = splitTarget(request.url ?? '')
  if (rules.reach.below(pathname) !== SOCKET_PATH)
    return refuse('not_found', `WebSockets are served at ${rules.reach.basePath}${SOCKET_PATH}`)
  const { host, origin, authorization } = request.headers
  const refusal = rules.origins.refusal(request, false)
  if (refusal !== null) {
    rules.events.emit('origin.refused', { origin, host, remedy: refusal.remedy })
    return refuse('forbidden', refusal.detail)
  }
  if (request.method !== 'GET') {
    return refuse('method_not_allowed', 'a WebSocket is opened with GET', { headers: { Allow: 'GET' } })
  }
  if (rules.isDraining()) {
    return refuse('unavailable', 'the process is draining; reconnect', { retryAfterS: DRAIN_RETRY_S })
  }
  if (rules.isFull()) {
    return refuse('rate_limited', 'this process holds as many connections as it may', {
      retryAfterS: FULL_RETRY_S,
    })
  }
  const read = readQuery(SocketParameters, query)
  if (!read.ok) return refuse('invalid_request', 'the query is not valid', { errors: listed(read.errors) })
  const isNamed = read.value.token !== undefined && read.value.token !== ''
  const asked = isNamed ? undefined : () => requestOf(request, rules.reach)
  const opener = await identifyOpener(rules.auth, authorization, asked)
  if (opener === 'unauthorized')
    return refuse('unauthorized', 'the credentials in Authorization are not valid')
  return { ok: true, opener, first: firstOf(read.value) }
}

/** Ends a refused upgrade with a complete HTTP answer (RFC 9110, RFC 9457). */
export function answerRefusal(socket: Duplex, { code, detail, errors, retryAfterS, headers }: Refusal): void {
  const status = PROBLEMS[code]
  const problem: Problem = {
    type: `urn:jobcast:problem:${code}`,
    title: TITLES[code] ?? STATUS_CODES[status] ?? code,
    status,
    detail,
    code,
    ...(errors && { errors }),
  }
  const body = JSON.stringify(problem)
  const lines = Object.entries({
    'Content-Type': 'application/problem+json',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    Connection: 'close',
    ...(status === 401 && { 'WWW-Authenticate': 'Bearer' }),
    ...(retryAfterS !== undefined && { 'Retry-After': String(retryAfterS) }),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  const timer = setTimeout(() => socket.destroy(), REFUSAL_MS)
  socket.once('close', () => clearTimeout(timer))
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`)
}

function refuse(code: ProblemCode, detail: string, rest: Omit<Refusal, 'code' | 'detail'> = {}): Judgement {
  return { ok: false, refusal: { code, detail, ...rest } }
}

function splitTarget(target: string): { pathname: string; query: string } {
  const mark = target.indexOf('?')
  if (mark === -1) return { pathname: target, query: '' }
  return { pathname: target.slice(0, mark), query: target.slice(mark + 1) }
}

/** A name of thousands of characters says no more than its beginning. */
function listed(errors: readonly { path: string; message: string }[]): Problem['errors'] {
  return errors.map(({ path, message }) => ({ path: path.slice(0, 100), message }))
}

function firstOf({
  job,
  after,
  history,
  token,
}: z.output<typeof SocketParameters>): FirstSubscription | null {
  if (job === undefined) return null
  return { jobId: job, after: after ?? '', history: history ?? false, ...(token && { token }) }
}

async function identifyOpener(
  auth: Auth,
  authorization: string | undefined,
  asked: (() => Request) | undefined,
): Promise<Caller | null | 'unauthorized'> {
  if (!auth.enabled) return null
  const credential = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
  const identified = await auth.identify(credential, asked)
  if (identified.ok) return identified.caller
  // Whoever is nobody yet may bring a token with each job.
  return authorization === undefined ? null : 'unauthorized'
}

/** Options of `Connection` that belong to the wish for another protocol. */
const WISHES = new Set(['upgrade', 'http2-settings'])

export function asksForWebSocket(request: IncomingMessage): boolean {
  return /(^|,)\s*websocket\s*(,|$)/i.test(request.headers.upgrade ?? '')
}

/**
 * Serves a request that asks for another protocol as if it did not, which a server may (RFC 9110, section 7.8): so begin
 * clients that would like HTTP/2 best. Once somebody listens for upgrades, Node takes every one of them off HTTP: so the
 * request, with its wish left out, is put back in front of what follows, and the connection is the server's again.
 */
export function ignoreUpgrade(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  const { rawHeaders } = request
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    const value = withoutWish(name.toLowerCase(), rawHeaders[at + 1] ?? '')
    if (value !== null) lines.push(`${name}: ${value}`)
  }
  // The bytes are as they came: Node reads headers as Latin-1.
  const text = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head])
  onceAnswered(socket, () => {
    socket.unshift(text)
    server.emit('connection', socket)
  })
}

/** Requests may come before the earlier ones on their connection are answered; a new start would lose those answers. */
function onceAnswered(socket: Duplex, listener: () => void): void {
  const answering = answeringOn(socket)
  if (answering === null) {
    listener()
    return
  }
  const onError = () => socket.destroy()
  socket.on('error', onError)
  answering.once('close', () => {
    socket.removeListener('error', onError)
    if (!socket.destroyed) onceAnswered(socket, listener)
  })
}

/** The answer whose turn it is on a connection; Node has no public word for it. */
export function answeringOn(
  socket: Duplex & { _httpMessage?: ServerResponse | null },
): ServerResponse | null {
  return socket._httpMessage ?? null
}

/** The value of a header without the wish; null where the header is left out. */
function withoutWish(name: string, value: string): string | null {
  if (name === 'upgrade') return null
  if (name !== 'connection') return value
  const others = value.split(',').filter((option) => !WISHES.has(option.trim().toLowerCase()))
  return others.length > 0 ? others.join(',') : null
}
