import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { submit, untilJob, untilTerminal } from '../helpers/api.ts'
import { type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

/** A server whose jobs module has these sources, by name; `jobs.mjs` is the module. */
async function serve(
  sources: Record<string, string>,
  env: Record<string, string> = {},
): Promise<ServerProcess & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-errors-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const [name, source] of Object.entries(sources)) await writeFile(join(folder, name), source)
  const server = await startServer({ JOBCAST_DATA: folder, JOBCAST_JOBS: join(folder, 'jobs.mjs'), ...env })
  onTestFinished(() => server.kill())
  return { ...server, folder }
}

interface LogLine {
  readonly msg: string
  readonly where?: string
  readonly jobId?: string
  readonly error?: string
  readonly err?: {
    readonly type: string
    readonly message: string
    readonly code?: string
    readonly stack: string
  }
}

/** What it has logged, as far as it is here: a line comes on another way than the answer to a call. */
function logOf(server: ServerProcess): LogLine[] {
  const whole = server.output.stderr.split('\n').slice(0, -1)
  return whole.map((line) => JSON.parse(line))
}

/** The line about a job, once it is here. */
function lineOf(server: ServerProcess, jobId: string): Promise<LogLine> {
  const find = () => logOf(server).find((one) => one.jobId === jobId)
  return until(find, { what: `a line of the log about ${jobId}` })
}

const FAILING = `
export function run({ host }) {
  const cause = Object.assign(new TypeError('bad address'), { code: 'EBADADDR' })
  throw new Error('cannot reach ' + host, { cause })
}`

test('what a handler in a thread has printed when it returns is printed', async () => {
  const run = `export function run() { for (let i = 1; i <= 500; i += 1) console.log('line ' + i + ' '.repeat(500))
    process.stdout.write = () => true }`
  const module = `export default [{ type: 'prints', isolate: new URL('run.mjs', import.meta.url) }]`
  const server = await serve({ 'jobs.mjs': module, 'run.mjs': run })
  const { jobId } = await submit(server.url, { type: 'prints', payload: {} })
  expect(await untilTerminal(server.url, jobId)).toMatchObject({ status: 'completed' })
  await until(() => server.output.stdout.includes('line 500 '))
  expect(server.output.stdout.match(/^line \d+/gm)).toHaveLength(500)
})

test('an error of a schema of the result: its job has the text, the log where it was thrown', async () => {
  const module = `
const validate = () => { throw new Error('no such table') }
const result = { '~standard': { version: 1, vendor: 'own', validate } }
export default [{ type: 'fails', run: () => 1, result }]`
  const server = await serve({ 'jobs.mjs': module })
  const { jobId } = await submit(server.url, { type: 'fails', payload: {} })
  const error = "the result's schema failed: no such table"
  expect(await untilTerminal(server.url, jobId)).toMatchObject({ errorCode: 'invalid_result', error })
  const line = await lineOf(server, jobId)
  expect(line).toMatchObject({ error, err: { type: 'Error', message: 'no such table' } })
  expect(line.err?.stack).toMatch(/^Error: no such table\n {4}at .*jobs\.mjs:2:/)
})

describe('an error of a handler', () => {
  test.each([
    ['in process', `import { run } from './run.mjs'\nexport default [{ type: 'fails', run }]`],
    ['in a thread', `export default [{ type: 'fails', isolate: new URL('run.mjs', import.meta.url) }]`],
  ])('%s: its job has the texts, the log where it was thrown', async (_where, module) => {
    const server = await serve({ 'jobs.mjs': module, 'run.mjs': FAILING })
    const payload = { host: 'db.example', secret: 'hunter2' }
    const { jobId } = await submit(server.url, { type: 'fails', payload, options: { maxAttempts: 1 } })
    const error = 'cannot reach db.example\ncaused by: bad address (EBADADDR)'
    expect(await untilTerminal(server.url, jobId)).toMatchObject({ errorCode: 'handler_error', error })
    const line = await lineOf(server, jobId)
    expect(line).toMatchObject({
      msg: 'run failed',
      error,
      err: { type: 'Error', message: 'cannot reach db.example' },
    })
    const file = pathToFileURL(join(server.folder, 'run.mjs')).href
    const [outer, inner] = line.err?.stack.split('\ncaused by: ') ?? []
    expect(outer).toMatch(/^Error: cannot reach db\.example\n {4}at .*run\.mjs/)
    expect(outer).toContain(`${file}:4:9`)
    expect(inner).toMatch(/^TypeError: bad address \(EBADADDR\)\n/)
    expect(inner).toContain(`${file}:3:31`)
    expect(server.output.stderr).not.toContain('hunter2')
  })

  test('that is an object of another kind is in its job, and not in the log', async () => {
    const run = `async run(payload) { throw { response: { data: payload } } }`
    const server = await serve({ 'jobs.mjs': `export default [{ type: 'fails', ${run} }]` })
    const payload = { secret: 'hunter2' }
    const { jobId } = await submit(server.url, { type: 'fails', payload, options: { maxAttempts: 1 } })
    const error = "the handler threw { response: { data: { secret: 'hunter2' } } }"
    expect(await untilTerminal(server.url, jobId)).toMatchObject({ errorCode: 'handler_error', error })
    expect(await lineOf(server, jobId)).toMatchObject({
      error: 'the job says what was thrown',
      err: { message: 'an object that is no error: the job says which' },
    })
    expect(server.output.stderr).not.toContain('hunter2')
  })

  test('of an interval that its handler has left behind is told of once', async () => {
    const fails = `run() { const left = setInterval(() => { n += 1; throw new Error('again') }, 1) }`
    const server = await serve({
      'jobs.mjs': `let n = 0\nexport default [{ type: 'fails', ${fails} }, { type: 'count', run: () => n }]`,
    })
    const { jobId } = await submit(server.url, { type: 'fails', payload: null })
    await until(
      async () => {
        const counting = await submit(server.url, { type: 'count', payload: null })
        return Number((await untilTerminal(server.url, counting.jobId)).result) > 20
      },
      { what: 'twenty exceptions' },
    )
    await lineOf(server, jobId)
    expect(logOf(server).filter((one) => one.jobId === jobId)).toHaveLength(1)
  })

  test('of what was compiled is logged in terms of its source', async () => {
    const map = JSON.stringify({ version: 3, sources: ['jobs.ts'], names: [], mappings: 'AAIE' })
    const source = `export default [{ type: 'fails', run() { throw new Error('typed') } }]`
    const server = await serve({
      'jobs.mjs': `${source}\n//# sourceMappingURL=jobs.mjs.map`,
      'jobs.mjs.map': map,
    })
    const { jobId } = await submit(server.url, { type: 'fails', payload: null, options: { maxAttempts: 1 } })
    await untilTerminal(server.url, jobId)
    expect((await lineOf(server, jobId)).err?.stack).toContain('jobs.ts:5:3')
  })
})

