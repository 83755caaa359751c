import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob, type Handler } from '../../server/jobs/define-job.ts'
import type { JobErrorCode } from '../../shared/codes.ts'
import { openSqlite, openWorkbench, type Workbench } from '../helpers/workbench.ts'

let bench: Workbench
beforeEach(async () => {
  bench = await openWorkbench(openSqlite)
})
afterEach(() => bench.close())

const ONCE = { maxAttempts: 1 }

async function endOf(handler: Handler<unknown, unknown>) {
  await bench.work([defineJob({ type: 'bad', run: handler })])
  return bench.ended(await bench.submit('bad', {}, ONCE))
}

const circular: Record<string, unknown> = {}
circular.self = circular

/** Holds it often, and itself little. */
function doubled(value: object): object {
  return Array.from({ length: 60 }).reduce((inner: object) => ({ one: inner, two: inner }), value)
}

const CASES: [string, Handler<unknown, unknown>, JobErrorCode, RegExp][] = [
  [
    'throws a string',
    () => {
      throw 'plain words'
    },
    'handler_error',
    /^plain words$/,
  ],
  [
    'throws an empty string',
    () => {
      throw ''
    },
    'handler_error',
    /the handler threw ''/,
  ],
  ['rejects with nothing', () => Promise.reject(), 'handler_error', /the handler threw undefined/],
  [
    'throws null',
    () => {
      throw null
    },
    'handler_error',
    /the handler threw null/,
  ],
  [
    'throws an object without a message',
    () => {
      throw { status: 418 }
    },
    'handler_error',
    /status: 418/,
  ],
  [
    'throws an error without words',
    () => {
      throw new RangeError()
    },
    'handler_error',
    /^RangeError$/,
  ],
  [
    'throws an object whose message throws',
    () => {
      throw {
        get message() {
          throw new Error('no')
        },
      }
    },
    'handler_error',
    /cannot be described/,
  ],
  [
    'throws a proxy that throws',
    () => {
      throw new Proxy(
        {},
        {
          get() {
            throw new Error('no')
          },
          ownKeys() {
            throw new Error('no')
          },
        },
      )
    },
    'handler_error',
    /./,
  ],
  ['returns a circular value', () => circular, 'unserializable_result', /circular/],
  ['returns a BigInt', () => 12n, 'unserializable_result', /is a bigint/],
  ['returns a function', () => () => 1, 'unserializable_result', /is a function/],
  ['returns a symbol', () => Symbol('x'), 'unserializable_result', /is a symbol/],
  [
    'returns a function inside',
    () => ({ tools: { hammer: () => 1 } }),
    'unserializable_result',
    /a function at "tools.hammer"/,
  ],
  ['returns NaN inside', () => ({ ratio: Number.NaN }), 'unserializable_result', /NaN at "ratio"/],
  [
    'returns an object whose toJSON throws',
    () => ({
      toJSON() {
        throw new Error('no JSON today')
      },
    }),
    'unserializable_result',
    /no JSON today/,
  ],
  [
    'returns 65 levels',
    () => JSON.parse(`${'['.repeat(65)}${']'.repeat(65)}`),
    'unserializable_result',
    /more than 64 deep/,
  ],
  [
    'returns 100,000 levels',
    () => {
      let value: unknown[] = []
      for (let depth = 0; depth < 100_000; depth += 1) value = [value]
      return value
    },
    'unserializable_result',
    /too deep/,
  ],
  ['returns 2 to the power of 60 values', () => doubled({ n: 1 }), 'unserializable_result', /too large/],
  [
    'returns 2 to the power of 60 dates',
    () => doubled({ n: new Date(0) }),
    'unserializable_result',
    /too large/,
  ],
  ['returns 2 MiB', () => 'x'.repeat(2 * 1024 * 1024), 'result_too_large', /2097154 bytes.*1048576/],
  [
    'reports a progress that is no number',
    (_payload, { progress }) => progress(Number.NaN),
    'handler_error',
    /percent must be a number/,
  ],
  [
    'sends a chunk that is not JSON',
    (_payload, { chunk }) => chunk(undefined),
    'handler_error',
    /chunk: data is undefined/,
  ],
  [
    'sends a chunk that is too large',
    (_payload, { chunk }) => chunk('x'.repeat(256 * 1024)),
    'handler_error',
    /262146 bytes/,
  ],
]

describe('a handler that', () => {
  test.each(CASES)(
    '%s fails with a clear error, and the worker lives',
    async (_name, handler, errorCode, error) => {
      const job = await endOf(handler)
      expect(job).toMatchObject({ status: 'failed', errorCode, attempt: 1 })
      expect(job.error).toMatch(error)
      await bench.work([defineJob({ type: 'good', run: () => 'alive' })])
      expect(await bench.ended(await bench.submit('good'))).toMatchObject({ result: 'alive' })
    },
  )

  test('throws a very long message has it cut, between characters', async () => {
    const job = await endOf(() => {
      throw new Error('ä'.repeat(100_000))
    })
    expect(Buffer.byteLength(job.error ?? '')).toBe(8192)
    expect(job.error).toBe('ä'.repeat(4096))
  })

  test('returns 64 levels completes', async () => {
    expect(await endOf(() => JSON.parse(`${'['.repeat(64)}${']'.repeat(64)}`))).toMatchObject({
      status: 'completed',
    })
  })

  test('returns an own __proto__ has it kept as data', async () => {
    const job = await endOf(() => JSON.parse('{"__proto__":{"polluted":true}}'))
    expect(JSON.stringify(job.result)).toBe('{"__proto__":{"polluted":true}}')
  })

  test('changes its result after returning it changes nothing', async () => {
    const result = { value: 'as returned' }
    const job = await endOf(() => {
      process.nextTick(() => {
        result.value = 'changed'
      })
      return result
    })
    expect(job.result).toEqual({ value: 'as returned' })
  })

  test('gets a payload that its schema refuses is not run, nor tried again', async () => {
    let runs = 0
    const payload = z.strictObject({ width: z.int() })
    await bench.work([
      defineJob({
        type: 'strict',
        payload,
        run() {
          runs += 1
        },
      }),
    ])
    const job = await bench.ended(await bench.submit('strict', { width: 'wide' }))
    expect(job).toMatchObject({ status: 'failed', errorCode: 'invalid_payload', attempt: 1 })
    expect(job.error).toMatch(/width: /)
    expect(runs).toBe(0)
  })

  test('returns what its result schema refuses fails, without another attempt', async () => {
    const result = z.object({ url: z.url() })
    await bench.work([defineJob({ type: 'strict', result, run: () => ({ url: 'nowhere' }) })])
    const job = await bench.ended(await bench.submit('strict'))
    expect(job).toMatchObject({ status: 'failed', errorCode: 'invalid_result', attempt: 1 })
    expect(job.error).toMatch(/url: /)
  })

  test('logs long lines and wild percents has them cut and clamped', async () => {
    await bench.work([
      defineJob({
        type: 'loud',
        run(_payload, { log, progress }) {
          log('€'.repeat(5000))
          progress(1e9, 'n'.repeat(20_000))
        },
      }),
    ])
    const jobId = await bench.submit('loud')
    const job = await bench.ended(jobId)
    expect(job.progress).toEqual({ percent: 100, note: 'n'.repeat(8192) })
    const [line] = (await bench.history(jobId)).flatMap((event) =>
      event.kind === 'log' ? [event.data.line] : [],
    )
    expect(line).toBe('€'.repeat(2730))
  })
})
