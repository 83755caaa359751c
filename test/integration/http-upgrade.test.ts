import { once } from 'node:events'
import { createConnection } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

let folder: Awaited<ReturnType<typeof dataFolder>>
let server: ServerProcess
beforeAll(async () => {
  folder = await dataFolder()
  server = await startServer({ JOBCAST_DATA: folder.path, ...SAMPLES })
})
afterAll(async () => {
  await server.kill()
  await folder.remove()
})

const WISH = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n'
const SLOW = '{"type":"countdown","payload":{"steps":9,"stepMs":999}}'
const BODY = '{"type":"countdown","payload":{"steps":1}}'

/** Sends pieces, each once the one before was answered so often; all that came back. */
async function talk(...pieces: readonly (readonly [text: string, answers: number])[]): Promise<string> {
  const socket = createConnection(server.port, '127.0.0.1')
  await once(socket, 'connect')
  let received = ''
  socket.setEncoding('utf8').on('data', (text) => {
    received += text
  })
  try {
    for (const [text, answers] of pieces) {
      socket.write(text)
      await until(() => received.split('HTTP/1.1 ').length > answers, { what: `${answers} answers` })
    }
    return received
  } finally {
    socket.destroy()
  }
}

const get = (path: string, extra = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${extra}\r\n`
/** `body` may be the beginning of the whole one. */
const post = (extra: string, body: string, whole = body) =>
  `POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${extra}Content-Length: ${whole.length}\r\n\r\n${body}`

describe('a wish for a protocol that is not spoken is ignored', () => {
  test.each(['h2c', 'foo/2', 'TLS/1.0'])('%s', async (protocol) => {
    const wish = `Connection: keep-alive, Upgrade\r\nUpgrade: ${protocol}\r\n`
    const answers = await talk([get('/healthz', wish), 1], [get('/nowhere'), 2])
    expect(answers).toMatch(/^HTTP\/1\.1 200 /)
    expect(answers).toMatch(/HTTP\/1\.1 404 /)
  })

  test('a body comes with it, and behind it', async () => {
    expect(await talk([post(WISH, BODY), 1])).toMatch(/^HTTP\/1\.1 202 /)
    expect(await talk([post(WISH, BODY.slice(0, 10), BODY), 0], [BODY.slice(10), 1])).toMatch(
      /^HTTP\/1\.1 202 /,
    )
  })

  test('what is wrong with the request is told all the same', async () => {
    expect(await talk([get('/api/jobs?limit=0', WISH), 1])).toMatch(/^HTTP\/1\.1 400 /)
    expect(await talk([get('/nowhere', WISH), 1])).toMatch(/^HTTP\/1\.1 404 /)
    expect(await talk([get('/ws', WISH), 1])).toMatch(/^HTTP\/1\.1 4\d\d /)
  })

  test('again and again on one connection', async () => {
    const rounds = Array.from({ length: 20 }, (_, n) => [get('/healthz', WISH), n + 1] as const)
    expect((await talk(...rounds)).match(/HTTP\/1\.1 200 /g)).toHaveLength(20)
  })

  test('behind a request that is still to be answered, and before another', async () => {
    const held = await talk([
      post('Prefer: wait=1\r\n', SLOW) + get('/nowhere') + get('/healthz', WISH) + get('/healthz'),
      4,
    ])
    expect(held.match(/HTTP\/1\.1 \d+/g)).toEqual(
      ['202', '404', '200', '200'].map((status) => `HTTP/1.1 ${status}`),
    )
  })

  test('a WebSocket elsewhere is still refused', async () => {
    const wish = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
    const answer = await talk([get('/elsewhere', wish), 1])
    expect(answer).toMatch(/^HTTP\/1\.1 404 /)
    expect(answer).toContain('WebSockets are served at /ws')
  })
})
