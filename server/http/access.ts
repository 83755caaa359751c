import type { IncomingMessage } from 'node:http'
import { type Auth, type Caller, mayOnJob, mayOnStore } from '../auth/auth.ts'
import type { OriginPolicy } from '../auth/origin.ts'
import { isJobId } from '../engine/job-id.ts'
import type { Awaitable } from '../jobs/check-value.ts'
import { notFound, ProblemError } from './problem.ts'
import type { Access, HttpContext, Route } from './route.ts'

/**
 * Against pages of other origins: they may read nothing that CORS does not let them, so a GET is harmless, and
 * may do nothing else; and no foreign name may be pointed at a server that asks for no key. Throws `forbidden`.
 */
export function checkOrigin({ method, headers }: IncomingMessage, origins: OriginPolicy): void {
  if (!origins.allowsHost(headers.host)) {
    throw new ProblemError('forbidden', 'without API keys this server answers to localhost only')
  }
  const reads = method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
  if (!reads && !origins.allowsOrigin(headers.origin, headers.host)) {
    throw new ProblemError(
      'forbidden',
      'pages of this origin may not call this server: see JOBCAST_ALLOWED_ORIGINS',
    )
  }
}

/** Remembers the verdict on the last Host: nearly every request has the same one, and reading it is not free. */
export function rememberHost(origins: OriginPolicy): OriginPolicy {
  let last: { readonly host: string | undefined; readonly allowed: boolean } | undefined
  return {
    allowsOrigin: origins.allowsOrigin,
    allowsHost(host) {
      if (last === undefined || last.host !== host) last = { host, allowed: origins.allowsHost(host) }
      return last.allowed
    },
  }
}

const ANYONE: Caller = { kind: 'anyone' }

/** Who is calling, and that they may. Throws `unauthorized`, `forbidden` and `not_found`. */
export function authorize(auth: Auth, route: Route, context: HttpContext, jobId: string): Awaitable<Caller> {
  const { access } = route
  if (access === 'open') return ANYONE
  if (!auth.enabled) return permit(ANYONE, access, jobId)
  return identify(auth, route, context).then((caller) => permit(caller, access, jobId))
}

function permit(caller: Caller, access: Exclude<Access, 'open'>, jobId: string): Caller {
  const permission = 'job' in access ? mayOnJob(caller, access.job, jobId) : mayOnStore(caller, access.store)
  if (permission === 'forbidden') throw new ProblemError('forbidden', 'this key or token may not do this')
  // What is not shaped like an id never reaches the store.
  if (permission === 'not_found' || ('job' in access && !isJobId(jobId))) throw notFound()
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
