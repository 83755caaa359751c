import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createClient, type JobcastClient } from '../../client/index.ts'
import { createProject, type RunningCommand, runCommand, startCommand } from '../helpers/command.ts'
import { freePort } from '../helpers/free-port.ts'

const PROJECT = {
  'package.json': '{ "name": "an-app" }',
  'tsconfig.json': '{ "compilerOptions": { "paths": { "@/*": ["./src/*"] } } }',
  'src/jobs.ts': `
import { defineJob } from 'jobcast'
import { setTimeout as pause } from 'node:timers/promises'
import { version } from '@/lib/version'

export const slow = defineJob({
  type: 'slow',
  async run(_payload, job) {
    job.log(\`runs \${version}\`)
    if (version === 'v1') await pause(600_000)
    return version
  },
})
export const boom = defineJob({
  type: 'boom',
  maxAttempts: 1,
  run(): never {
    throw new Error('it went boom', { cause: new Error(process.env.WHY) })
  },
})
export const thread = defineJob({ type: 'thread', isolate: new URL('./thread', import.meta.url) })
export const stuck = defineJob({ type: 'stuck', run: () => { for (;;); } })
export const told = defineJob({ type: 'told', run: () => version })
export const jobs = [slow, boom, thread, stuck, told]
`,
  'src/lib/version.ts': `export const version: string = 'v1'\n`,
  'src/thread.ts': `import { version } from './lib/version'\nexport const run = (): string => 'thread ' + version\n`,
  '.env': 'WHY=because of .env\n',
}

interface Dev {
  readonly command: RunningCommand
  readonly port: number
  readonly path: string
  readonly client: JobcastClient
  write(name: string, text: string): Promise<void>
}

/** `jobcast dev` in a project of its own, ready. */
async function develop(files: Readonly<Record<string, string>> = PROJECT, ...args: string[]): Promise<Dev> {
  const project = await createProject(files)
  const port = await freePort()
  const command = startCommand(['dev', '--port', String(port), ...args], { cwd: project.path })
  const client = createClient({ baseUrl: `http://127.0.0.1:${port}` })
  onTestFinished(async () => {
    client.close()
    command.signal('SIGINT')
    await command.ended
    await project.remove()
  })
  return { command, port, path: project.path, client, write: project.write }
}

