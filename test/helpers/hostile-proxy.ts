import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * What happens to one kind of traffic: passed on; refused at once; accepted and never answered; of an answer, its
 * beginning passed on and the rest gathered until it ends, as nginx does; or passed on, and cut 300 ms later.
 */
type Treatment = 'pass' | 'refuse' | 'mute' | 'gather' | 'cut'
const CUT_MS = 300
/** WebSockets; server-sent events; polls that are held; everything else. */
type Traffic = 'socket' | 'stream' | 'hold' | 'other'

export interface HostileProxy {
  readonly url: string
  readonly treat: Record<Traffic, Treatment>
  treatAll(treatment: Treatment): void
  /** How many requests of a kind came. */
  readonly seen: Record<Traffic, number>
  /** Every connection is cut when it is so many ms old; null: none is. */
  cutAfterMs: number | null
  /** Cuts every connection, those to the server too. */
  cut(): void
  close(): Promise<void>
}

/** Stands between a client and a server and is as unkind as the networks out there. */
export async function startHostileProxy(target: () => string): Promise<HostileProxy> {
  const treat: Record<Traffic, Treatment> = { socket: 'pass', stream: 'pass', hold: 'pass', other: 'pass' }
  const seen: Record<Traffic, number> = { socket: 0, stream: 0, hold: 0, other: 0 }
  const open = new Set<Duplex>()
  const track = (duplex: Duplex) => {
    open.add(duplex)
    duplex.once('close', () => open.delete(duplex))
    duplex.on('error', () => duplex.destroy())
  }

  const server = createServer((incoming, answer) => {
    const kind = kindOf(incoming)
    seen[kind] += 1
    if (treat[kind] === 'refuse') {
      answer.writeHead(502).end('the proxy does not like this')
      return
    }
    const outgoing = request(
      new URL(incoming.url ?? '/', target()),
      { method: incoming.method, headers: { ...incoming.headers, host: new URL(target()).host } },
      (response) => {
        if (treat[kind] === 'mute') return
        answer.writeHead(response.statusCode ?? 502, response.headers)
        if (treat[kind] === 'cut') setTimeout(() => answer.destroy(), CUT_MS)
        if (treat[kind] === 'gather') gather(response, answer)
        else response.pipe(answer)
        response.once('error', () => answer.destroy())
      },
    )
    outgoing.once('error', () => answer.destroy())
    answer.once('close', () => outgoing.destroy())
    incoming.pipe(outgoing)
  })
  server.on('connection', (socket: Socket) => {
    track(socket)
    if (proxy.cutAfterMs === null) return
    const timer = setTimeout(() => socket.destroy(), proxy.cutAfterMs)
    socket.once('close', () => clearTimeout(timer))
  })
  server.on('upgrade', (incoming, socket, head) => {
    seen.socket += 1
    if (treat.socket === 'refuse') {
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    const { hostname, port } = new URL(target())
    const upstream = connect(Number(port), hostname, () => {
      const lines = [`GET ${incoming.url} HTTP/1.1`]
      for (const [name, value] of Object.entries(incoming.headers)) {
        lines.push(`${name}: ${name === 'host' ? `${hostname}:${port}` : String(value)}`)
      }
      upstream.write(`${lines.join('\r\n')}\r\n\r\n`)
      upstream.write(head)
      if (treat.socket === 'cut') setTimeout(() => socket.destroy(), CUT_MS)
      if (treat.socket === 'mute') upstream.once('data', (first) => socket.write(headOnly(first)))
      else upstream.pipe(socket)
      socket.pipe(upstream)
    })
    track(upstream)
    upstream.once('close', () => socket.destroy())
    socket.once('close', () => upstream.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on a port has such an address.
  const { port } = server.address() as AddressInfo
  const cut = () => {
    for (const duplex of open) duplex.destroy()
  }
  const proxy: HostileProxy = {
    url: `http://127.0.0.1:${port}`,
    treat,
    treatAll(treatment) {
      for (const kind of ['socket', 'stream', 'hold', 'other'] as const) treat[kind] = treatment
    },
    seen,
    cutAfterMs: null,
    cut,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      cut()
      return closed
    },
  }
  return proxy
}

function gather(response: IncomingMessage, answer: ServerResponse): void {
  response.once('data', (first: Buffer) => answer.write(first))
  const pieces: Buffer[] = []
  response.on('data', (piece: Buffer) => pieces.push(piece))
  response.once('end', () => answer.end(Buffer.concat(pieces.slice(1))))
}

function kindOf({ url = '', headers }: IncomingMessage): Traffic {
  if (url.includes('/events')) return 'stream'
  if (/[?&]wait=[1-9]/.test(url)) return 'hold'
  return headers.upgrade === 'websocket' ? 'socket' : 'other'
}

/** The answer to an upgrade, without the frames that may follow it. */
function headOnly(data: Buffer): Buffer {
  return data.subarray(0, data.indexOf('\r\n\r\n') + 4)
}
