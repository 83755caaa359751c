import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A line between a client and a server, as bad as it is told to be. */
export interface TcpLine {
  readonly url: string
  /** How many bytes a second reach the client on each connection; null: as many as come. */
  bytesPerSecond: number | null
  /** From now on nothing passes any more, in either direction, and neither side is told. */
  swallow(): void
  /** Breaks every connection and takes no more. */
  close(): Promise<void>
}

const ROUND_MS = 100

/** `target`: `http://host:port`. */
export async function startTcpLine(target: () => string): Promise<TcpLine> {
  let isSwallowing = false
  const sockets = new Set<Socket>()
  const track = (socket: Socket, other: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      sockets.delete(socket)
      if (!isSwallowing) other.destroy()
    })
  }
  const server = createServer((client) => {
    const { hostname, port } = new URL(target())
    const upstream = connect(Number(port), hostname)
    track(client, upstream)
    track(upstream, client)
    client.on('data', (data) => {
      if (!isSwallowing) upstream.write(data)
    })
    const carry = () => {
      if (isSwallowing) return
      const { bytesPerSecond } = line
      const most = bytesPerSecond === null ? upstream.readableLength : (bytesPerSecond * ROUND_MS) / 1000
      const amount = Math.min(Math.floor(most), upstream.readableLength)
      if (amount > 0) client.write(upstream.read(amount) as Buffer)
    }
    upstream.on('readable', () => {
      if (line.bytesPerSecond === null) carry()
    })
    const rounds = setInterval(carry, ROUND_MS)
    upstream.on('close', () => clearInterval(rounds))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on a port has such an address.
  const { port } = server.address() as AddressInfo
  const line: TcpLine = {
    url: `http://127.0.0.1:${port}`,
    bytesPerSecond: null,
    swallow() {
      isSwallowing = true
    },
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      return closed
    },
  }
  return line
}
