import { describe, expect, test } from 'vitest'
import { BatchBody, ClassicSubmitBody, SubmitBody, TypeName } from '../../shared/api.ts'
import { DEFAULT_OPTIONS, fillBackoff, SubmitOptions } from '../../shared/options.ts'

const DAY_MS = 86_400_000
const YEAR_MS = 365 * DAY_MS

const accepts = (options: unknown) => SubmitOptions.safeParse(options).success

/** Each option with its bounds: the smallest and the largest value, both allowed. */
const BOUNDS: readonly [name: string, min: number, max: number][] = [
  ['delayMs', 0, YEAR_MS],
  ['priority', 0, 9],
  ['maxAttempts', 1, 100],
  ['maxStalls', 0, 100],
  ['timeoutMs', 10, DAY_MS],
  ['retainMs', 1000, YEAR_MS],
]

describe('submit options', () => {
  test.each(BOUNDS)('take %s from %d to %d, in whole numbers', (name, min, max) => {
    for (const value of [min, max]) expect(accepts({ [name]: value }), String(value)).toBe(true)
    const refused = [
      min - 1,
      max + 1,
      min + 0.5,
      -1,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      1e308,
      String(min),
      null,
      true,
      [min],
    ]
    for (const value of refused) expect(accepts({ [name]: value }), String(value)).toBe(false)
  })

  test('may be left out, one by one or all', () => {
    expect(SubmitOptions.parse({})).toEqual({})
    for (const [name, min] of BOUNDS) expect(SubmitOptions.parse({ [name]: min })).toEqual({ [name]: min })
  })

  test('take a time with a zone, and null for none', () => {
    for (const runAt of [
      '2026-11-23T15:49:00Z',
      '2026-11-23T15:49:00.123Z',
      '2026-11-23T15:49:00+05:30',
      null,
    ]) {
      expect(accepts({ runAt }), String(runAt)).toBe(true)
    }
    const refused = [
      '2026-11-23T15:49:00',
      '2026-11-23',
      'tomorrow',
      '',
      1_764_000_000_000,
      '2026-13-01T00:00:00Z',
      '99999-01-01T00:00:00Z',
    ]
    for (const runAt of refused) expect(accepts({ runAt }), String(runAt)).toBe(false)
  })

  test('take a delay or a time, and name the second where both are given', () => {
    const both = SubmitOptions.safeParse({ delayMs: 5, runAt: '2026-11-23T15:49:00Z' })
    expect(both.error?.issues.map(({ path }) => path)).toEqual([['runAt']])
    expect(accepts({ delayMs: 5, runAt: null })).toBe(true)
  })

  test('take part of a backoff', () => {
    const whole = { kind: 'exponential', delayMs: 0, maxMs: DAY_MS, jitter: 0.5 }
    expect(SubmitOptions.parse({ backoff: whole })).toEqual({ backoff: whole })
    for (const backoff of [{}, { kind: 'fixed' }, { jitter: 0 }, { jitter: 1 }, { delayMs: 1 }]) {
      expect(SubmitOptions.parse({ backoff })).toEqual({ backoff })
    }
    const refused = [
      null,
      5,
      'fixed',
      { kind: 'linear' },
      { jitter: 1.01 },
      { jitter: -0.01 },
      { jitter: '0' },
      { delayMs: -1 },
      { delayMs: 1.5 },
      { maxMs: Number.NaN },
      { factor: 2 },
    ]
    for (const backoff of refused) expect(accepts({ backoff }), JSON.stringify(backoff)).toBe(false)
  })

  test('fill the rest of a backoff without cutting a delay that was asked for', () => {
    const usual = DEFAULT_OPTIONS.backoff
    expect(fillBackoff({}, usual)).toEqual(usual)
    expect(fillBackoff({ kind: 'fixed', delayMs: 5 }, usual)).toEqual({ ...usual, kind: 'fixed', delayMs: 5 })
    const hour = { delayMs: 3_600_000, maxMs: 3_600_000 }
    expect(fillBackoff({ delayMs: 3_600_000 }, usual)).toEqual({ ...usual, ...hour })
    expect(fillBackoff({ delayMs: 3_600_000, maxMs: 10 }, usual).maxMs).toBe(10)
    expect(fillBackoff({ jitter: 0 }, { ...usual, ...hour })).toEqual({ ...usual, ...hour, jitter: 0 })
    const short = { ...usual, maxMs: 200 }
    expect(fillBackoff({ jitter: 0 }, short)).toEqual({ ...short, jitter: 0 })
    expect(fillBackoff({ delayMs: 500 }, short)).toEqual({ ...short, delayMs: 500, maxMs: 500 })
  })

  test('take up to ten tags of 1 to 64 characters', () => {
    const tags = (...list: unknown[]) => accepts({ tags: list })
    expect(tags()).toBe(true)
    expect(tags(...Array.from({ length: 10 }, (_, n) => `tag ${n}`))).toBe(true)
    expect(tags('x'.repeat(64), '💥')).toBe(true)
    expect(tags(...Array.from({ length: 11 }, (_, n) => `tag ${n}`))).toBe(false)
    expect(tags('')).toBe(false)
    expect(tags('x'.repeat(65))).toBe(false)
    expect(tags(1)).toBe(false)
    expect(accepts({ tags: 'one' })).toBe(false)
  })

  test('refuse what they do not know', () => {
    for (const unknown of [
      { Priority: 1 },
      { delay: 1 },
      { jobId: 'mine' },
      JSON.parse('{"__proto__":{"priority":1}}'),
    ]) {
      expect(accepts(unknown), JSON.stringify(unknown)).toBe(false)
    }
    for (const shape of [null, [], 'x', 1]) expect(accepts(shape)).toBe(false)
  })

  test('default to the values of the protocol', () => {
    expect(DEFAULT_OPTIONS).toMatchObject({
      priority: 0,
      maxAttempts: 3,
      maxStalls: 2,
      backoff: { kind: 'exponential', delayMs: 1000, maxMs: 60_000, jitter: 0.5 },
      timeoutMs: 600_000,
      retainMs: DAY_MS,
    })
    expect(accepts(DEFAULT_OPTIONS)).toBe(true)
  })
})

