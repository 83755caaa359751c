import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { VERSION } from '../../server/config.ts'
import { startRedis } from '../helpers/redis.ts'
import { dataFolder, runServer, SAMPLES, startServer } from '../helpers/server.ts'

const DIST = new URL('../../dist/server/index.js', import.meta.url).href

/** A source map in which everything stands in the third column of the fifth line of `jobs.ts`. */
const TO_LINE_FIVE = JSON.stringify({ version: 3, sources: ['jobs.ts'], names: [], mappings: 'AAIE' })

async function scratch(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'jobcast-start-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

/** Preloaded: prints at the end which packages, native code among them, were loaded besides what is bundled. */
const TELL_PACKAGES = `data:text/javascript,${encodeURIComponent(`
  import { Module } from 'node:module'
  process.on('exit', () => {
    const names = Object.keys(Module._cache).map((path) => /node_modules.([^/]+)/.exec(path)?.[1])
    process.stderr.write('packages: ' + JSON.stringify([...new Set(names)]))
  })
`)}`

async function packagesLoaded(env: Record<string, string>): Promise<string[]> {
  const server = await startServer({ ...env, NODE_OPTIONS: `--import=${TELL_PACKAGES}` })
  await server.stop()
  return JSON.parse(/packages: (.*)/.exec(server.output.stderr)?.[1] ?? 'null')
}

describe('a start loads what it needs and nothing else', () => {
  test('on Redis no package beside the bundle', async () => {
    const redis = await startRedis()
    onTestFinished(() => redis.stop())
    expect(await packagesLoaded({ REDIS_URL: redis.url })).toEqual([])
  })

  test('on the embedded engine neither the image library nor the thread pool', async () => {
    const loaded = await packagesLoaded({ JOBCAST_DATA: await scratch(), ...SAMPLES })
    expect(loaded).toContain('libsql')
    expect(loaded.filter((name) => ['sharp', 'pino-pretty'].includes(name))).toEqual([])
  })
})

/** Starts a server; what is returned runs a job there and tells how it ended. */
async function started(env: Record<string, string>) {
  const server = await startServer(env)
  onTestFinished(() => void server.kill())
  return async (type: string, payload: unknown): Promise<unknown> => {
    const answer = await fetch(`${server.url}/api/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=15' },
      body: JSON.stringify({ type, payload }),
    })
    return answer.json()
  }
}

test('the built server runs what a module of its user declares, in threads too', async () => {
  const folder = await scratch()
  const jobcast = JSON.stringify(DIST)
  const module = join(folder, 'jobs.mjs')
  await writeFile(
    module,
    `import { defineJob, UnrecoverableError } from ${jobcast}
    export default [
      defineJob({ type: 'here', run() { throw new UnrecoverableError('never again') } }),
      defineJob({ type: 'thread', isolate: new URL('thread.mjs', import.meta.url) }),
    ]`,
  )
  await writeFile(
    join(folder, 'thread.mjs'),
    `import { UnrecoverableError } from ${jobcast}
    export async function run() { throw new UnrecoverableError('never again') }`,
  )
  const run = await started({ JOBCAST_DATA: folder, JOBCAST_JOBS: module, JOBCAST_LOG: 'silent' })
  const failed = { status: 'failed', error: 'never again', errorCode: 'unrecoverable', attempt: 1 }
  expect(await run('here', null)).toMatchObject(failed)
  expect(await run('thread', null)).toMatchObject(failed)
})

test('the built samples run, in threads too', async () => {
  const run = await started({ JOBCAST_DATA: await scratch(), ...SAMPLES })
  expect(await run('render', { prompt: 'a hill', width: 64, height: 64 })).toMatchObject({
    status: 'completed',
    result: { width: 64, height: 64 },
  })
})

test('a server without types says so, and what to do', async () => {
  const server = await startServer({ JOBCAST_DATA: await scratch() })
  await server.stop()
  expect(server.output.stderr).toMatch(/knows no job types and will run none: set JOBCAST_JOBS .*\n$/)
})

describe('a start that fails says in one line what to do', () => {
  test.each([
    [{ PORT: 'abc' }, 2, /PORT must be a whole number/],
    [{ JOBCAST_ROLE: 'boss' }, 2, /JOBCAST_ROLE must be one of/],
    [{ REDIS_URL: 'amqp://user:hunter2@localhost' }, 2, /REDIS_URL must be an address/],
    [{ HOST: '0.0.0.0' }, 2, /HOST 0\.0\.0\.0 .*JOBCAST_API_KEYS/],
    [{ JOBCAST_DEFAULT_TYPE: 'nope', ...SAMPLES }, 2, /JOBCAST_DEFAULT_TYPE nope is no job type: thumbnails/],
    [{ JOBCAST_JOBS: '/nowhere/jobs.mjs' }, 2, /JOBCAST_JOBS \/nowhere\/jobs\.mjs: there is no such file/],
    [{ REDIS_URL: 'redis://:hunter2@127.0.0.1:1' }, 1, /REDIS_URL/],
  ])('%j: exit %d', async (env, code, line) => {
    const ended = await runServer({ ...env, JOBCAST_DATA: await scratch(), JOBCAST_LOG: 'silent' })
    expect(ended.code).toBe(code)
    expect(ended.stderr).toMatch(line)
    expect(ended.stderr.trim().split('\n')).toHaveLength(1)
    expect(ended.stderr).not.toContain('hunter2')
    expect(ended.stdout).toBe('')
  })

  test.each([
    ['export default {}', /must be an array/],
    ['export default [{ type: "No", run() {} }]', /"No": type: must match/],
    ['export default [{ type: "a" }]', /"a": needs exactly one of run and isolate/],
    ['export default [{ type: "a", run() {} }, { type: "a", run() {} }]', /"a" is defined twice/],
    ['export default ["a", "a"].map((type) => ({ type, run() {} }))', /"a" is defined twice/],
    ['export const jobs = { a: 1 }', /"jobs" must be an array/],
    ['export const a = 1', /none of what it exports \(a\) is a job: write export const jobs = /],
    ['', /it exports no job: write export const jobs = /],
    ['export default [undefined]', /job 1 of its array is undefined/],
    ['export default [{ type: "a", isolate: "./gone.mjs" }]', /"a": isolate: there is no such file/],
    ['export default [{ type: "a", payload: {}, run() {} }]', /"a": payload: must be a zod schema/],
    ['export default [', /Unexpected end of input/],
    ['await new Promise(() => {})', /awaits something that never comes/],
    ['throw new Error("first\\nsecond")', /first$/m],
  ])('JOBCAST_JOBS with %j', async (source, line) => {
    const data = await scratch()
    const module = join(data, 'jobs.mjs')
    await writeFile(module, source)
    const ended = await runServer({ JOBCAST_JOBS: module, JOBCAST_DATA: data })
    expect(ended.code).toBe(2)
    expect(ended.stderr).toMatch(line)
    expect(ended.stderr.trim().split('\n')).toHaveLength(1)
  })

  test.each([
    [
      'wrong syntax',
      { 'jobs.mjs': 'export default [\n  const a = 1\n]' },
      'jobs.mjs:2:3',
      'Unexpected token',
    ],
    [
      'wrong syntax in what it imports',
      { 'jobs.mjs': "import './deep.mjs'", 'deep.mjs': '\n\nconst 5' },
      'deep.mjs:3:7',
      'Unexpected number',
    ],
    [
      'wrong syntax in what it requires',
      { 'jobs.mjs': "import './deep.cjs'", 'deep.cjs': '\nlet 5' },
      'deep.cjs:2:5',
      'Unexpected number',
    ],
    ['a module that is not there', { 'jobs.mjs': "\nimport './gone.mjs'" }, 'jobs.mjs:2', 'gone.mjs'],
    [
      'a package that is not there',
      { 'jobs.mjs': "\n\nimport 'no-such-package'" },
      'jobs.mjs:3',
      'no-such-package',
    ],
    [
      'a name that is not exported',
      { 'jobs.mjs': "import { no } from './deep.mjs'", 'deep.mjs': 'export const yes = 1' },
      'jobs.mjs:1:10',
      "'no'",
    ],
    [
      'an exception within',
      {
        'jobs.mjs': "import './deep.mjs'",
        'deep.mjs': "function boom() {\n  throw new Error('no config')\n}\nboom()",
      },
      'deep.mjs:2:9',
      'no config',
    ],
    [
      'a declaration that is wrong',
      {
        'jobs.mjs': `import { defineJob } from ${JSON.stringify(DIST)}\nexport default [\n  defineJob({ type: 'a' }),\n]`,
      },
      'jobs.mjs:3:3',
      'exactly one of run and isolate',
    ],
    [
      'an exception within what was compiled from TypeScript',
      {
        'jobs.mjs': `throw new Error('typed')\n//# sourceMappingURL=jobs.mjs.map`,
        'jobs.mjs.map': TO_LINE_FIVE,
      },
      'jobs.ts:5:3',
      'typed',
    ],
  ])('JOBCAST_JOBS with %s: file and line', async (_what, files, place, message) => {
    const data = await scratch()
    for (const [name, source] of Object.entries(files)) await writeFile(join(data, name), source)
    const ended = await runServer({ JOBCAST_JOBS: join(data, 'jobs.mjs'), JOBCAST_DATA: data })
    expect(ended.code).toBe(2)
    expect(ended.stderr).toContain(`${join(data, place)}: `)
    expect(ended.stderr).toContain(message)
    expect(ended.stderr.trim().split('\n')).toHaveLength(1)
  })

  test('a port that is taken', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void other.close())
    const address = other.address()
    const port = typeof address === 'object' ? address?.port : 0
    const ended = await runServer({ PORT: String(port), JOBCAST_DATA: await scratch() })
    expect(ended).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining(`port ${port} is in use`),
    })
  })

  test.each(['/proc/jobcast', '/dev/null', '/dev/null/data'])(
    'a data folder %s that cannot be',
    async (folder) => {
      const ended = await runServer({ JOBCAST_DATA: folder })
      expect(ended.code).toBe(1)
      expect(ended.stderr).toContain(folder)
      expect(ended.stderr).toContain('JOBCAST_DATA')
      expect(ended.stderr.trim().split('\n')).toHaveLength(1)
    },
  )

  test('a data folder that another process owns', async () => {
    const data = await dataFolder()
    onTestFinished(() => data.remove())
    const first = await startServer({ JOBCAST_DATA: data.path })
    onTestFinished(() => first.kill())
    const second = await runServer({ JOBCAST_DATA: data.path })
    expect(second.code).toBe(1)
    expect(second.stderr).toContain(data.path)
    expect(second.stderr.trim().split('\n')).toHaveLength(1)
  })
})

test('a worker says that it is ready, and where, when it serves its health page', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.stop())
  const worker = await startServer({ REDIS_URL: redis.url, JOBCAST_ROLE: 'worker' })
  onTestFinished(() => worker.kill())
  expect(worker.output.stdout).toMatch(/^jobcast worker ready on http:\/\/127\.0\.0\.1:\d+\n$/)
  expect((await fetch(`${worker.url}/healthz`)).status).toBe(200)
  expect((await fetch(`${worker.url}/readyz`)).status).toBe(200)
  expect((await fetch(`${worker.url}/metrics`)).status).toBe(200)
  expect((await fetch(`${worker.url}/api/jobs`)).status).toBe(404)
  const quiet = await startServer({ REDIS_URL: redis.url, JOBCAST_ROLE: 'worker', PORT: '' })
  onTestFinished(() => quiet.kill())
  expect(quiet.output.stdout).toBe('jobcast worker ready\n')
})

test('the version is that of the package', () => {
  expect(VERSION).toBe(packageJson.version)
})
