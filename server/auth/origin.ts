import type { IncomingHttpHeaders } from 'node:http'

/** Which pages of a browser may call this server (RFC 6454), and under which names it may be called. */
export interface OriginPolicy {
  /** Request headers that a page may send besides those of the protocol. */
  readonly allowedHeaders: readonly string[]
  /** Whether a page of this `Origin` may read answers (CORS): this server's own and an allowed one. */
  allowsOrigin(origin: string | undefined, host: string | undefined): boolean
  /**
   * Why a request may not be answered; null where nothing speaks against it. One that only `reads` is harmless from any
   * page, which sees no more of the answer than CORS lets it; a WebSocket is none.
   */
  refusal(headers: IncomingHttpHeaders, reads: boolean): OriginRefusal | null
}

interface OriginRefusal {
  /** For the caller. */
  readonly detail: string
  /** For the operator: what would let such a caller in. */
  readonly remedy: string
}

export function createOriginPolicy(options: {
  allowedOrigins: readonly string[]
  allowedHeaders?: readonly string[]
  keysRequired: boolean
}): OriginPolicy {
  const allowed = new Set(options.allowedOrigins.map((origin) => normalOrigin(origin) ?? origin))

  function allowsOrigin(origin: string | undefined, host: string | undefined): boolean {
    if (origin === undefined || allowed.has(origin)) return true
    const normal = normalOrigin(origin)
    return normal !== null && (allowed.has(normal) || isSameHost(normal, host))
  }

  // Nearly every request has the same Host as the last one, and reading it is not free.
  let last: { readonly host: string | undefined; readonly allowed: boolean } | undefined

  /** Without API keys only loopback names are answered, so that no foreign name can be pointed at this server. */
  function allowsHost(host: string | undefined): boolean {
    if (options.keysRequired) return true
    if (last === undefined || last.host !== host) last = { host, allowed: isOurs(host) }
    return last.allowed
  }

  /**
   * Whether a proxy on the way changed `Host` for a page of its own origin. A page cannot say so itself: a browser sends
   * these headers as it finds, or for nobody without having asked here before. Where a foreign name is pointed at the
   * proxy, the browser leaves `Sec-Fetch-Site` out (it is for names that can be trusted: https, localhost), and a
   * forwarded name is judged like a Host.
   */
  function isOwnBehindProxy(origin: string, headers: IncomingHttpHeaders): boolean {
    const site = headers['sec-fetch-site']
    if (site === 'same-origin' || site === 'none') return true
    const normal = normalOrigin(origin)
    if (normal === null) return false
    const forwardedHost = first(headers['x-forwarded-host'])
    if (forwardedHost !== undefined) return allowsHost(forwardedHost) && isSameHost(normal, forwardedHost)
    // Of a WebSocket, for which Chromium sends no Sec-Fetch-Site, a Node proxy on this machine may forward just the port.
    const { hostname } = new URL(normal)
    const forwardedPort = first(headers['x-forwarded-port'])
    if (forwardedPort === undefined || !isOurs(headers.host) || !isLoopback(hostname)) return false
    return isSameHost(normal, `${hostname}:${forwardedPort}`)
  }

  return {
    allowedHeaders: options.allowedHeaders ?? [],
    allowsOrigin,
    refusal(headers, reads) {
      const { host, origin } = headers
      if (!allowsHost(host)) {
        return {
          detail: 'without API keys this server answers to localhost only',
          remedy: 'JOBCAST_API_KEYS, with which any name is answered',
        }
      }
      if (reads || origin === undefined) return null
      if (allowsOrigin(origin, host) || isOwnBehindProxy(origin, headers)) return null
      const normal = normalOrigin(origin)
      return {
        detail: 'pages of this origin may not call this server: see JOBCAST_ALLOWED_ORIGINS',
        remedy:
          normal === null
            ? 'none: a page without an origin of its own, as in a sandboxed frame, cannot be allowed'
            : `JOBCAST_ALLOWED_ORIGINS=${[...allowed, normal].join(',')}`,
      }
    },
  }
}

const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@\\,]+$/i

/**
 * The one spelling of an origin: lower case, addresses as the URL standard has them, without a dot at the end or the
 * port that its scheme has anyway. Null for what is no origin, or is one that many share (`null`).
 */
export function normalOrigin(text: string): string | null {
  if (!ORIGIN.test(text) || !URL.canParse(text)) return null
  const { protocol, hostname, port } = new URL(text)
  return `${protocol}//${withoutDot(hostname)}${port && `:${port}`}`
}

/**
 * Only hosts are compared: behind a proxy that ends TLS the scheme seen here is not the page's. For the same reason both
 * 80 and 443 are the port that need not be named.
 */
function isSameHost(normalOrigin: string, host: string | undefined): boolean {
  if (!/^https?:/.test(normalOrigin)) return false
  const normal = normalHost(host)
  return normal !== null && normal === normalHost(new URL(normalOrigin).host)
}

function isOurs(host: string | undefined): boolean {
  const normal = normalHost(host)
  return normal !== null && isLoopback(new URL(`http://${normal}`).hostname)
}

function normalHost(host: string | undefined): string | null {
  const normal = host === undefined ? null : normalOrigin(`http://${host}`)
  return normal === null ? null : normal.slice('http://'.length).replace(/:443$/, '')
}

/** Each proxy on the way may add one behind those before it: the first is what the browser asked. */
function first(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header
  return text?.split(',')[0]?.trim()
}

/** In the spelling of the URL standard, which knows one for every address: `127.1` and `[::ffff:127.0.0.1]` as well. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\])$/

/** Whether a host name or address, however it is spelled, reaches only this machine. */
export function isLoopback(host: string): boolean {
  const isBareIpv6 = host.includes(':') && !host.startsWith('[')
  const address = `http://${isBareIpv6 ? `[${host}]` : host}`
  return URL.canParse(address) && LOOPBACK.test(withoutDot(new URL(address).hostname))
}

/** A name that is complete may end in a dot (RFC 1034 section 3.1), and is the same name. */
function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name
}
