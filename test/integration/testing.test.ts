import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import { defineJob, UnrecoverableError } from '../../server/index.ts'
import { type TestOptions, testContext, testJobs } from '../../testing/index.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

const wordCount = defineJob({
  type: 'word-count',
  payload: z.strictObject({ text: z.string(), at: z.coerce.date<string>().optional() }),
  result: z.object({ words: z.number(), longest: z.string().default('') }),
  run({ text }, { progress, log, chunk }) {
    const words = text.match(/\p{L}+/gu) ?? []
    if (words.length === 0) throw new UnrecoverableError('there is no word in the text')
    for (const [index, word] of words.entries()) {
      progress((100 * (index + 1)) / words.length, word)
      chunk({ word })
    }
    log(`${words.length} words`)
    return { words: words.length }
  },
})

/** Fails so often, an attempt a minute. */
const flaky = defineJob({
  type: 'flaky',
  payload: z.object({ failures: z.int() }),
  maxAttempts: 5,
  backoff: { kind: 'fixed', delayMs: MINUTE_MS, jitter: 0.5 },
  timeoutMs: 10_000,
  run({ failures }, { attempt, log }) {
    log(`attempt ${attempt}`, 'warn')
    if (attempt <= failures) throw new Error(`failure ${attempt}`)
    return attempt
  },
})

/** Goes on until it is told to stop, and says why. */
const endless = defineJob({
  type: 'endless',
  maxAttempts: 1,
  timeoutMs: 5 * MINUTE_MS,
  run: (_payload, { signal }) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    }),
})

const jobs = [wordCount, flaky, endless]

function open(options?: TestOptions) {
  const opened = testJobs(jobs, options)
  onTestFinished(() => opened.close())
  return opened
}

afterEach(() => {
  vi.useRealTimers()
})

describe('a run', () => {
  test('has the result, and all that was reported', async () => {
    const { run } = open()
    const done = await run(wordCount, { text: 'a short text' }, { tags: ['mine'], priority: 3 })
    expect(done).toMatchObject({
      status: 'completed',
      result: { words: 3, longest: '' },
      error: null,
      errorCode: null,
      attempts: 1,
      progress: [{ note: 'a' }, { note: 'short' }, { percent: 100, note: 'text' }],
      logs: [{ level: 'info', line: '3 words' }],
      chunks: [{ word: 'a' }, { word: 'short' }, { word: 'text' }],
      job: { type: 'word-count', payload: { text: 'a short text' }, tags: ['mine'], priority: 3 },
    })
  })

  test('is refused as the server refuses it', async () => {
    const { run } = open()
    await expect(run(wordCount, Object({ txt: 1 }))).rejects.toMatchObject({
      name: 'JobcastError',
      code: 'invalid_payload',
      status: 400,
      errors: [{ path: 'payload.text' }, { path: 'payload.txt', message: 'unknown field' }],
    })
    const other = defineJob({ type: 'word-cuont', run: () => null })
    await expect(run(Object(other), Object(null))).rejects.toMatchObject({ code: 'unknown_type' })
  })

  test('that fails says so', async () => {
    const { run } = open()
    expect(await run(wordCount, { text: '...' })).toMatchObject({
      status: 'failed',
      result: null,
      error: 'there is no word in the text',
      errorCode: 'unrecoverable',
      attempts: 1,
    })
  })

  test('has as many attempts as it takes, whose backoff passes by the clock alone', async () => {
    const { run, clock } = open({ now: new Date('2030-01-01T00:00:00Z') })
    const startedAt = performance.now()
    const done = await run(flaky, { failures: 4 })
    expect(done).toMatchObject({ status: 'completed', result: 5, attempts: 5 })
    expect(done.logs.map(({ line }) => line)).toEqual([1, 2, 3, 4, 5].map((n) => `attempt ${n}`))
    expect(new Date(clock.now()).toISOString()).toBe('2030-01-01T00:04:00.000Z')
    expect(done.job.completedAt).toBe('2030-01-01T00:04:00.000Z')
    expect(await run(flaky, { failures: 9 }, { delayMs: DAY_MS })).toMatchObject({
      status: 'failed',
      error: 'failure 5',
      attempts: 5,
    })
    expect(new Date(clock.now()).toISOString()).toBe('2030-01-02T00:08:00.000Z')
    // In real time it would be a day.
    expect(performance.now() - startedAt).toBeLessThan(MINUTE_MS)
  })

  test('is cancelled by its signal', async () => {
    const abort = new AbortController()
    const unloved = defineJob({
      ...{ type: 'unloved', maxAttempts: 1 },
      run(payload, context) {
        abort.abort()
        return endless.run(payload, context)
      },
    })
    const { run, close } = testJobs([unloved])
    onTestFinished(close)
    const { signal } = abort
    expect(await run(unloved, null, { signal })).toMatchObject({
      status: 'cancelled',
      errorCode: 'cancelled',
    })
    await expect(run(unloved, null, { signal })).rejects.toMatchObject({ code: 'aborted' })
  })
})

test('a cancel in the moment of the claim is heard at once', async () => {
  const { client, idle } = open()
  for (let n = 0; n < 20; n++) {
    const { jobId } = await client.submit({ type: 'endless', payload: null })
    await client.cancel(jobId)
    await idle()
    expect(await client.get(jobId)).toMatchObject({ status: 'cancelled' })
  }
})