test('a handler that asks whether its process is there has not ended it', async () => {
  const run = `run() { process.kill(process.pid, 0); process.kill(process.pid, 'SIGCONT'); return new Promise(() => {}) }`
  const server = await serve(
    { 'jobs.mjs': `export default [{ type: 'asks', ${run} }]` },
    { JOBCAST_DRAIN_MS: '50' },
  )
  const { jobId } = await submit(server.url, { type: 'asks', payload: null, options: { maxStalls: 0 } })
  await untilJob(server.url, jobId, ({ status }) => status === 'processing', 'to run')
  server.signal('SIGTERM')
  expect((await server.exited).code).toBe(0)
  const next = await startServer({
    JOBCAST_DATA: server.folder,
    JOBCAST_JOBS: join(server.folder, 'jobs.mjs'),
  })
  onTestFinished(() => next.kill())
  const again = await untilJob(next.url, jobId, ({ status }) => status !== 'queued', 'to be taken again')
  expect(again).toMatchObject({ status: 'processing', stalls: 0 })
})

describe('an exception that nobody caught, and nobody can say whose it was', () => {
  test('is logged with its stack, and the process goes on', async () => {
    const server = await serve({
      'jobs.mjs': `const fail = (what) => { throw new Error(what) }
      setTimeout(fail, 100, 'in the module')
      setTimeout(() => Promise.reject(new Error('forgotten by the module')), 100)
      export default [{ type: 'good', run: () => 'alive' }]`,
    })
    const told = () => {
      const failures = logOf(server).filter(({ msg }) => msg === 'failure')
      return failures.length === 2 ? failures : null
    }
    const failures = await until(told, { what: 'both lines' })
    expect(failures.map(({ err }) => err?.message)).toEqual(['in the module', 'forgotten by the module'])
    for (const { err } of failures) expect(err?.stack).toMatch(/jobs\.mjs:\d+:\d+/)
    const { jobId } = await submit(server.url, { type: 'good', payload: null })
    expect(await untilTerminal(server.url, jobId)).toMatchObject({ result: 'alive' })
  })

  test("of the server's own code ends the process, and what it gives back has stalled", async () => {
    const own = new URL('../../dist/server/worker.js', import.meta.url).href
    const preload = `data:text/javascript,${encodeURIComponent(`
      process.on('SIGUSR2', () => {
        const error = new Error('ours')
        error.stack = 'Error: ours\\n    at emit (node:events:1:2)\\n    at run (${own}:1:2)'
        throw error
      })`)}`
    const server = await serve(
      { 'jobs.mjs': `export default [{ type: 'long', run: () => new Promise(() => {}) }]` },
      { NODE_OPTIONS: `--import=${preload}`, JOBCAST_DRAIN_MS: '100' },
    )
    const options = { maxStalls: 0 }
    const { jobId } = await submit(server.url, { type: 'long', payload: null, options })
    await untilJob(server.url, jobId, ({ status }) => status === 'processing', 'to run')
    server.signal('SIGUSR2')
    expect((await server.exited).code).toBe(1)
    expect(logOf(server).map(({ where, msg }) => where ?? msg)).toEqual(
      expect.arrayContaining([
        'uncaught exception of the server itself: draining',
        'job given back as stalled: this process may end because of it',
      ]),
    )
    const next = await startServer({
      JOBCAST_DATA: server.folder,
      JOBCAST_JOBS: join(server.folder, 'jobs.mjs'),
    })
    onTestFinished(() => next.kill())
    expect(await untilTerminal(next.url, jobId)).toMatchObject({
      status: 'failed',
      errorCode: 'stalled',
      stalls: 1,
    })
  })

  test('nor heard: a log that nobody reads any more does not end it either', async () => {
    const server = await serve({
      'jobs.mjs': `import { closeSync, openSync } from 'node:fs'
      setTimeout(() => { closeSync(2); openSync('/dev/full', 'w'); setInterval(() => { throw new Error('unheard') }, 5) }, 100)
      export default [{ type: 'good', async run() { await new Promise((ok) => setTimeout(ok, 300)); return 'alive' } }]`,
    })
    const { jobId } = await submit(server.url, { type: 'good', payload: null })
    expect(await untilTerminal(server.url, jobId)).toMatchObject({ result: 'alive' })
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
  })
})
