import { isIP } from 'node:net'
import type { Incoming, Reach } from './reach.ts'

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
  refusal(incoming: Incoming, reads: boolean): OriginRefusal | null
}

interface OriginRefusal {
  /** For the caller. */
  readonly detail: string
  /** For the operator: what would let such a caller in. */
  readonly remedy: string
}

interface OriginOptions {
  readonly allowedOrigins: readonly string[]
  readonly allowedHeaders?: readonly string[]
  readonly keysRequired: boolean
  readonly reach: Reach
  /** Whether settings are options of a call, rather than variables of the environment: as that they are named. */
  readonly embedded?: boolean
}

export function createOriginPolicy(options: OriginOptions): OriginPolicy {
  const { reach } = options
  const allowed = new Set(options.allowedOrigins.map((origin) => normalPattern(origin) ?? origin))
  const embedded = options.embedded ?? false

  const keysRemedy = embedded
    ? 'apiKeys or authorize, with which any name is answered'
    : 'JOBCAST_API_KEYS, with which any name is answered'

  function allowsOrigin(origin: string | undefined, host: string | undefined): boolean {
    if (origin === undefined || allowed.has(origin)) return true
    const normal = normalOrigin(origin)
    if (normal === null) return false
    return allowed.has(normal) || allowed.has(withAnyPort(normal)) || isSameHost(normal, host)
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
   * forwarded name is judged like a Host; an address, such as a telephone in the same network asks, is nobody's to point.
   */
  function isOwnBehindProxy(origin: string, incoming: Incoming): boolean {
    const site = incoming.headers['sec-fetch-site']
    if (site === 'same-origin' || site === 'none') return true
    const normal = normalOrigin(origin)
    if (normal === null) return false
    const { host, port } = reach.forwarded(incoming)
    if (host !== undefined) return (allowsHost(host) || isAddress(host)) && isSameHost(normal, host)
    // Of a WebSocket, for which Chromium sends no Sec-Fetch-Site, a Node proxy on this machine may forward just the port.
    const { hostname } = new URL(normal)
    if (port === undefined || !isOurs(incoming.headers.host) || !isLoopback(hostname)) return false
    return isSameHost(normal, `${hostname}:${port}`)
  }

  function remedyFor(origin: string, incoming: Incoming): string {
    const normal = normalOrigin(origin)
    if (normal === null)
      return 'none: a page without an origin of its own, as in a sandboxed frame, cannot be allowed'
    if (isSameHost(normal, reach.forwarded(incoming).host)) return keysRemedy
    const allowing = settingOf('allowedOrigins', [...allowed, normal], embedded)
    const { headers, socket } = incoming
    const said = headers['x-forwarded-host']
    if (isSameHost(normal, String(said)) && socket.remoteAddress !== undefined) {
      const trusting = settingOf('trustProxy', [socket.remoteAddress], embedded)
      return `${trusting}, where that is a proxy, which says for whom it forwards; otherwise ${allowing}`
    }
    const isLocal = isOurs(headers.host) && isLoopback(new URL(normal).hostname)
    return isLocal ? `${allowing}, or a proxy that leaves Host as it is` : allowing
  }

  return {
    allowedHeaders: options.allowedHeaders ?? [],
    allowsOrigin,
    refusal(incoming, reads) {
      const { host, origin } = incoming.headers
      if (!allowsHost(host)) {
        return {
          detail: `without API keys this server answers to localhost only: see ${embedded ? 'apiKeys' : 'JOBCAST_API_KEYS'}`,
          remedy: keysRemedy,
        }
      }
      if (reads || origin === undefined) return null
      if (allowsOrigin(origin, host) || isOwnBehindProxy(origin, incoming)) return null
      return {
        detail: `pages of this origin may not call this server: see ${nameOf('allowedOrigins', embedded)}`,
        remedy: remedyFor(origin, incoming),
      }
    },
  }
}

const VARIABLES = {
  allowedOrigins: 'JOBCAST_ALLOWED_ORIGINS',
  trustProxy: 'JOBCAST_TRUST_PROXY',
} as const
type Setting = keyof typeof VARIABLES

function nameOf(setting: Setting, embedded: boolean): string {
  return embedded ? setting : VARIABLES[setting]
}

/** A setting as it is written where it belongs: in a call's options or in the environment. */
function settingOf(setting: Setting, values: readonly string[], embedded: boolean): string {
  const name = nameOf(setting, embedded)
  return embedded
    ? `${name}: [${values.map((value) => `'${value}'`).join(', ')}]`
    : `${name}=${values.join(',')}`
}

const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@\\,*]+$/i

/**
 * The one spelling of an origin: lower case, addresses as the URL standard has them, without a dot at the end or the
 * port that its scheme has anyway. Null for what is no origin, or is one that many share (`null`).
 */
export function normalOrigin(text: string): string | null {
  if (!ORIGIN.test(text) || !URL.canParse(text)) return null
  const { protocol, hostname, port } = new URL(text)
  return `${protocol}//${withoutDot(hostname)}${port && `:${port}`}`
}

const ANY_PORT = ':*'

/** The one spelling of an origin that may be allowed, whose port may be any: `http://localhost:*`. */
export function normalPattern(text: string): string | null {
  if (!text.endsWith(ANY_PORT)) return normalOrigin(text)
  const origin = normalOrigin(text.slice(0, -ANY_PORT.length))
  return origin === null ? null : withAnyPort(origin)
}

function withAnyPort(normalOrigin: string): string {
  return normalOrigin.replace(/(?::\d+)?$/, ANY_PORT)
}

/**
 * Only hosts are compared: behind a proxy that ends TLS the scheme seen here is not the page's. For the same reason both
 * 80 and 443 are the port that need not be named. A proxy may write the scheme of a WebSocket (`rewriteWsOrigin` of Vite).
 */
function isSameHost(normalOrigin: string, host: string | undefined): boolean {
  if (!/^(https?|wss?):/.test(normalOrigin)) return false
  const normal = normalHost(host)
  return normal !== null && normal === normalHost(new URL(normalOrigin).host)
}

/** Whether it is an address rather than a name. */
function isAddress(host: string): boolean {
  const normal = normalHost(host)
  return normal !== null && isIP(new URL(`http://${normal}`).hostname.replace(/^\[|\]$/g, '')) !== 0
}

function isOurs(host: string | undefined): boolean {
  const normal = normalHost(host)
  return normal !== null && isLoopback(new URL(`http://${normal}`).hostname)
}

function normalHost(host: string | undefined): string | null {
  const normal = host === undefined ? null : normalOrigin(`http://${host}`)
  return normal === null ? null : normal.slice('http://'.length).replace(/:443$/, '')
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
