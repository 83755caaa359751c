import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import compression from 'compression'

/** A server of Express's kin that compresses what it passes on, as it comes and as far as it may. */
export async function startCompressingProxy(
  target: string,
): Promise<{ url: string; close(): Promise<void> }> {
  const compress = compression({ threshold: 0 })
  const server = createServer((incoming, answer) => {
    compress(incoming, answer, () => {
      const outgoing = request(
        new URL(incoming.url ?? '/', target),
        { method: incoming.method, headers: incoming.headers },
        (response) => {
          answer.writeHead(response.statusCode ?? 502, response.headers)
          response.pipe(answer)
        },
      )
      outgoing.once('error', () => answer.destroy())
      answer.once('close', () => outgoing.destroy())
      incoming.pipe(outgoing)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on a port has such an address.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      return closed
    },
  }
}
