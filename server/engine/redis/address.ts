/** Where Redis is: a server, or the sentinels that know which server is the master at the moment. */
export type RedisAddress =
  | { readonly kind: 'server'; readonly url: string; readonly name: string }
  | {
      readonly kind: 'sentinel'
      readonly sentinels: readonly Endpoint[]
      /** Under which the sentinels know it. */
      readonly master: string
      readonly username: string | undefined
      readonly password: string | undefined
      readonly database: number
      readonly tls: boolean
      /** For people: no secret in it. */
      readonly name: string
    }

interface Endpoint {
  readonly host: string
  readonly port: number
}

const SENTINEL_PORT = 26379
const REDIS_PORT = '6379'
/** Anything else in the address would reach the driver as options of its own. */
const DATABASE = /^(\/\d{0,4})?$/
/** `redis+sentinel://[user[:password]@]host[:port][,…]/master[/database]`: lists of hosts are beyond WHATWG URLs. */
const SENTINEL = /^redis(s?)\+sentinel:\/\/(?:([^@/]*)@)?([^@/?#]+)\/([\w.-]+)(?:\/(\d{1,4}))?$/
const ENDPOINT = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i

/** Null for what is no address of Redis. */
export function parseRedisAddress(text: string): RedisAddress | null {
  return SENTINEL.test(text) ? parseSentinels(text) : parseServer(text)
}

function parseServer(text: string): RedisAddress | null {
  if (!URL.canParse(text)) return null
  const { protocol, hostname, port, pathname, search, hash } = new URL(text)
  const isPlain = search === '' && hash === '' && DATABASE.test(pathname)
  if (!isPlain || hostname === '' || !['redis:', 'rediss:'].includes(protocol)) return null
  return { kind: 'server', url: text, name: `${hostname}:${port === '' ? REDIS_PORT : port}` }
}

function parseSentinels(text: string): RedisAddress | null {
  const [, tls, user = '', hosts = '', master = '', database = '0'] = SENTINEL.exec(text) ?? []
  const sentinels = hosts.split(',').map(parseEndpoint)
  const colon = user.indexOf(':')
  const username = decode(colon === -1 ? user : user.slice(0, colon))
  const password = colon === -1 ? '' : decode(user.slice(colon + 1))
  if (!sentinels.every((one) => one !== null) || username === null || password === null) return null
  return {
    kind: 'sentinel',
    sentinels,
    master,
    username: username === '' ? undefined : username,
    password: password === '' ? undefined : password,
    database: Number(database),
    tls: tls === 's',
    name: `master ${master} of the sentinels ${hosts}`,
  }
}

function parseEndpoint(text: string): Endpoint | null {
  const [, ipv6, name, port] = ENDPOINT.exec(text) ?? []
  const host = ipv6 ?? name
  const number = port === undefined ? SENTINEL_PORT : Number(port)
  return host === undefined || number < 1 || number > 65_535 ? null : { host, port: number }
}

/** Percent-encoded, as in every address; null where it is not. */
function decode(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
