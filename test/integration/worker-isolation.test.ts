import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { defineJob } from '../../server/jobs/define-job.ts'
import type { JobErrorCode } from '../../shared/codes.ts'
import { until } from '../helpers/until.ts'
import { openSqlite, openWorkbench, type Workbench } from '../helpers/workbench.ts'

// Threads load the built entry; `npm test` builds it first, a single run of this file where there is none.
beforeAll(() => {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  if (!existsSync(`${root}dist/server/worker/isolate-thread.js`)) {
    execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: 'ignore' })
  }
}, 120_000)

let bench: Workbench
beforeEach(async () => {
  bench = await openWorkbench(openSqlite)
})
afterEach(() => bench.close())

const ONCE = { maxAttempts: 1 }

/** `connect`, or the code of the error. */
async function connecting(port: number): Promise<unknown> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return 'connect'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  } finally {
    socket.destroy()
  }
}

/** A module of its own, as a thread loads it. */
function isolated(type: string, body: string, options: { timeoutMs?: number } = {}) {
  const source = `export async function run(payload, ctx) { ${body} }`
  return defineJob({
    type,
    isolate: new URL(`data:text/javascript,${encodeURIComponent(source)}`),
    ...options,
  })
}

/** What a handler may leave behind when it returns, and what another finds of it. */
const LEFTOVERS: [what: string, leave: string, look: string, found: unknown][] = [
  ['a timer that throws', "setTimeout(() => { throw new Error('late') }, 5)", '0', 0],
  ['a rejection that comes late', "setTimeout(() => Promise.reject(new Error('late')), 5)", '0', 0],
  ['an exit that comes late', 'setTimeout(() => process.exit(7), 5)', '0', 0],
  [
    'half of its heap',
    'globalThis.hoard = new Array(3_000_000).fill(0.5)',
    'globalThis.hoard?.length ?? 0',
    0,
  ],
  ['another JSON.stringify', 'JSON.stringify = () => \'"patched"\'', 'JSON.stringify([1])', '[1]'],
  ['another prototype', 'Array.prototype.left = 1', '[].left ?? 0', 0],
  ['its environment', "process.env.LEFT = 'behind'", 'process.env.LEFT ?? 0', 0],
  ['a listener', "process.on('beforeExit', () => {})", "process.listenerCount('beforeExit')", 0],
]

