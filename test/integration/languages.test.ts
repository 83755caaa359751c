import { execFile, spawn } from 'node:child_process'
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import openapiTypescript, {
  astToString,
} from '../../examples/openapi-client/node_modules/openapi-typescript/dist/index.mjs'
import ts from '../../examples/openapi-client/node_modules/typescript/lib/typescript.js'
import { dataFolder, type ServerProcess, startServer } from '../helpers/server.ts'

/** The examples in other languages, run as they stand against a server. */

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const PYTHON = at('../../examples/python/submit.py')
const CLIENT = at('../../examples/openapi-client')
const MODULES = at('../../node_modules')
const KEY = 'secret-of-languages'

let server: ServerProcess
let data: Awaited<ReturnType<typeof dataFolder>>
beforeAll(async () => {
  data = await dataFolder()
  server = await startServer({
    JOBCAST_DATA: data.path,
    JOBCAST_JOBS: at('../helpers/word-count-jobs.mjs'),
    JOBCAST_API_KEYS: `languages:submit:${KEY}`,
  })
})
afterAll(async () => {
  await server.kill()
  await data.remove()
})

/** What a command prints, and its exit code. */
async function run(command: string, args: readonly string[], env: Record<string, string> = {}) {
  const variables = { ...process.env, JOBCAST_URL: server.url, JOBCAST_KEY: KEY, ...env }
  const child = spawn(command, args, { env: variables, stdio: ['ignore', 'pipe', 'pipe'] })
  const code = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve))
  const [out, told] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, out, told }
}

describe('Python', () => {
  const python = (type: string, payload: unknown, env = {}) =>
    run('python3', [PYTHON, type, JSON.stringify(payload)], env)

  test('submits a job, tells what happens, and prints its result', async () => {
    const { code, out, told } = await python('word-count', { text: 'to be or not' })
    expect(JSON.parse(out)).toEqual({ words: 4 })
    expect(told).toContain('"status": "processing"')
    expect(told.match(/log .*/g)?.map((line) => JSON.parse(line.slice(4)).line)).toEqual([
      'to',
      'be',
      'or',
      'not',
    ])
    expect(code).toBe(0)
  })

  test('ends with 1 where the job fails, is refused, or nobody is there', async () => {
    expect(await python('word-count', { text: 'stop' })).toMatchObject({ code: 1, out: '"told to stop"\n' })
    expect(await python('word-count', { text: 5 })).toMatchObject({
      code: 1,
      out: '',
      told: 'the payload is not valid: payload.text must be a string\n',
    })
    expect(await python('word-cuont', {})).toMatchObject({
      code: 1,
      told: 'the submission is not valid: type names no job type that is known: "word-cuont"; did you mean word-count?\n',
    })
    const away = await python('word-count', {}, { JOBCAST_URL: 'http://127.0.0.1:9' })
    expect(away.told).toMatch(/^http:\/\/127\.0\.0\.1:9 cannot be reached: /)
    expect(away.code).toBe(1)
  })
})

describe('a client that is generated from OpenAPI', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'jobcast-openapi-'))
    await cp(join(CLIENT, 'client.ts'), join(folder, 'client.ts'))
    await symlink(MODULES, join(folder, 'node_modules'))
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    const description = await fetch(`${server.url}/openapi.json`, {
      headers: { authorization: `Bearer ${KEY}` },
    })
    // As `npm run generate` does: what has a default may be left out.
    const types = await openapiTypescript(JSON.stringify(await description.json()), {
      defaultNonNullable: false,
    })
    await writeFile(join(folder, 'jobcast.d.ts'), astToString(types))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** What the compiler has against the client. */
  async function compile(name: string): Promise<string> {
    const tsc = join(dirname(at('../../node_modules/typescript/package.json')), 'bin', 'tsc')
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', '--types', 'node']
    const command = promisify(execFile)(process.execPath, [tsc, ...options, name], { cwd: folder })
    return command.then(
      ({ stdout }) => stdout,
      ({ stdout, stderr }) => `${stdout}${stderr}`,
    )
  }

  test('knows payload and result of each type, and refuses others', async () => {
    await writeFile(
      join(folder, 'wrong.ts'),
      `import createClient from 'openapi-fetch'
import type { components, paths } from './jobcast.d.ts'
type Schemas = components['schemas']
const { POST } = createClient<paths>({})
await POST('/api/jobs', { body: { type: 'anything', payload: [1, null, { a: 'b' }], options: { priority: 9, tags: ['a'] } } })
await POST('/api/jobs/batch', { body: { jobs: [{ type: 'word-count', payload: { text: 'a' } }] } })
export const payload: Schemas['WordCountPayload'] = { text: 'a' }
export const words = (job: Schemas['KnownJob']): number | undefined =>
  job.type === 'word-count' ? job.result?.words : undefined
// @ts-expect-error no such type
await POST('/api/jobs', { body: { type: 'word-cuont', payload: { text: 'a' } } })
// @ts-expect-error another payload
await POST('/api/jobs', { body: { type: 'word-count', payload: { text: 5 } } })
// @ts-expect-error no payload
await POST('/api/jobs', { body: { type: 'word-count' } })
// @ts-expect-error a payload with more
await POST('/api/jobs', { body: { type: 'word-count', payload: { text: 'a', more: 1 } } })
// @ts-expect-error another payload in a batch
await POST('/api/jobs/batch', { body: { jobs: [{ type: 'word-count', payload: {} }] } })
// @ts-expect-error no such option
await POST('/api/jobs', { body: { type: 'word-count', payload: { text: 'a' }, options: { prio: 1 } } })
// @ts-expect-error no such field of the result
export const nope = (job: Schemas['WordCountJob']) => job.result?.wrods
`,
    )
    expect(await compile('wrong.ts')).toBe('')
  })

  test('compiles, submits and waits for the result', async () => {
    expect(await compile('client.ts')).toBe('')
    const source = ts.sys.readFile(join(folder, 'client.ts')) ?? ''
    const { outputText } = ts.transpileModule(source, { compilerOptions: { module: ts.ModuleKind.ESNext } })
    await writeFile(join(folder, 'client.mjs'), outputText)
    const { code, out, told } = await run(process.execPath, [join(folder, 'client.mjs'), 'to be or not'])
    expect(told).toBe('')
    expect(out).toContain('100 %\n4 words\n')
    expect(code).toBe(0)
    const failed = await run(process.execPath, [join(folder, 'client.mjs'), 'stop'])
    expect(failed.told).toContain('told to stop')
    expect(failed.code).toBe(1)
  })
})