describe('jobcast dev', () => {
  test('says where its page is and what it runs, and prints log lines and where a job threw', async () => {
    const { command, port, path, client } = await develop()
    await command.prints(/data {2}\.data/)
    expect(command.output.stdout).toMatch(new RegExp(`page {2}http://127\\.0\\.0\\.1:${port}\\n`))
    expect(command.output.stdout).toMatch(/jobs {2}slow, boom, thread, stuck, told {2}src\/jobs\.ts\n/)
    expect(await readFile(join(path, '.data/.gitignore'), 'utf8')).toBe('*\n')

    const { jobId } = await client.submit({ type: 'boom', payload: null })
    await client.watch(jobId).finished
    await command.prints(/caused by Error: because of \.env/)
    expect(command.output.stdout).toMatch(/boom .*✖ failed .* it went boom\n/)
    expect(command.output.stdout).toMatch(/› 18 │ {5}throw new Error\('it went boom'/)
    expect(command.output.stdout).toMatch(/at .*run \(src\/jobs\.ts:18\)\n/)
    expect(command.output.stdout).not.toMatch(/dist\/server/)

    expect(await client.run({ type: 'thread', payload: null })).toBe('thread v1')
    await client.submit({ type: 'slow', payload: null })
    await command.prints(/slow .* runs v1\n/)
  })

  test('the page is below the base path', async () => {
    const { command, port } = await develop({ ...PROJECT, '.env': 'JOBCAST_BASE_PATH=/work\n' })
    await command.prints(/data {2}\.data/)
    expect(command.output.stdout).toMatch(new RegExp(`page {2}http://127\\.0\\.0\\.1:${port}/work\\n`))
  })

  test('a save starts anew: what runs is given back, unspent, and run by the new code', async () => {
    const { command, client, write } = await develop()
    await command.prints(/data {2}\.data/)
    const { jobId } = await client.submit({ type: 'slow', payload: null })
    await command.prints(/runs v1\n/)
    const watch = client.watch(jobId)
    await write('src/lib/version.ts', `export const version: string = 'v2'\n`)
    const job = await watch.finished
    expect(job).toMatchObject({ status: 'completed', result: 'v2', attempt: 1, stalls: 0 })
    expect(await client.run({ type: 'thread', payload: null })).toBe('thread v2')
    expect(command.output.stdout).toMatch(/↻ restarted in /)
    // A handler that goes on is no news where its process ends.
    expect(command.output.stdout).not.toMatch(/goes on after/)
  })

  test('a handler that never lets go does not hold it up: its job counts as stalled', async () => {
    const { command, client, write } = await develop()
    await command.prints(/data {2}\.data/)
    const { jobId } = await client.submit({ type: 'stuck', payload: null, options: { maxStalls: 0 } })
    await write('src/lib/version.ts', `export const version: string = 'v2'\n`)
    await command.prints(/↻ restarted in /)
    expect(await client.watch(jobId).finished).toMatchObject({ status: 'failed', errorCode: 'stalled' })
  })

  test('a broken save is told of with its place, changes nothing, and is forgotten with the next', async () => {
    const { command, client, write } = await develop()
    await command.prints(/data {2}\.data/)
    await write('src/lib/version.ts', `export const version: string = 'v1'\nexport const b: = 2\n`)
    await command.prints(
      /✖ src\/lib\/version\.ts:2:\d+ {2}Unexpected token\n[\s\S]*› 2 │ export const b: = 2\n[\s\S]*waiting for a save/,
    )
    expect(await client.run({ type: 'told', payload: null })).toBe('v1')
    await write('src/lib/version.ts', `export const version: string = 'v3'\n`)
    await command.prints(/↻ restarted in /)
    expect(await client.run({ type: 'told', payload: null })).toBe('v3')
  })

  test('a start that fails waits for the file that is missing', async () => {
    const { command, write } = await develop({
      'package.json': '{}',
      'jobs.ts': `import { later } from './later'\nexport const jobs = [later]`,
    })
    await command.prints(/✖ jobs\.ts:1 {2}.*later[\s\S]*waiting for a save\n/)
    await write('later.ts', `export const later = { type: 'later', run() {} }`)
    await command.prints(/jobs {2}later {2}jobs\.ts/)
  })

  test('Ctrl-C ends it with all that it started, and jobs go on with the next', async () => {
    const { command, port, path, client, write } = await develop()
    await command.prints(/data {2}\.data/)
    const { jobId } = await client.submit({ type: 'slow', payload: null })
    await command.prints(/runs v1\n/)
    command.signal('SIGINT')
    expect(await command.ended).toMatchObject({ code: 0, stderr: '' })
    await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow()

    await write('src/lib/version.ts', `export const version: string = 'v2'\n`)
    const next = startCommand(['dev', '--port', String(port)], { cwd: path })
    onTestFinished(() => next.signal('SIGINT'))
    expect(await client.watch(jobId).finished).toMatchObject({ result: 'v2', attempt: 1, stalls: 0 })
    next.signal('SIGINT')
    await next.ended
  })

  test('a second one says in one line what to do: on the same port, in the same folder', async () => {
    const { command, port, path } = await develop()
    await command.prints(/data {2}\.data/)
    const [samePort, sameFolder] = await Promise.all([
      runCommand(['dev', '--port', String(port)], { cwd: path }),
      runCommand(['dev', '--port', '0'], { cwd: path }),
    ])
    expect(samePort.code).toBe(1)
    expect(samePort.stderr).toMatch(/^jobcast: a Jobcast server is there already, at .* --port \d+ .*\n$/)
    expect(sameFolder.code).toBe(1)
    expect(sameFolder.stdout).toMatch(/^.*✖ \.data is in use by another Jobcast process: .*\n$/)
  })

  test('without a jobs file it says how one is made; with examples it needs none', async () => {
    const project = await createProject({ 'package.json': '{}' })
    onTestFinished(project.remove)
    const none = await runCommand(['dev'], { cwd: project.path })
    expect(none).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/no jobs file here: "npx jobcast init" makes one/),
    })
    const { command } = await develop({ 'package.json': '{}' }, '--with-examples')
    await command.prints(/jobs {2}thumbnails, render, countdown {2}examples\n/)
  })
})

test('jobcast start serves what its arguments name, in TypeScript too, and drains at SIGTERM', async () => {
  const project = await createProject(PROJECT)
  onTestFinished(project.remove)
  const port = await freePort()
  const command = startCommand(['start', 'src/jobs.ts', '--port', String(port), '--env', '.env'], {
    cwd: project.path,
    env: { JOBCAST_LOG: 'silent' },
  })
  await command.prints(/jobcast listening on http/)
  const client = createClient({ baseUrl: `http://127.0.0.1:${port}` })
  onTestFinished(() => client.close())
  expect(await client.run({ type: 'thread', payload: null })).toBe('thread v1')
  command.signal('SIGTERM')
  expect((await command.ended).code).toBe(0)
})