describe('an isolated handler', () => {
  test.each(LEFTOVERS)('leaves %s to no other run', async (_what, leave, look, found) => {
    // Long enough for what was left behind to happen.
    const see = `await new Promise((go) => setTimeout(go, 40)); return ${look}`
    const definitions = [isolated('leaves', `${leave}; return ${look}`), isolated('looks', see)]
    await bench.work(definitions, { concurrency: 1, threadHeapMb: 48 })
    const order = ['leaves', 'looks', 'leaves', 'leaves', 'looks']
    const jobIds = await Promise.all(order.map((type) => bench.submit(type, {}, ONCE)))
    const jobs = await Promise.all(jobIds.map((jobId) => bench.ended(jobId)))
    expect(jobs.map(({ status }) => status)).toEqual(order.map(() => 'completed'))
    expect(jobs.flatMap(({ type, result }) => (type === 'looks' ? [result] : []))).toEqual([found, found])
  })

  test('that returns inside native code which does not is no hindrance to its result, nor to the next', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'jobcast-fifo-'))
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    const reads = `const { readFile } = await import('node:fs'); readFile(payload.fifo, () => {}); return 'reading'`
    const worker = await bench.work([isolated('reads', reads)], { concurrency: 1 })
    const jobIds = [await bench.submit('reads', { fifo }), await bench.submit('reads', { fifo })]
    for (const jobId of jobIds)
      expect(await bench.ended(jobId)).toMatchObject({ status: 'completed', result: 'reading' })
    await until(() => worker.info().running === 0)
    // Now somebody might write, and they can be opened.
    await (await open(fifo, 'r+')).close()
    await rm(folder, { recursive: true })
  })

  test('that reports faster than the process reads waits for it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'jobcast-flood-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const count = join(folder, 'count')
    await bench.work([
      isolated(
        'floods',
        `const { renameSync, writeFileSync } = await import('node:fs')
         for (let n = 1; n <= 1024; n++) {
           ctx.chunk('x'.repeat(64 * 1024))
           writeFileSync(payload.count + '.new', String(n))
           renameSync(payload.count + '.new', payload.count)
         }`,
      ),
    ])
    const jobId = await bench.submit('floods', { count }, ONCE)
    await until(() => existsSync(count), { what: 'the first report' })
    // Now the process reads nothing, until the thread has stood still for a while.
    const clock = new Int32Array(new SharedArrayBuffer(4))
    let reported = 0
    for (let quiet = 0; quiet < 20 && reported < 1024; quiet += 1) {
      const now = Number(readFileSync(count, 'utf8'))
      if (now > reported) quiet = 0
      reported = now
      Atomics.wait(clock, 0, 0, 20)
    }
    expect(reported).toBeLessThan(256)
    expect(await bench.ended(jobId)).toMatchObject({ status: 'completed' })
    expect(readFileSync(count, 'utf8')).toBe('1024')
  })

  test('has its sockets closed when it returns', async () => {
    await bench.work([
      isolated(
        'listens',
        `const { createServer } = await import('node:net')
         const server = createServer().listen(0, '127.0.0.1')
         await new Promise((go) => server.once('listening', go))
         return server.address().port`,
      ),
    ])
    const { result: port } = await bench.ended(await bench.submit('listens'))
    await until(async () => (await connecting(Number(port))) === 'ECONNREFUSED')
  })

  test('gets payload and context, reports in order and returns', async () => {
    await bench.work([
      isolated(
        'thread',
        `const { isMainThread } = await import('node:worker_threads')
         ctx.log('in a thread: ' + !isMainThread)
         ctx.chunk({ piece: payload.word })
         ctx.progress(70, 'nearly')
         return { word: payload.word, jobId: ctx.jobId, attempt: ctx.attempt, type: ctx.type }`,
      ),
    ])
    const jobId = await bench.submit('thread', { word: 'hello' })
    const job = await bench.ended(jobId)
    expect(job.result).toEqual({ word: 'hello', jobId, attempt: 1, type: 'thread' })
    expect(job.progress).toEqual({ percent: 70, note: 'nearly' })
    const reported = (await bench.history(jobId)).flatMap(({ kind, data }) =>
      kind === 'status' ? [] : [data],
    )
    expect(reported).toEqual([
      { level: 'info', line: 'in a thread: true' },
      { piece: 'hello' },
      { percent: 70, note: 'nearly' },
    ])
  })

  const cases: [string, string, JobErrorCode, RegExp][] = [
    ['throws', "throw new Error('from afar')", 'handler_error', /^from afar$/],
    ['rejects with nothing', 'return Promise.reject()', 'handler_error', /threw undefined/],
    [
      'throws an unrecoverable error',
      "throw Object.assign(new Error('hopeless'), { name: 'UnrecoverableError' })",
      'unrecoverable',
      /^hopeless$/,
    ],
    ['returns a function', 'return { f() {} }', 'unserializable_result', /a function at "f"/],
    ['returns 2 MiB', "return 'x'.repeat(2 * 1024 * 1024)", 'result_too_large', /2097154 bytes/],
    ['sends a chunk that is no JSON', 'ctx.chunk(1n)', 'handler_error', /chunk: data is a bigint/],
    ['calls process.exit', 'process.exit(7)', 'handler_error', /exit code 7/],
    [
      'sends its own process a signal',
      "process.kill(process.pid, 'SIGTERM')",
      'handler_error',
      /may not send a signal/,
    ],
    ['returns a Map', 'return { at: [new Map()] }', 'unserializable_result', /a Map at "at.0"/],
    [
      'sends a chunk that JSON would lose',
      'ctx.chunk({ at: [new Map()] })',
      'handler_error',
      /^chunk: .*a Map at "at.0"/,
    ],
    [
      'leaves an unhandled rejection',
      "Promise.reject(new Error('forgotten')); await new Promise((r) => setTimeout(r, 5000))",
      'uncaught',
      /^forgotten$/,
    ],
    [
      'leaves an unhandled rejection and returns',
      "Promise.reject(new Error('forgotten'))",
      'uncaught',
      /^forgotten$/,
    ],
    [
      'throws from a timer',
      "setTimeout(() => { throw new Error('from a timer') }); await new Promise(() => {})",
      'uncaught',
      /^from a timer$/,
    ],
    [
      'fills the heap',
      'const hoard = []; for (;;) hoard.push(new Array(1000).fill({}))',
      'handler_error',
      /out of memory/,
    ],
  ]
  test.each(cases)('that %s fails clearly, and the worker lives', async (_name, body, errorCode, error) => {
    await bench.work([isolated('bad', body), isolated('good', "return 'alive'")], { threadHeapMb: 48 })
    const job = await bench.ended(await bench.submit('bad', {}, ONCE))
    expect(job).toMatchObject({ status: 'failed', errorCode })
    expect(job.error).toMatch(error)
    expect(await bench.ended(await bench.submit('good'))).toMatchObject({ result: 'alive' })
  })

  test('whose module has no run, or cannot be loaded, says so', async () => {
    await bench.work([
      defineJob({ type: 'empty', isolate: new URL('data:text/javascript,export const walk = 1') }),
      defineJob({ type: 'gone', isolate: '/nowhere/at/all.mjs' }),
    ])
    expect((await bench.ended(await bench.submit('empty', {}, ONCE))).error).toMatch(
      /exports no function "run"/,
    )
    expect((await bench.ended(await bench.submit('gone', {}, ONCE))).error).toMatch(/nowhere\/at\/all\.mjs/)
  })

  test('that blocks its thread is killed at its timeout, and frees its slot', async () => {
    const worker = await bench.work([isolated('block', 'for (;;) {}')])
    const job = await bench.ended(await bench.submit('block', {}, { timeoutMs: 100, maxAttempts: 1 }))
    expect(job).toMatchObject({ status: 'failed', errorCode: 'timeout' })
    await until(() => worker.info().running === 0)
    expect(bench.emitted).toContainEqual({
      name: 'run.overstayed',
      data: expect.objectContaining({ killed: true }),
    })
  })

  test('hears that it is cancelled; one that does not listen is killed after the grace', async () => {
    const worker = await bench.work(
      [
        isolated(
          'listens',
          "ctx.log('on'); await new Promise((_, no) => ctx.signal.addEventListener('abort', () => no(ctx.signal.reason)))",
        ),
        isolated('blocks', "ctx.log('on'); for (;;) {}"),
      ],
      { cancelGraceMs: 150 },
    )
    const jobIds = [await bench.submit('listens'), await bench.submit('blocks')]
    for (const jobId of jobIds) {
      await until(async () => (await bench.history(jobId)).some(({ kind }) => kind === 'log'))
      await bench.engine.cancel(jobId)
    }
    for (const jobId of jobIds) expect(await bench.ended(jobId)).toMatchObject({ status: 'cancelled' })
    await until(() => worker.info().running === 0)
    expect(bench.emitted.filter(({ name }) => name === 'run.overstayed')).toHaveLength(1)
  })

  test('hears at once that its worker drains, and may still report and return', async () => {
    const worker = await bench.work([
      isolated(
        'heeds',
        `ctx.log('on')
         await new Promise((go) => ctx.draining.addEventListener('abort', go))
         ctx.log(ctx.draining.reason.reason + ', to stop: ' + ctx.signal.aborted)
         return 'put away'`,
      ),
    ])
    const jobId = await bench.submit('heeds')
    await until(async () => (await bench.history(jobId)).some(({ kind }) => kind === 'log'))
    await worker.drain(10_000)
    expect(await bench.job(jobId)).toMatchObject({ status: 'completed', result: 'put away' })
    expect(await bench.history(jobId)).toContainEqual(
      expect.objectContaining({ data: { level: 'info', line: 'draining, to stop: false' } }),
    )
  })

  test('that logs without end waits for its reader instead of filling the memory', async () => {
    await bench.work([isolated('chatter', "for (let i = 1; i <= 50000; i += 1) ctx.log('line ' + i)")])
    const jobId = await bench.submit('chatter')
    const job = await bench.ended(jobId)
    expect(job.status).toBe('completed')
    const lines = (await bench.history(jobId)).flatMap((event) =>
      event.kind === 'log' ? [event.data.line] : [],
    )
    expect(lines.at(-1)).toBe('line 50000')
  })
})
