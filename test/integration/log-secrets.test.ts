import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { SubmitAnswer } from '../../shared/api.ts'
import { startRedis } from '../helpers/redis.ts'
import { runServer, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

/** Stands in payloads, results, keys and tokens, and nowhere else. */
const MARK = 'kept-to-itself'
const KEY = `admin-${MARK}`

/** Types whose schemas quote what they refuse, and whose handlers leave errors behind that carry what they were given. */
const JOBS = `
import samples from ${JSON.stringify(pathToFileURL(SAMPLES.JOBCAST_JOBS).href)}
const quoting = (refuses) => ({ '~standard': { version: 1, vendor: 'quoting', validate: (value) =>
  refuses() ? { issues: [{ message: 'must not be ' + JSON.stringify(value), path: [] }] } : { value },
} })
let looks = 0
export default [
  ...samples,
  { type: 'plain', run: (payload) => payload },
  { type: 'quoted', payload: quoting(() => ++looks > 1), run: () => null },
  { type: 'quoted-result', result: quoting(() => true), run: (payload) => payload },
  { type: 'reject', run: (payload) => { Promise.reject(Object.assign(new Error('left behind'), { request: payload })); return payload } },
  { type: 'reject-object', run: (payload) => { Promise.reject({ request: payload }); return payload } },
  { type: 'parse', run: (payload) => { Promise.resolve().then(() => JSON.parse(payload.text)); return payload } },
]`

async function jobsModule(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-marked-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'jobs.mjs')
  await writeFile(path, JOBS)
  return path
}

async function serverOn(store: Record<string, string>): Promise<ServerProcess> {
  const server = await startServer({
    ...store,
    JOBCAST_LOG: 'trace',
    JOBCAST_JOBS: await jobsModule(),
    JOBCAST_API_KEYS: `boss:admin:${KEY}`,
  })
  onTestFinished(() => server.kill())
  return server
}

function call(server: ServerProcess, path: string, body?: string, key = KEY): Promise<Response> {
  return fetch(server.url + path, {
    ...(body !== undefined && { method: 'POST', body }),
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(5000),
  })
}

const payload = { text: `{${MARK}`, [MARK]: MARK }

async function submitted(server: ServerProcess, type: string): Promise<string> {
  const response = await call(server, '/api/jobs', JSON.stringify({ type, payload }))
  expect(response.status).toBe(202)
  return SubmitAnswer.parse(await response.json()).jobId
}

/** Sends what no HTTP client would; resolves when the server has ended the connection. */
function sendRaw({ port }: ServerProcess, text: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.on('error', () => undefined).on('close', () => resolve())
    socket.resume()
  })
}

/** Requests that are wrong in every way in which they can be, with a secret in each. */
async function misuse(server: ServerProcess): Promise<void> {
  const jobId = await submitted(server, 'plain')
  const wrong = `wrong-${MARK}`
  await Promise.all([
    call(server, `/api/jobs/${jobId}?token=${wrong}`, undefined, wrong),
    call(server, `/api/jobs/${jobId}/events?token=${wrong}`, undefined, wrong),
    call(server, `/nowhere/${MARK}?token=${wrong}`),
    call(server, '/api/jobs', `{"type": "${MARK}`),
    call(
      server,
      '/api/jobs',
      JSON.stringify({ type: 'countdown', payload, [MARK]: MARK, options: { [MARK]: 1 } }),
    ),
    call(server, '/api/jobs', JSON.stringify({ type: 'countdown', payload: { steps: MARK, [MARK]: 1 } })),
    call(server, `/api/jobs?tag=${MARK}&page=${MARK}`),
    sendRaw(server, `GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${wrong}\r\nBad Header\r\n\r\n`),
    sendRaw(
      server,
      `GET /ws?job=${MARK}&token=${wrong} HTTP/1.1\r\nHost: ${MARK}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`,
    ),
  ])
}

async function failRuns(server: ServerProcess): Promise<void> {
  for (const type of ['quoted', 'quoted-result', 'reject', 'reject-object', 'parse']) {
    const jobId = await submitted(server, type)
    await until(
      async () =>
        !/"status":"(queued|processing)"/.test(await (await call(server, `/api/jobs/${jobId}`)).text()),
      {
        what: `a job of type ${type} to end`,
      },
    )
  }
}

/** Waits for that many failures to be logged: what is not there cannot leak. */
async function untilLogged(server: ServerProcess, failures: number): Promise<void> {
  const logged = () => server.output.stderr.match(/"msg":"(failure|run failed|uncaught[^"]*)"/g)?.length ?? 0
  await until(() => logged() >= failures, {
    what: `${failures} failures in the log, not ${server.output.stderr}`,
  })
}

test('neither payload nor result, token or key is in the log of a process on Redis, whatever fails', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.stop())
  const operator = new Redis(redis.url)
  onTestFinished(() => operator.disconnect())
  const server = await serverOn({ REDIS_URL: redis.url })
  await misuse(server)
  await failRuns(server)
  const jobId = await submitted(server, 'plain')
  const prefix = '{jobcast:0}:'
  // What is stored is no JSON; a key is of another kind; a script may not do all that it does; a command is unknown.
  await operator.hset(`${prefix}job:${jobId}`, 'payload', `{${MARK}`)
  expect((await call(server, `/api/jobs/${jobId}`)).status).toBe(500)
  await operator.rename(`${prefix}jobs`, 'aside')
  await operator.set(`${prefix}jobs`, 'a string')
  expect((await call(server, '/api/jobs', JSON.stringify({ type: 'plain', payload }))).status).toBe(500)
  await operator.rename('aside', `${prefix}jobs`)
  await operator.call('ACL', 'SETUSER', 'default', '-hset')
  await call(server, '/api/jobs', JSON.stringify({ type: 'plain', payload }))
  await operator.call('ACL', 'SETUSER', 'default', '+hset')
  operator.disconnect()
  await redis.kill()
  await call(server, '/api/jobs', JSON.stringify({ type: 'plain', payload }))
  await untilLogged(server, 7)
  await server.kill()
  expect(server.output.stderr).not.toContain(MARK)
  expect(server.output.stdout).not.toContain(MARK)
})

test('nor in that of a process on the embedded engine', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-marked-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const server = await serverOn({ JOBCAST_DATA: folder })
  await misuse(server)
  await failRuns(server)
  await untilLogged(server, 5)
  await server.kill()
  expect(server.output.stderr).not.toContain(MARK)
  expect(server.output.stdout).not.toContain(MARK)
})

test('a start that fails shows nothing that it was about to store', async () => {
  const redis = await startRedis({ args: ['--rename-command', 'SETNX', ''] })
  onTestFinished(() => redis.stop())
  const { code, stderr } = await runServer({ REDIS_URL: redis.url, JOBCAST_API_KEYS: `boss:admin:${KEY}` })
  expect(code).toBe(1)
  expect(stderr).toMatch(/unknown command 'setnx'/)
  expect(stderr).not.toContain('args beginning')
  expect(stderr).not.toContain(MARK)
})
