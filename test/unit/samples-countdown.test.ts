import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkValue } from '../../server/jobs/check-value.ts'
import { problems, sample } from '../helpers/samples.ts'
import { until } from '../helpers/until.ts'
import { openSqlite, openWorkbench, type Workbench } from '../helpers/workbench.ts'

let bench: Workbench
beforeEach(async () => {
  bench = await openWorkbench(openSqlite)
})
afterEach(() => bench.close())

test.each([
  ['stops when it is cancelled', false, 60_000],
  ['goes on when it is cancelled where that is asked for', true, 100],
])('countdown %s', async (_, ignoreAbort, cancelGraceMs) => {
  await bench.work([sample('countdown')], { cancelGraceMs })
  const jobId = await bench.submit('countdown', { steps: 100, stepMs: 100, logs: true, ignoreAbort })
  await until(async () => (await bench.history(jobId)).some(({ kind }) => kind === 'log'))
  await bench.engine.cancel(jobId)
  expect(await bench.ended(jobId)).toMatchObject({ status: 'cancelled' })
  expect(bench.emitted.some(({ name }) => name === 'run.overstayed')).toBe(ignoreAbort)
})

describe('countdown', () => {
  async function run(payload: Record<string, unknown>, policy = {}) {
    const jobId = await bench.submit('countdown', JSON.parse(JSON.stringify(payload)), policy)
    return { jobId, job: await bench.ended(jobId) }
  }
  beforeEach(async () => {
    await bench.work([sample('countdown')])
    bench.maintain()
  })

  test('counts, with a log line and a chunk a step where asked for', async () => {
    const { jobId, job } = await run({ steps: 3, stepMs: 1, logs: true, chunks: true })
    expect(job).toMatchObject({ status: 'completed', result: { steps: 3 } })
    expect(job.progress).toEqual({ percent: 100, note: 'step 3 of 3' })
    const events = await bench.history(jobId)
    expect(events.flatMap(({ kind, data }) => (kind === 'log' ? [data] : []))).toEqual(
      [1, 2, 3].map((step) => ({ level: 'info', line: `step ${step}` })),
    )
    expect(events.flatMap(({ kind, data }) => (kind === 'chunk' ? [data] : []))).toEqual(
      [1, 2, 3].map((step) => ({ step })),
    )
  })

  test('needs no payload but {}', async () => {
    expect(await checkValue(sample('countdown').payload, {})).toMatchObject({
      ok: true,
      value: { steps: 10, stepMs: 500, logs: false, chunks: false, ignoreAbort: false, unrecoverable: false },
    })
  })

  test('10,000 steps without a pause still let the process work', async () => {
    const { job } = await run({ steps: 10_000, stepMs: 0 })
    expect(job.result).toEqual({ steps: 10_000 })
  })

  test('fails at a step, before its events, on the first attempts', async () => {
    const policy = { backoff: { kind: 'fixed', delayMs: 0, maxMs: 0, jitter: 0 } }
    const { jobId, job } = await run(
      { steps: 3, stepMs: 0, failAtStep: 2, failAttempts: 1, logs: true },
      policy,
    )
    expect(job).toMatchObject({ status: 'completed', attempt: 2 })
    const lines = (await bench.history(jobId)).flatMap((event) =>
      event.kind === 'log' ? [event.data.line] : [],
    )
    expect(lines).toEqual(['step 1', 'step 1', 'step 2', 'step 3'])
  })

  test('fails on every attempt where none is named, for good where asked for', async () => {
    const { job } = await run({ steps: 2, stepMs: 0, failAtStep: 1 }, { maxAttempts: 1 })
    expect(job).toMatchObject({
      status: 'failed',
      errorCode: 'handler_error',
      error: 'failed at step 1, as asked',
    })
    const { job: hopeless } = await run({ steps: 2, stepMs: 0, failAtStep: 1, unrecoverable: true })
    expect(hopeless).toMatchObject({ status: 'failed', errorCode: 'unrecoverable', attempt: 1 })
  })

  test('pads its result', async () => {
    const { job } = await run({ steps: 1, stepMs: 0, resultBytes: 1000 })
    expect(job.result).toEqual({ steps: 1, padding: expect.stringMatching(/^.{1000}$/) })
    const { job: large } = await run({ steps: 1, stepMs: 0, resultBytes: 2 * 1024 * 1024 })
    expect(large.errorCode).toBe('result_too_large')
  })

  test('refuses wrong payloads', async () => {
    expect(await problems('countdown', { steps: 0 })).toHaveLength(1)
    expect(
      await problems('countdown', { steps: 10_001, stepMs: 60_001, failAtStep: 1.5, logs: 'yes' }),
    ).toHaveLength(4)
    expect(await problems('countdown', { step: 1 })).toHaveLength(1)
  })
})
