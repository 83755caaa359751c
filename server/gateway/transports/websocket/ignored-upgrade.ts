import type { IncomingMessage, Server, ServerResponse } from 'node:http'
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
  const text = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head])
  onceAnswered(socket, () => {
    socket.unshift(text)
    server.emit('connection', socket)
  })
}

/** Requests may come before the earlier ones on their connection are answered; a new start would lose those answers. */
function onceAnswered(socket: Duplex, listener: () => void): void {
  const answering = answeringOn(socket)
  if (answering === null) {
    listener()
    return
  }
  const onError = () => socket.destroy()
  socket.on('error', onError)
  answering.once('close', () => {
    socket.removeListener('error', onError)
    if (!socket.destroyed) onceAnswered(socket, listener)
  })
}

/** The answer whose turn it is on a connection; Node has no public word for it. */
export function answeringOn(
  socket: Duplex & { _httpMessage?: ServerResponse | null },
): ServerResponse | null {
  return socket._httpMessage ?? null
}

/** Null for a header that is left out. */
function withoutWish(name: string, value: string): string | null {
  if (name === 'upgrade') return null
  if (name !== 'connection') return value
  const others = value.split(',').filter((option) => !WISHES.has(option.trim().toLowerCase()))
  return others.length > 0 ? others.join(',') : null
}