describe('the clock', () => {
  test('begins delayed jobs, and forgets those that have ended, to the moment', async () => {
    const { client, clock, idle } = open()
    const { jobId } = await client.submit({
      type: 'word-count',
      payload: { text: 'later' },
      options: { delayMs: DAY_MS, retainMs: MINUTE_MS },
    })
    await clock.advance(DAY_MS - 1)
    expect(await client.get(jobId)).toMatchObject({ status: 'scheduled' })
    await clock.advance(1)
    await idle()
    const { completedAt } = await client.get(jobId)
    expect(Date.parse(completedAt ?? '')).toBe(clock.now())
    await clock.advance(MINUTE_MS - 1)
    expect(await client.get(jobId)).toMatchObject({ status: 'completed' })
    await clock.advance(1)
    await expect(client.get(jobId)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('does what is due on the way at its own time', async () => {
    const { client, clock } = open({ now: 0 })
    const { jobId } = await client.submit({ type: 'flaky', payload: { failures: 3 } })
    await clock.advance(10 * MINUTE_MS)
    const job = await client.get(jobId)
    expect(job).toMatchObject({ status: 'completed', attempt: 4, completedAt: '1970-01-01T00:03:00.000Z' })
    expect(clock.now()).toBe(10 * MINUTE_MS)
  })

  test('times handlers out', async () => {
    const { run, clock } = open()
    const running = run(endless, null)
    await clock.advance(5 * MINUTE_MS - 1)
    await clock.advance(1)
    expect(await running).toMatchObject({ status: 'failed', errorCode: 'timeout', attempts: 1 })
  })

  test('goes forward only', async () => {
    const { clock } = open()
    for (const ms of [-1, Number.NaN, Infinity, Object('1')])
      await expect(clock.advance(ms)).rejects.toThrow('clock.advance takes a number of ms from 0 up')
  })

  test("is Jobcast's own: fake timers move what handlers wait for, and nothing else", async () => {
    vi.useFakeTimers()
    const sleepy = defineJob({
      type: 'sleepy',
      run: () => new Promise<string>((resolve) => setTimeout(resolve, MINUTE_MS, 'awake')),
    })
    const { run, client, clock, close } = testJobs([sleepy, flaky])
    onTestFinished(close)
    expect(await run(flaky, { failures: 4 })).toMatchObject({ result: 5 })
    const before = clock.now()
    const sleeping = run(sleepy, null)
    await clock.advance(0)
    vi.advanceTimersByTime(MINUTE_MS)
    expect(await sleeping).toMatchObject({ status: 'completed', result: 'awake' })
    expect(clock.now()).toBe(before)
    expect(await client.run({ type: 'flaky', payload: { failures: 0 } })).toBe(1)
  })
})

describe('two of them', () => {
  test('share nothing', async () => {
    const [one, other] = [open({ now: 0 }), open({ now: 0 })]
    const [first, second] = await Promise.all([
      one.run(flaky, { failures: 1 }),
      other.run(wordCount, { text: 'x' }, { delayMs: DAY_MS }),
    ])
    expect([one.clock.now(), other.clock.now()]).toEqual([MINUTE_MS, DAY_MS])
    expect((await one.client.list()).jobs.map(({ jobId }) => jobId)).toEqual([first.job.jobId])
    expect((await other.client.list()).jobs.map(({ jobId }) => jobId)).toEqual([second.job.jobId])
  })
})

describe('closed', () => {
  test('it ends what still runs, may be closed twice, and says so to whoever goes on', async () => {
    const { run, clock, idle, close } = testJobs(jobs)
    const running = run(endless, null)
    await clock.advance(0)
    const closed = { name: 'JobcastError', code: 'closed' }
    const ended = expect(running).rejects.toMatchObject(closed)
    await close()
    await close()
    await ended
    await expect(run(flaky, { failures: 0 })).rejects.toMatchObject(closed)
    await expect(clock.advance(1)).rejects.toMatchObject(closed)
    await expect(idle()).rejects.toMatchObject(closed)
  })

  test('by await using', async () => {
    let left: ReturnType<typeof testJobs<typeof jobs>>
    {
      await using opened = testJobs(jobs)
      expect(await opened.run(wordCount, { text: 'x' })).toMatchObject({ status: 'completed' })
      left = opened
    }
    await expect(left.run(wordCount, { text: 'x' })).rejects.toThrow('closed')
  })
})

test('a context for a handler alone has what it reported', async () => {
  const { context, progress, logs, chunks } = testContext({ attempt: 2, signal: AbortSignal.abort() })
  expect(wordCount.run({ text: 'two words' }, context)).toEqual({ words: 2 })
  expect(progress.at(-1)).toEqual({ percent: 100, note: 'words' })
  expect(logs).toEqual([{ level: 'info', line: '2 words' }])
  expect(chunks).toHaveLength(2)
  expect(context).toMatchObject({ attempt: 2, type: 'test' })
  expect(context.signal.aborted).toBe(true)
  expect(context.draining.aborted).toBe(false)
  expect(() => context.progress(Number.NaN)).toThrow(TypeError)
})

test('a process whose test jobs are closed ends by itself', async () => {
  const [index, testing] = ['server', 'testing'].map((folder) =>
    JSON.stringify(new URL(`../../dist/${folder}/index.js`, import.meta.url)),
  )
  const script = `
    import { defineJob } from ${index}
    import { testJobs } from ${testing}
    const job = defineJob({ type: 'job', run: (payload) => payload })
    const { run, clock, client, close } = testJobs([job])
    const { result } = await run(job, 'done', { delayMs: 86_400_000 })
    await client.watch((await client.submit({ type: 'job', payload: 1 })).jobId).finished
    await clock.advance(1)
    await close()
    console.log(result)`
  const ended = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  expect(ended).toEqual({ stdout: 'done\n', stderr: '' })
})
