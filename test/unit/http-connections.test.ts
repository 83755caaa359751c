import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createConnection, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { cutStalled, MAX_PIPELINED, oneByOne } from '../../server/http/server.ts'
import { until } from '../helpers/until.ts'

const MIB = 1024 * 1024

let server: Server
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

async function serve(listener: RequestListener, act: (server: Server) => void = () => {}): Promise<number> {
  server = createServer(listener)
  act(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A server that listens on a port has such an address.
  return (server.address() as AddressInfo).port
}

function get(path: string | number, headers = ''): string {
  return `GET /${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`
}

async function connect(port: number): Promise<Socket & { text: string }> {
  const socket = Object.assign(createConnection(port, '127.0.0.1'), { text: '' })
  socket.on('data', (data) => {
    socket.text += data.toString('latin1')
  })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

describe('requests in one packet', () => {
  const refusals: Socket[] = []
  const refuse = (socket: Socket) => {
    refusals.push(socket)
    socket.destroy()
  }
  afterEach(() => refusals.splice(0))

  test('are handed on one after another, in order, bodies too', async () => {
    let underWay = 0
    let most = 0
    const bodies: string[] = []
    const port = await serve(
      oneByOne(async (incoming, outgoing) => {
        most = Math.max(most, ++underWay)
        let body = ''
        for await (const data of incoming) body += String(data)
        await new Promise((resolve) => setTimeout(resolve, 2))
        bodies.push(body)
        underWay -= 1
        outgoing.end(incoming.url)
      }, refuse),
    )
    const socket = await connect(port)
    const post = (n: number) =>
      `POST /${n} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nb${10 + n}`
    socket.write(
      Array.from({ length: MAX_PIPELINED }, (_, n) => post(n)).join('') +
        get('last', 'Connection: close\r\n'),
    )
    await once(socket, 'close')
    expect(most).toBe(1)
    expect(bodies).toEqual([...Array.from({ length: MAX_PIPELINED }, (_, n) => `b${10 + n}`), ''])
    expect(socket.text.match(/^\/(\d+|last)/gm) ?? []).toHaveLength(MAX_PIPELINED + 1)
    expect(refusals).toEqual([])
  })

  test('more than may wait end the connection, and none of them begins', async () => {
    const begun: (string | undefined)[] = []
    const gone: string[] = []
    const port = await serve(
      oneByOne(({ url = '' }, outgoing) => {
        begun.push(url)
        outgoing.once('close', () => gone.push(url))
      }, refuse),
    )
    const socket = await connect(port)
    socket.write(Array.from({ length: 600 }, (_, n) => get(n)).join(''))
    await once(socket, 'close')
    await until(() => gone.length > 0)
    expect([begun, gone]).toEqual([['/0'], ['/0']])
    expect(refusals).toHaveLength(1)
  })

  test('none that waited begins where the caller is gone', async () => {
    const begun: (string | undefined)[] = []
    const gone: string[] = []
    const port = await serve(
      oneByOne(({ url = '' }, outgoing) => {
        begun.push(url)
        outgoing.once('close', () => gone.push(url))
      }, refuse),
    )
    const socket = await connect(port)
    socket.write(get('held') + get('one') + get('two'))
    await until(() => begun.length > 0)
    socket.destroy()
    await until(() => gone.length > 0)
    await new Promise((resolve) => setImmediate(resolve))
    expect(begun).toEqual(['/held'])
  })

  test('on one connection after another, as long as each waits for its answers', async () => {
    const port = await serve(oneByOne((_, outgoing) => void outgoing.end('x'), refuse))
    const socket = await connect(port)
    for (let round = 1; round <= 5; round++) {
      socket.write(get(1).repeat(MAX_PIPELINED))
      await until(() => socket.text.split('HTTP/1.1 200').length === round * MAX_PIPELINED + 1)
    }
    socket.destroy()
    expect(refusals).toEqual([])
  })
})

describe('readers that do not read', () => {
  const QUICK_MS = 10
  const large = Buffer.alloc(32 * MIB, 'x')

  test.each(['whole', 'in pieces', 'for ever'])('of an answer %s are ended', async (how) => {
    let closed = 0
    const port = await serve(
      (_, outgoing) => {
        outgoing.once('close', () => closed++)
        if (how === 'whole') outgoing.end(large)
        else if (how === 'in pieces') for (let at = 0; at < 32; at++) outgoing.write(large.subarray(0, MIB))
        else {
          const more = () => {
            while (outgoing.write(large.subarray(0, MIB)));
          }
          outgoing.on('drain', more)
          more()
        }
      },
      (server) => cutStalled(server, QUICK_MS),
    )
    const socket = await connect(port)
    socket.pause()
    socket.write(get('large'))
    await until(() => closed === 1)
  })

  test('but who reads slowly gets all, and who waits is left alone', async () => {
    const port = await serve(
      ({ url }, outgoing) => {
        if (url === '/large') outgoing.end(large)
      },
      (server) => cutStalled(server, 500),
    )
    const waiting = await connect(port)
    waiting.write(get('held'))
    const socket = await connect(port)
    socket.removeAllListeners('data')
    socket.pause()
    socket.write(get('large', 'Connection: close\r\n'))
    let bytes = 0
    const sips = setInterval(() => {
      const most = Math.min(2 * MIB, socket.readableLength)
      const data: unknown = most > 0 ? socket.read(most) : socket.read(0)
      if (Buffer.isBuffer(data)) bytes += data.length
    }, 50)
    await until(() => bytes > large.length)
    clearInterval(sips)
    expect(waiting.destroyed).toBe(false)
    waiting.destroy()
    socket.destroy()
  })
})
