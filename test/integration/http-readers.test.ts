import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { ListAnswer, OverviewAnswer, SubmitAnswer } from '../../shared/api.ts'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const MIB = 1024 * 1024
const LARGE = 8_000_000
/** For so long whoever reads nothing may keep its answer: nobody else waits for that. */
const STALL_MS = 10_000
const LARGE_JOBS = 8
const JobView = z.object({ status: z.string(), cursor: z.string() })
/** Later than any test. */
const NOT_NOW = { delayMs: 3_600_000 }

let server: ServerProcess
let folder: Awaited<ReturnType<typeof dataFolder>>
const jobIds: string[] = []
const sockets: Socket[] = []
beforeAll(async () => {
  folder = await dataFolder()
  server = await startServer({
    JOBCAST_DATA: folder.path,
    ...SAMPLES,
    NODE_OPTIONS: '--max-old-space-size=256',
  })
  const payload = { image: 'A'.repeat(LARGE), widths: [64], format: 'webp' }
  for (let job = 0; job < LARGE_JOBS; job++) jobIds.push(await submit('thumbnails', payload))
})
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  expect(await server.stop()).toBe(0)
  expect(server.output.stderr).not.toMatch(/"level":[56]0/)
  await folder.remove()
})

async function submit(type: string, payload: unknown, options: object = NOT_NOW): Promise<string> {
  const response = await fetch(`${server.url}/api/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type, payload, options }),
  })
  return SubmitAnswer.parse(await response.json()).jobId
}

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
}

/** Writes a text in one piece and reads nothing. */
async function ask(text: string): Promise<Socket> {
  const socket = createConnection(server.port, '127.0.0.1')
  sockets.push(socket)
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.pause()
  socket.write(text)
  return socket
}

async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

async function gateway() {
  const overview = OverviewAnswer.parse(await (await fetch(`${server.url}/api/overview`)).json())
  return overview.gateways[0]
}

describe('a server with 256 MB of heap', () => {
  test('answers others beside 40 sockets at a time that ask for 8 MB each and never read', {
    timeout: 180_000,
  }, async () => {
    const before = await residentBytes()
    const job = `/api/jobs/${jobIds[0]}`
    for (const path of [job, `${job}?history=1`, `${job}/events`, '/api/jobs?full=1&type=thumbnails']) {
      const own = await Promise.all(Array.from({ length: 40 }, () => ask(get(path))))
      for (let call = 0; call < 3; call++) {
        const since = performance.now()
        expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
        const response = await fetch(`${server.url}/api/jobs/${jobIds[1]}`)
        expect([200, 503]).toContain(response.status)
        expect(response.headers.get('retry-after')).toBe(response.ok ? null : '1')
        await response.body?.cancel()
        expect(performance.now() - since).toBeLessThan(STALL_MS)
        expect((await residentBytes()) - before).toBeLessThan(350 * MIB)
      }
      // Those that read nothing make room for whoever asks.
      await until(async () => (await fetch(`${server.url}/api/jobs/${jobIds[1]}`)).ok)
      for (const socket of own) socket.destroy()
    }
  })

  test('makes what a job ends with once for all that wait for it', async () => {
    const payload = { steps: 1, stepMs: 4000, resultBytes: LARGE }
    const path = `/api/jobs/${await submit('countdown', payload, {})}`
    const job = async () => JobView.parse(await (await fetch(`${server.url}${path}`)).json())
    await until(async () => (await job()).status === 'processing')
    const { cursor } = await job()
    const [poll, stream] = [get(`${path}?after=${cursor}&wait=20`), get(`${path}/events`)]
    const before = await residentBytes()
    const waiting = await Promise.all(
      Array.from({ length: 120 }, (_, at) => ask(at % 2 === 0 ? poll : stream)),
    )
    await until(async () => (await gateway())?.polls === 60)
    await until(async () => (await gateway())?.polls === 0)
    const since = performance.now()
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
    expect(performance.now() - since).toBeLessThan(5000)
    expect((await residentBytes()) - before).toBeLessThan(250 * MIB)
    for (const socket of waiting) socket.destroy()
  })

  test('holds no more of what is asked for in one packet than it can answer', {
    timeout: 180_000,
  }, async () => {
    const before = await residentBytes()
    const path = `/api/jobs/${jobIds[0]}`
    const { cursor } = (await (await fetch(`${server.url}${path}`)).json()) as { cursor: string }
    await ask(get(`${path}?after=${cursor}&wait=20`) + get(path).repeat(30))
    await until(async () => (await gateway())?.polls === 1)
    const many = await ask(get(`${path}?after=${cursor}&wait=20`) + get(path).repeat(120))
    const [answer] = await once(many.resume(), 'data')
    expect(String(answer)).toMatch(/^HTTP\/1\.1 429 .*retry-after: 1\r\n.*"code":"rate_limited"/s)
    await once(many, 'close')
    for (let socket = 0; socket < 10; socket++) {
      const streams = await ask(get(`${path}/events`).repeat(socket % 2 === 0 ? 600 : 20))
      await until(
        async () => streams.destroyed || ((await gateway())?.streams ?? 0) > 0 || streams.readableLength > 0,
      )
      streams.destroy()
    }
    await until(async () => (await gateway())?.streams === 0)
    expect((await residentBytes()) - before).toBeLessThan(200 * MIB)
  })

  test('lists whole jobs in pages that fit', async () => {
    const found: string[] = []
    let page = ''
    do {
      const response = await fetch(`${server.url}/api/jobs?full=1&type=thumbnails&page=${page}`)
      const answer = ListAnswer.parse(await response.json())
      expect(answer.jobs.length).toBeLessThanOrEqual(3)
      found.push(...answer.jobs.map(({ jobId }) => jobId))
      page = answer.nextPage ?? ''
    } while (page !== '')
    expect(found).toEqual([...jobIds].reverse())
  })
})
