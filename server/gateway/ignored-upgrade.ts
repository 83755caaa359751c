import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'

/** Of `Connection`: what belongs to the wish for another protocol. */
const WISHES = new Set(['upgrade', 'http2-settings'])

export function asksForWebSocket(request: IncomingMessage): boolean {
  return /(^|,)\s*websocket\s*(,|$)/i.test(request.headers.upgrade ?? '')
}

/**
 * Serves a request that asks for another protocol as if it did not, which a server may (RFC 9110, section 7.8): so begin
 * clients that would like HTTP/2 best. Once somebody listens for upgrades, Node takes every one of them off HTTP: so the
 * request, with its wish left out, is put back in front of what follows, and the connection is the server's again.
 */
export function ignoreUpgrade(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  const { rawHeaders } = request
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    const value = withoutWish(name.toLowerCase(), rawHeaders[at + 1] ?? '')
    if (value !== null) lines.push(`${name}: ${value}`)
  }
  // As it came: Node reads headers as bytes of Latin-1.
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit('connection', socket)
}

/** Null for a header that is left out. */
function withoutWish(name: string, value: string): string | null {
  if (name === 'upgrade') return null
  if (name !== 'connection') return value
  const others = value.split(',').filter((option) => !WISHES.has(option.trim().toLowerCase()))
  return others.length > 0 ? others.join(',') : null
}