describe('a submit body', () => {
  test('is a type, a payload of any JSON, and options', () => {
    for (const payload of [null, 0, '', false, [], {}, { deep: [{ a: null }] }]) {
      expect(SubmitBody.parse({ type: 'a', payload })).toEqual({ type: 'a', payload })
    }
    expect(SubmitBody.safeParse({ type: 'a' }).success).toBe(false)
    expect(SubmitBody.safeParse({ payload: 1 }).success).toBe(false)
    expect(SubmitBody.safeParse({ type: 'a', payload: 1, other: 1 }).success).toBe(false)
    expect(SubmitBody.safeParse({ type: 'a', payload: 1, options: null }).success).toBe(false)
    expect(SubmitBody.safeParse({ type: 'a', payload: 1, options: { nope: 1 } }).success).toBe(false)
  })

  test('of the classic pattern may leave its type out, and nothing else', () => {
    expect(ClassicSubmitBody.parse({ payload: {} })).toEqual({ payload: {} })
    expect(ClassicSubmitBody.safeParse({}).success).toBe(false)
    expect(ClassicSubmitBody.safeParse({ payload: {}, other: 1 }).success).toBe(false)
  })

  test('comes in batches of 1 to 1,000', () => {
    const batch = (length: number) => ({ jobs: Array.from({ length }, () => ({ type: 'a', payload: 1 })) })
    expect(BatchBody.safeParse(batch(1)).success).toBe(true)
    expect(BatchBody.safeParse(batch(1000)).success).toBe(true)
    expect(BatchBody.safeParse(batch(0)).success).toBe(false)
    expect(BatchBody.safeParse(batch(1001)).success).toBe(false)
    expect(BatchBody.safeParse({ ...batch(1), more: 1 }).success).toBe(false)
    const failed = BatchBody.safeParse({ jobs: [...batch(3).jobs, { type: 'A', payload: 1 }] })
    expect(failed.error?.issues.map(({ path }) => path)).toEqual([['jobs', 3, 'type']])
  })
})

describe('a type name', () => {
  test.each(['a', 'thumbnails', 'a.b-c_d9', 'a'.repeat(64)])('may be %s', (name) => {
    expect(TypeName.safeParse(name).success).toBe(true)
  })

  test.each(['', 'A', '9a', '.a', '-a', 'a b', 'a/b', 'a:b', 'é', 'a{b}', 'a\n', 'a\u0000', 'a'.repeat(65)])(
    'may not be %j',
    (name) => {
      expect(TypeName.safeParse(name).success).toBe(false)
    },
  )
})
