import type { IncomingHttpHeaders } from 'node:http'
import { BlockList, isIP } from 'node:net'

/**
 * How callers reach this server: below which path of its own, and through which proxies. Every address that it names to a
 * caller (links, `Location`, its page) begins with what that caller's began with.
 */
export interface Reach {
  /** Before every path that this server answers, such as `/jobs`; empty where it has the whole address space. */
  readonly basePath: string
  /** What follows the base path, query and all; null for what is not below it. */
  below(path: string): string | null
  /** What stands before this server's paths in the caller's addresses: what a trusted proxy took off, then the base path. */
  prefix(incoming: Incoming): string
  /** What a trusted proxy says it was asked for itself; of several on the way, the first. */
  forwarded(incoming: Incoming): Forwarded
}

/** What is to be known of a request; its peer's address is undefined where there is none, as over a Unix socket. */
export interface Incoming {
  /** What a program has taken off the path itself before this server saw it, as Express does where it mounts something. */
  readonly mount?: string
  readonly headers: IncomingHttpHeaders
  readonly socket: { readonly remoteAddress?: string | undefined }
}

interface Forwarded {
  readonly scheme?: 'http' | 'https' | undefined
  readonly host?: string | undefined
  readonly port?: string | undefined
}

/** Whose `X-Forwarded-…` headers count: nobody's, everybody's, or those of some addresses, networks and `NETWORKS`. */
export type TrustProxy = boolean | readonly string[]

/** Networks that have a name, as in Express. */
const NETWORKS: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}

/**
 * Where nothing else is said, proxies on this machine are trusted, and no others: what runs here could do more than name a
 * path, and a proxy elsewhere is not to be told from whoever else comes from there.
 */
export const TRUSTED_BY_DEFAULT: readonly string[] = ['loopback']

const NOTHING: Forwarded = {}

export function createReach({ basePath, trustProxy }: { basePath: string; trustProxy: TrustProxy }): Reach {
  const trusts = createTrust(trustProxy)
  return {
    basePath,
    below(path) {
      if (basePath === '') return path
      if (!path.startsWith(basePath)) return null
      const rest = path.slice(basePath.length)
      if (rest.startsWith('/')) return rest
      return rest === '' || rest.startsWith('?') ? `/${rest}` : null
    },
    prefix(incoming) {
      const { headers, socket, mount = '' } = incoming
      // It may have been the caller's to choose, as where a parameter is mounted at.
      const own = mount === '' ? basePath : (normalPath(mount) ?? '') + basePath
      const given = headers['x-forwarded-prefix']
      if (given === undefined || !trusts(socket.remoteAddress)) return own
      const takenOff = readPrefix(String(given))
      // A proxy that names the path without taking it off names what is said already.
      return takenOff.endsWith(own) ? takenOff : takenOff + own
    },
    forwarded({ headers, socket }) {
      const { 'x-forwarded-proto': scheme, 'x-forwarded-host': host, 'x-forwarded-port': port } = headers
      if ((scheme ?? host ?? port) === undefined || !trusts(socket.remoteAddress)) return NOTHING
      const said = first(scheme)
      return {
        scheme: said === 'http' || said === 'https' ? said : undefined,
        host: first(host),
        port: first(port),
      }
    },
  }
}

/** A path without a slash at its end, in characters that mean nothing in HTML, JSON or a header; `/` is the empty one. */
const PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~%-]+)*\/?$/

/** The one spelling of a path that others are below: without a slash at its end. Null for what is none. */
export function normalPath(text: string): string | null {
  return PATH.test(text) ? text.replace(/\/$/, '') : null
}

/** Each proxy adds what it took off behind what those before it did; nothing counts where one of them is no path. */
function readPrefix(header: string): string {
  const paths = header.split(',').map((part) => normalPath(part.trim()))
  return paths.includes(null) ? '' : paths.join('')
}

/** Each proxy on the way may add one behind those before it: the first is what the browser asked. */
function first(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header
  return text?.split(',')[0]?.trim()
}

/** Whether the headers of a peer count, by its address. */
function createTrust(trustProxy: TrustProxy): (address: string | undefined) => boolean {
  if (typeof trustProxy === 'boolean') return () => trustProxy
  const trusted = new BlockList()
  for (const entry of trustProxy.flatMap((name) => NETWORKS[name] ?? name)) addTo(trusted, entry)
  return (address) => address !== undefined && isListed(trusted, address)
}

function isListed(list: BlockList, address: string): boolean {
  const version = isIP(address)
  return version !== 0 && list.check(address, version === 6 ? 'ipv6' : 'ipv4')
}

function addTo(list: BlockList, entry: string): void {
  const [address = '', bits] = entry.split('/')
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  if (bits === undefined) list.addAddress(address, family)
  else list.addSubnet(address, Number(bits), family)
}

/** Whether an entry of `TrustProxy` names an address, a network (`10.0.0.0/8`) or one of those with a name. */
export function isTrustable(entry: string): boolean {
  if (Object.hasOwn(NETWORKS, entry)) return true
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? []
  const version = isIP(address)
  return version !== 0 && (bits === undefined || Number(bits) <= (version === 6 ? 128 : 32))
}
