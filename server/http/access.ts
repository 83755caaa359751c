import { type Auth, type Caller, mayOnJob, mayOnStore } from '../auth/auth.ts'
import type { OriginPolicy } from '../auth/origin.ts'
import type { Events } from '../events.ts'
import type { Awaitable } from '../jobs/check-value.ts'
import { Answer } from './answer.ts'
import type { Arrival } from './arrival.ts'
import { notFound, ProblemError } from './problem.ts'
import type { Access, HttpContext, Route } from './route.ts'

/** Against pages of other origins, and foreign names that are pointed at a server that asks for no key. Throws `forbidden`. */
export function checkOrigin(arrival: Arrival, origins: OriginPolicy, events: Events): void {
  const { method, headers } = arrival
  const reads = method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
  const refusal = origins.refusal(arrival, reads)
  if (refusal === null) return
  events.emit('origin.refused', { origin: headers.origin, host: headers.host, remedy: refusal.remedy })
  throw new ProblemError('forbidden', refusal.detail)
}

const ANYONE: Caller = { kind: 'anyone' }

/** Who is calling, and that they may. Throws `unauthorized`, `forbidden` and `not_found`. */
export function authorize(auth: Auth, route: Route, context: HttpContext): Awaitable<Caller> {
  const { access } = route
  if (access === 'open') return ANYONE
  const { caller } = context.env
  const jobId = 'job' in access ? (context.req.param('id') ?? '') : ''
  if (caller !== null || !auth.enabled) return permit(caller ?? ANYONE, access, jobId)
  return identify(auth, route, context).then((caller) => permit(caller, access, jobId))
}

function permit(caller: Caller, access: Exclude<Access, 'open'>, jobId: string): Caller {
  const permission = 'job' in access ? mayOnJob(caller, access.job, jobId) : mayOnStore(caller, access.store)
  if (permission === 'forbidden') throw new ProblemError('forbidden', 'this key or token may not do this')
  if (permission === 'not_found') throw notFound()
  return caller
}

/** Whether the caller of a route may do more than it asks for. */
export async function isPermitted(
  auth: Auth,
  route: Route,
  context: HttpContext,
  access: Access,
): Promise<boolean> {
  try {
    await authorize(auth, { ...route, access }, context)
    return true
  } catch (error) {
    if (error instanceof ProblemError) return false
    throw error
  }
}

async function identify(auth: Auth, route: Route, context: HttpContext): Promise<Caller> {
  const credential = credentialOf(route, context)
  const identified = await auth.identify(credential, () => context.env.toRequest())
  if (identified.ok) return identified.caller
  if (credential === undefined) {
    throw new ProblemError('unauthorized', 'send Authorization: Bearer with an API key or a job token', {
      headers: { 'www-authenticate': 'Bearer' },
    })
  }
  throw new ProblemError(
    'unauthorized',
    identified.expired ? 'the job token has expired' : 'the key or token is not valid',
    {
      headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
    },
  )
}

const BEARER = /^Bearer +(\S+)\s*$/i

function credentialOf(route: Route, { env, req }: HttpContext): string | undefined {
  const bearer = BEARER.exec(env.headers.authorization ?? '')?.[1]
  if (bearer !== undefined || !route.tokenInQuery) return bearer
  const mark = req.url.indexOf('?')
  const token = mark === -1 ? null : new URLSearchParams(req.url.slice(mark + 1)).get('token')
  return token || undefined
}

/** Headers of answers that a page of an allowed origin may read. */
const EXPOSED =
  'Location, ETag, Idempotency-Replayed, Preference-Applied, Retry-After, WWW-Authenticate, Allow, Date'
/** Headers of requests that the protocol knows. */
const OWN_HEADERS = [
  'Accept',
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'If-None-Match',
  'Last-Event-ID',
  'Prefer',
]
const PREFLIGHT_MAX_AGE_S = '600'

/** Lets a page of an allowed origin read the answer (Fetch standard, section CORS protocol). */
export function allowOrigin(response: Response, { headers }: Arrival, origins: OriginPolicy): void {
  const { origin, host } = headers
  if (origin === undefined) return
  response.headers.append('vary', 'Origin')
  if (!origins.allowsOrigin(origin, host)) return
  response.headers.set('access-control-allow-origin', origin)
  response.headers.set('access-control-expose-headers', EXPOSED)
}

/** Answer to OPTIONS: what the address can do and, to a browser's preflight, what a page may do with it. */
export function optionsAnswer(allow: string, { headers }: Arrival, origins: OriginPolicy): Response {
  const response = new Answer(null, { status: 204, headers: { allow } })
  const preflight = headers.origin !== undefined && headers['access-control-request-method'] !== undefined
  if (preflight && origins.allowsOrigin(headers.origin, headers.host)) {
    response.headers.set('access-control-allow-methods', allow)
    response.headers.set(
      'access-control-allow-headers',
      [...OWN_HEADERS, ...origins.allowedHeaders].join(', '),
    )
    response.headers.set('access-control-max-age', PREFLIGHT_MAX_AGE_S)
  }
  return response
}
