import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createProject, runCommand, startCommand } from '../helpers/command.ts'
import { dataFolder, type ServerProcess, startServer } from '../helpers/server.ts'

const JOBS = `
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
export const echo = {
  type: 'echo',
  payload: z.object({ text: z.string(), count: z.number().optional() }),
  run(payload, job) {
    job.log('heard ' + payload.text)
    job.progress(100, 'all of it')
    return payload
  },
}
export const boom = { type: 'boom', maxAttempts: 1, run() { throw new Error('it went boom') } }
export const forever = { type: 'forever', run: (_, job) => pause(600_000, null, { signal: job.signal }) }
`

let project: Awaited<ReturnType<typeof createProject>>
let data: Awaited<ReturnType<typeof dataFolder>>
let server: ServerProcess
let env: Readonly<Record<string, string>>

beforeAll(async () => {
  project = await createProject({ 'jobs.mjs': JOBS, 'payload.json': '{ "text": "from a file" }' })
  data = await dataFolder()
  server = await startServer({
    JOBCAST_DATA: data.path,
    JOBCAST_JOBS: join(project.path, 'jobs.mjs'),
    JOBCAST_API_KEYS: 'tests:admin:the-key',
    JOBCAST_LOG: 'silent',
  })
  env = { JOBCAST_URL: server.url, JOBCAST_KEY: 'the-key' }
})
afterAll(async () => {
  await server.stop()
  await Promise.all([data.remove(), project.remove()])
})

const run = (...args: string[]) => runCommand(args, { env, cwd: project.path })
const lines = (text: string) => text.trim().split('\n')

async function submitted(type: string, ...rest: string[]): Promise<string> {
  const { stdout } = await run('submit', type, ...rest)
  return stdout.trim()
}

describe('jobcast submit', () => {
  test('prints the id of the job, and nothing else where no terminal reads it', async () => {
    const { code, stdout, stderr } = await run('submit', 'echo', '{"text":"hi"}')
    expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  test('--watch tells how it goes, then its result alone on standard output', async () => {
    const { code, stdout, stderr } = await run('submit', 'echo', 'text=hello there', 'count=3', '--watch')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({ text: 'hello there', count: 3 })
    expect(stderr).toMatch(/heard hello there\n.*100 % {2}all of it\n✔ completed in /)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: no colour, no cursor that moves
    expect(stderr).not.toMatch(/\u001b/)
  })

  test('--watch ends with 1 where the job fails, and says why', async () => {
    const { code, stdout, stderr } = await run('submit', 'boom', '--watch')
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/✖ failed: it went boom\n$/)
  })

  test('--watch --json prints events, and the job as the last line', async () => {
    const { code, stdout } = await run('submit', 'echo', 'text=x', '--watch', '--json')
    const told = lines(stdout).map((line) => JSON.parse(line))
    expect(code).toBe(0)
    expect(told.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['status', 'log', 'progress']))
    expect(told.at(-1)).toMatchObject({ kind: 'job', job: { status: 'completed', result: { text: 'x' } } })
  })

  test('takes a payload from a file, and from standard input', async () => {
    const file = await run('submit', 'echo', '@payload.json', '--watch')
    expect(JSON.parse(file.stdout)).toEqual({ text: 'from a file' })
    const input = await runCommand(['submit', 'echo', '-', '--watch'], { env, input: '{"text":"piped"}' })
    expect(JSON.parse(input.stdout)).toEqual({ text: 'piped' })
  })

  test('passes options on', async () => {
    const jobId = await submitted(
      'echo',
      'text=x',
      '--delay',
      '1h',
      '--tag',
      'a',
      '--tag',
      'b',
      '--priority',
      '7',
    )
    const job = JSON.parse((await run('get', jobId, '--json')).stdout)
    expect(job).toMatchObject({ status: 'scheduled', tags: ['a', 'b'], priority: 7 })
    expect(Date.parse(job.scheduledFor) - Date.parse(job.createdAt)).toBe(3_600_000)
    const twice = ['echo', 'text=x', '--idempotency-key', 'once'] as const
    expect(await submitted(...twice)).toBe(await submitted(...twice))
  })

  test.each([
    [['submit', 'foreve', 'text=x'], 1, /no job type.*did you mean forever\?/],
    [['submit', 'echo', 'txet=x'], 1, /the payload is not valid: payload\.text/],
    [['submit', 'echo', '{text}'], 2, /the payload is not JSON: /],
    [['submit', 'echo', '{"text":', '"x"}'], 2, /a payload is one argument: put it in quotes/],
    [['submit', 'echo', '@gone.json'], 2, /gone\.json: there is no such file/],
    [['submit', 'echo', 'text=x', '--delay', 'soon'], 2, /--delay soon is no duration: write it such as 30s/],
    [['submit', 'echo', 'text=x', '--priority', '12'], 1, /priority/],
    [['watch', 'no-such-job'], 1, /there is no such job/],
    [['ls', '--limit', '0'], 2, /--limit 0 must be a whole number/],
    [['ls', '--status', 'done'], 1, /status/],
    [['pause', 'No Type'], 1, /./],
  ])('%j: one clear line', async (args, code, line) => {
    const ended = await run(...args)
    expect(ended.code).toBe(code)
    expect(ended.stdout).toBe('')
    expect(ended.stderr).toMatch(line)
    expect(ended.stderr).toMatch(/^jobcast: .+\n$/)
  })
})

