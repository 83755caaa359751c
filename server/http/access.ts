import type { IncomingMessage } from 'node:http'
import { type Auth, type Caller, mayOnJob, mayOnStore } from '../auth/auth.ts'
import type { OriginPolicy } from '../auth/origin.ts'
import type { Events } from '../events.ts'
import type { Awaitable } from '../jobs/check-value.ts'
import { notFound, ProblemError } from './problem.ts'
import type { Access, HttpContext, Route } from './route.ts'

/** Against pages of other origins, and foreign names that are pointed at a server that asks for no key. Throws `forbidden`. */
export function checkOrigin(
  { method, headers }: IncomingMessage,
  origins: OriginPolicy,
  events: Events,
): void {
  const reads = method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
  const refusal = origins.refusal(headers, reads)
  if (refusal === null) return
  events.emit('origin.refused', { origin: headers.origin, host: headers.host, remedy: refusal.remedy })
  throw new ProblemError('forbidden', refusal.detail)
}

const ANYONE: Caller = { kind: 'anyone' }

/** Who is calling, and that they may. Throws `unauthorized`, `forbidden` and `not_found`. */
export function authorize(auth: Auth, route: Route, context: HttpContext): Awaitable<Caller> {
  const { access } = route
  if (access === 'open') return ANYONE
  const jobId = 'job' in access ? (context.req.param('id') ?? '') : ''
  if (!auth.enabled) return permit(ANYONE, access, jobId)
  return identify(auth, route, context).then((caller) => permit(caller, access, jobId))
}

function permit(caller: Caller, access: Exclude<Access, 'open'>, jobId: string): Caller {
  const permission = 'job' in access ? mayOnJob(caller, access.job, jobId) : mayOnStore(caller, access.store)
  if (permission === 'forbidden') throw new ProblemError('forbidden', 'this key or token may not do this')
  if (permission === 'not_found') throw notFound()
  return caller
}

async function identify(auth: Auth, route: Route, context: HttpContext): Promise<Caller> {
  const credential = credentialOf(route, context)
  const identified = await auth.identify(credential)
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

function credentialOf(route: Route, { env: { incoming }, req }: HttpContext): string | undefined {
  const bearer = BEARER.exec(incoming.headers.authorization ?? '')?.[1]
  if (bearer !== undefined || !route.tokenInQuery) return bearer
  const mark = req.url.indexOf('?')
  const token = mark === -1 ? null : new URLSearchParams(req.url.slice(mark + 1)).get('token')
  return token || undefined
}
