import { isLoopback } from './loopback.ts'

/** Which pages of a browser may call this server (RFC 6454), and under which names it may be called. */
export interface OriginPolicy {
  /** `Origin` may be absent, as from `curl` and `wscat`; otherwise it must be this server's own or an allowed one. */
  allowsOrigin(origin: string | undefined, host: string | undefined): boolean
  /** Without API keys only loopback names are answered, so that no foreign name can be pointed at this server. */
  allowsHost(host: string | undefined): boolean
}

export function createOriginPolicy(options: {
  allowedOrigins: readonly string[]
  keysRequired: boolean
}): OriginPolicy {
  const allowed = new Set(options.allowedOrigins)
  return {
    allowsOrigin(origin, host) {
      if (origin === undefined || allowed.has(origin)) return true
      // Only the host is compared: behind a proxy that ends TLS the scheme seen here is not the page's.
      return URL.canParse(origin) && host !== undefined && new URL(origin).host === host.toLowerCase()
    },
    allowsHost(host) {
      if (options.keysRequired) return true
      const address = `http://${host}`
      return host !== undefined && URL.canParse(address) && isLoopback(new URL(address).hostname)
    },
  }
}
