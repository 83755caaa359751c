import type { IncomingMessage } from 'node:http'
import type { OriginPolicy } from '../auth/origin.ts'

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
export function allowOrigin(response: Response, { headers }: IncomingMessage, origins: OriginPolicy): void {
  const { origin, host } = headers
  if (origin === undefined) return
  response.headers.append('vary', 'Origin')
  if (!origins.allowsOrigin(origin, host)) return
  response.headers.set('access-control-allow-origin', origin)
  response.headers.set('access-control-expose-headers', EXPOSED)
}

/** Answer to OPTIONS: what the address can do and, to a browser's preflight, what a page may do with it. */
export function optionsAnswer(allow: string, { headers }: IncomingMessage, origins: OriginPolicy): Response {
  const response = new Response(null, { status: 204, headers: { allow } })
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