describe('jobcast init', () => {
  async function initIn(files: Readonly<Record<string, string>>, ...args: string[]) {
    const project = await createProject(files)
    onTestFinished(project.remove)
    const ended = await runCommand(['init', ...args], { cwd: project.path })
    const read = (name: string) => readFile(join(project.path, name), 'utf8')
    return { ...ended, path: project.path, read }
  }

  test('adds a jobs file that works at once, a script and an ignore line, and keeps how package.json is written', async () => {
    const manifest =
      '{\n\t"name": "app",\n\t"type": "module",\n\t"dependencies": { "jobcast": "1", "zod": "4" }\n}'
    const { code, stdout, path, read } = await initIn({
      'package.json': manifest,
      '.git/HEAD': '',
      '.gitignore': 'dist',
    })
    expect(code).toBe(0)
    expect(stdout).toMatch(/\+ jobs\.js .*\n.*\+ package\.json .*\n.*\+ \.gitignore /)
    expect(await read('.gitignore')).toBe('dist\n.data\n')
    expect(await read('package.json')).toMatch(
      /^\{\n\t"name": "app",[\s\S]*"scripts": \{\n\t\t"jobs": "jobcast dev"\n\t\}\n\}$/,
    )

    const port = await freePort()
    const command = startCommand(['dev', '--port', String(port)], { cwd: path })
    const client = createClient({ baseUrl: `http://127.0.0.1:${port}` })
    onTestFinished(async () => {
      client.close()
      command.signal('SIGINT')
      await command.ended
    })
    await command.prints(/jobs {2}word-count {2}jobs\.js/)
    expect(await client.run({ type: 'word-count', payload: { text: 'one two' } })).toEqual({ words: 2 })
  })

  test('in an app of Next: the route handler too, and a component that calls it', async () => {
    const { stdout, path } = await initIn({
      'package.json': '{"dependencies":{"next":"16","react":"19"},"devDependencies":{"typescript":"5"}}',
      'pnpm-lock.yaml': '',
      'src/app/page.tsx': '',
    })
    expect(existsSync(join(path, 'src/jobs.ts'))).toBe(true)
    expect(existsSync(join(path, 'src/app/api/jobcast/[...path]/route.ts'))).toBe(true)
    expect(existsSync(join(path, '.gitignore'))).toBe(false)
    expect(stdout).toMatch(
      /pnpm add jobcast zod\n[\s\S]*pnpm jobs\n[\s\S]*useJob<typeof wordCount>[\s\S]*baseUrl="\/api\/jobcast"/,
    )
  })

  test.each([
    [
      'Vite',
      '{"dependencies":{"react":"19"},"devDependencies":{"vite":"8"}}',
      /'\/jobcast': \{[\s\S]*baseUrl="\/jobcast"/,
    ],
    [
      'Express',
      '{"dependencies":{"express":"5"}}',
      /require\('jobcast'\)[\s\S]*app\.use\(jobServer\.handler\)/,
    ],
    ['Node.js', '{"type":"module"}', /import \{ createClient \} from 'jobcast\/client'/],
  ])('in an app of %s: the code to paste', async (name, manifest, code) => {
    const { stdout } = await initIn({ 'package.json': manifest })
    expect(stdout).toMatch(new RegExp(`jobcast init {2}${name.replace('.', '\\.')}`))
    expect(stdout).toMatch(code)
  })

  test('in an app of Vite in TypeScript, which knows no types of Node, a job without its modules', async () => {
    const { stdout, read } = await initIn({
      'package.json': '{"dependencies":{"react":"19"},"devDependencies":{"vite":"8","typescript":"5"}}',
      'src/main.tsx': '',
    })
    const jobs = await read('src/jobs.ts')
    expect(jobs).toContain("from 'jobcast'")
    expect(jobs).not.toContain('node:')
    expect(stdout).toMatch(/tsconfig\.app\.json\n\n +"types": \["node", "vite\/client"\],/)
  })

  test('overwrites nothing', async () => {
    const files = {
      'package.json': '{"scripts":{"jobs":"mine"}}',
      'src/jobs.ts': '// mine',
      '.gitignore': '/.data/\n',
    }
    const { code, stdout, read } = await initIn(files)
    expect(code).toBe(0)
    for (const [name, text] of Object.entries(files)) expect(await read(name)).toBe(text)
    expect(stdout).toMatch(/· src\/jobs\.ts +is there already/)
    expect(stdout).toMatch(/· package\.json +has a script "jobs" already: mine/)
  })

  test('asks on a terminal, and takes no for an answer', async () => {
    const project = await createProject({ 'package.json': '{}' })
    onTestFinished(project.remove)
    const command = startCommand(['init'], { cwd: project.path, columns: 80 })
    await command.prints(/Go ahead\?/)
    command.write('n\r')
    expect(await command.ended).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/nothing was changed/),
    })
    expect(existsSync(join(project.path, 'jobs.mjs'))).toBe(false)
  })

  test.each([
    [{ 'package.json': 'null' }, 2, /^jobcast: package\.json must be an object, .*\n$/],
    [{ 'package.json': '{"scripts":[]}' }, 2, /^jobcast: package\.json must be an object, .*\n$/],
    [{ 'package.json': '{}', src: '' }, 1, /^jobcast: src\/jobs\.mjs cannot be written: .*\n$/],
    [{ 'package.json': '\uFEFF{"scripts":null}' }, 0, /^$/],
  ])('takes a project as it is, or says in one line why not: %j', async (files, code, said) => {
    expect(await initIn(files)).toMatchObject({ code, stderr: expect.stringMatching(said) })
  })

  test('needs a project', async () => {
    const project = await createProject({})
    onTestFinished(project.remove)
    expect(await runCommand(['init'], { cwd: project.path })).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^jobcast: there is no package\.json here: .*\n$/),
    })
  })
})