describe('the server that is called', () => {
  test.each([
    [{ JOBCAST_URL: 'http://127.0.0.1:1' }, 1, /127\.0\.0\.1:1 cannot be reached: is the server running/],
    [{ JOBCAST_URL: 'localhost' }, 2, /localhost is no address of a server/],
  ])('%j', async (other, code, line) => {
    const ended = await runCommand(['types'], { env: other })
    expect(ended.code).toBe(code)
    expect(ended.stderr).toMatch(line)
    expect(lines(ended.stderr)).toHaveLength(1)
  })

  test('asks for a key, does not know one', async () => {
    const none = await runCommand(['types', '--url', server.url])
    expect(none).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/asks for an API key: --key or JOBCAST_KEY/),
    })
    const wrong = await runCommand(['types', '--url', server.url, '--key', 'another'])
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringMatching(/does not know this API key/) })
    expect((await runCommand(['types', '--url', server.url, '--key', 'the-key'])).code).toBe(0)
  })

  test('is another program', async () => {
    const other = createServer((_request, response) => response.end('<h1>hello</h1>'))
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void other.close())
    const address = other.address()
    const port = typeof address === 'object' ? address?.port : 0
    const ended = await runCommand(['types', '--url', `http://127.0.0.1:${port}`])
    expect(ended.code).toBe(1)
    expect(ended.stderr).toMatch(/answers, but not as a Jobcast server/)
  })
})

test('jobs are listed, shown, cancelled and retried; types are listed, paused and resumed', async () => {
  const jobId = await submitted('forever', '--tag', 'mine')
  expect(await run('ls', '--tag', 'mine')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(new RegExp(`^ID .*\\n${jobId}  forever  `)),
  })
  expect(JSON.parse((await run('ls', '--tag', 'mine', '--json')).stdout).jobs).toMatchObject([{ jobId }])
  expect((await run('ls', '--tag', 'nobodys')).stderr).toBe('no job is like that\n')
  expect((await run('get', jobId)).stdout).toMatch(
    /^job {8}[\s\S]*\ntype {7}forever\n[\s\S]*\npayload {4}\{\}/,
  )

  expect((await run('cancel', jobId)).stdout).toContain(jobId)
  expect(await run('watch', jobId)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/⊘ cancelled\n$/),
  })
  expect((await run('cancel', jobId)).stderr).toMatch(/^jobcast: .*\n$/)

  expect((await run('pause', 'forever')).stdout).toMatch(/^forever {2}paused/)
  expect((await run('types')).stdout).toMatch(/\nforever .* paused\n/)
  expect(JSON.parse((await run('retry', jobId, '--json')).stdout)).toMatchObject({ jobId, status: 'queued' })
  expect((await run('cancel', jobId)).stdout).toMatch(/cancelled\n$/)
  expect((await run('resume', 'forever')).stdout).toMatch(/^forever {2}runs/)
  const { types } = JSON.parse((await run('types', '--json')).stdout)
  expect(types.find(({ type }: { type: string }) => type === 'forever')).toMatchObject({ paused: false })
})

