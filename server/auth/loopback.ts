/** In the spelling of the URL standard, which knows one for every address: `127.1` and `[::ffff:127.0.0.1]` as well. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\])$/

/** Whether a host name or address, however it is spelled, reaches only this machine. */
export function isLoopback(host: string): boolean {
  const isBareIpv6 = host.includes(':') && !host.startsWith('[')
  const address = `http://${isBareIpv6 ? `[${host}]` : host}`
  return URL.canParse(address) && LOOPBACK.test(withoutDot(new URL(address).hostname))
}

/** A name that is complete may end in a dot (RFC 1034 section 3.1), and is the same name. */
export function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name
}