describe('Ctrl-C while a job is watched', () => {
  test('leaves the job to itself where nobody can be asked, and ends with 130', async () => {
    const command = startCommand(['submit', 'forever', '--tag', 'left', '--watch'], { env })
    await command.prints(/processing/)
    command.signal('SIGINT')
    expect(await command.ended).toMatchObject({ code: 130 })
    const { jobs } = JSON.parse((await run('ls', '--tag', 'left', '--json')).stdout)
    expect(jobs).toMatchObject([{ status: 'processing', cancelRequested: false }])
    await run('cancel', jobs[0].jobId)
  })

  test.each([
    ['of 80 columns', 80, 'y'],
    ['that knows no size, with Enter', 0, 'y\r'],
  ])(
    'asks on a terminal %s: y cancels the job, and ends with 130 once it is cancelled',
    async (_, columns, yes) => {
      const command = startCommand(['submit', 'forever', '--watch'], { env, columns })
      await command.prints(/processing/)
      command.write('\u0003')
      await command.prints(/Cancel the job\?/)
      command.write(yes)
      const { code, stdout } = await command.ended
      expect(stdout).toMatch(/⊘ cancelled/)
      expect(code).toBe(130)
    },
  )

  test('once more leaves the job running', async () => {
    const command = startCommand(['submit', 'forever', '--tag', 'again', '--watch'], { env, columns: 80 })
    await command.prints(/processing/)
    command.write('\u0003')
    await command.prints(/Cancel the job\?/)
    command.write('\u0003')
    expect((await command.ended).code).toBe(130)
    const { jobs } = JSON.parse((await run('ls', '--tag', 'again', '--json')).stdout)
    expect(jobs).toMatchObject([{ status: 'processing', cancelRequested: false }])
    await run('cancel', jobs[0].jobId)
  })
})

describe('on a terminal', () => {
  test('a list takes no more columns than there are', async () => {
    await submitted('echo', 'text=x', '--tag', 'a-tag-that-is-rather-long-for-any-terminal')
    for (const columns of [60, 100]) {
      const { stdout } = await startCommand(['ls', '--no-color'], { env, columns }).ended
      const widths = stdout.split('\r\n').map((line) => line.length)
      expect(Math.max(...widths)).toBeLessThanOrEqual(columns)
      expect(stdout).toMatch(/[0-9a-f]{12} {2}/)
    }
  })

  test('top is drawn again until q, and leaves the screen as it was', async () => {
    const command = startCommand(['top'], { env, columns: 80 })
    await command.prints(/q quits[\s\S]*q quits/)
    command.write('q')
    const { code, stdout } = await command.ended
    expect(code).toBe(0)
    expect(stdout.startsWith('\u001b[?1049h')).toBe(true)
    expect(stdout.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true)
    expect(stdout).toMatch(/echo/)
  })
})

test('top is one look where there is no terminal, or one document', async () => {
  expect((await run('top')).stdout).toMatch(/^jobcast .*\n.*\n1 worker, .* slots busy/)
  expect(JSON.parse((await run('top', '--json')).stdout)).toMatchObject({ overview: { engine: 'sqlite' } })
})

describe('help', () => {
  test('is there for each command, with examples', async () => {
    const { stdout } = await runCommand(['--help'])
    const commands = [...stdout.matchAll(/^ {2}([a-z]+)(?:\|[a-z]+)? \[/gm)].map(([, name]) => name ?? '')
    expect(commands).toEqual(expect.arrayContaining(['init', 'dev', 'start', 'submit', 'top']))
    const helps = await Promise.all(
      commands.filter((name) => name !== 'help').map((name) => runCommand([name, '--help'])),
    )
    for (const help of helps) {
      expect(help.code).toBe(0)
      expect(help.stdout).toMatch(/Examples:\n {2}\$ .*npx jobcast /)
    }
  })

  test('an unknown command, or option, is told of with what may be meant', async () => {
    expect(await runCommand(['sbumit'])).toMatchObject({
      code: 2,
      stderr: "jobcast: unknown command 'sbumit'\n(Did you mean submit?)\n",
    })
    expect(await runCommand(['ls', '--tpye', 'x'])).toMatchObject({
      code: 2,
      stderr: "jobcast: unknown option '--tpye'\n(Did you mean --type?)\n",
    })
  })
})
