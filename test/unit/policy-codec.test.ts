import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeNamed, encodeNamed } from '../../server/engine/job/named.ts'
import { completePolicy, decodePolicy, encodePolicy } from '../../server/engine/job/policy.ts'
import { decodeKind, encodeKind } from '../../server/engine/redis/codec.ts'
import { DEFAULT_OPTIONS, POLICY, type RunPolicy } from '../../shared/options.ts'

const whole = (max: number) => fc.integer({ min: 0, max })
const policies = fc
  .record<Partial<RunPolicy>>({
    priority: whole(9),
    maxAttempts: whole(100),
    maxStalls: whole(100),
    backoff: fc.record({
      kind: fc.constantFrom('fixed', 'exponential'),
      delayMs: whole(86_400_000),
      maxMs: whole(86_400_000),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }).map((jitter) => jitter + 0),
    }),
    timeoutMs: whole(86_400_000),
    retainMs: whole(31_536_000_000),
  })
  .map((said): RunPolicy => ({ ...DEFAULT_OPTIONS, ...said }))

const UNUSUAL: RunPolicy = {
  ...DEFAULT_OPTIONS,
  priority: 7,
  maxAttempts: 5,
  maxStalls: 1,
  backoff: { kind: 'fixed', delayMs: 20, maxMs: 400, jitter: 0.25 },
  timeoutMs: 9000,
  retainMs: 3_600_000,
}

/** What each engine keeps, and has kept since its first version with this form. */
const FORMS = [
  {
    form: 'an array',
    encode: encodePolicy,
    decode: decodePolicy,
    usual: '[0,3,2,600000,86400000,"exponential",1000,60000,0.5]',
    unusual: '[7,5,1,9000,3600000,"fixed",20,400,0.25]',
    /** With something behind it. */
    longer: (text: string, more: string) => `${text.slice(0, -1)},${more}]`,
  },
  {
    form: 'a kind',
    encode: (policy: RunPolicy) => encodeKind('work', policy),
    decode: (text: string) => decodeKind(text).policy,
    usual: 'work 0 2 86400000',
    unusual: 'work 7 1 3600000 5 f 20 400 0.25 9000',
    longer: (text: string, more: string) => `${text} ${more}`,
  },
] as const

describe.each(FORMS)('a policy as $form', ({ encode, decode, usual, unusual, longer }) => {
  test('reads as it was written', () => {
    fc.assert(
      fc.property(policies, (policy) => {
        expect(decode(encode(policy))).toEqual(policy)
      }),
    )
  })

  test('stands as processes of other versions read it', () => {
    expect(encode(DEFAULT_OPTIONS)).toBe(usual)
    expect(encode(UNUSUAL)).toBe(unusual)
  })

  test.each(['{"mood":"blue"}', '{"mood":"a\\u0020b"}', '17'])(
    'passes %s of a newer version over',
    (more) => {
      expect(decode(longer(usual, more))).toEqual(DEFAULT_OPTIONS)
      expect(decode(longer(unusual, more))).toEqual(UNUSUAL)
      expect(decode(longer(longer(unusual, more), '"later"'))).toEqual(UNUSUAL)
    },
  )

  test('is remembered by its text, also among more than are remembered', () => {
    const texts = Array.from({ length: 1500 }, (_, maxAttempts) => encode({ ...UNUSUAL, maxAttempts }))
    for (const text of texts) expect(decode(text)).toBe(decode(text))
    expect(texts.map((text) => decode(text).maxAttempts)).toEqual(texts.map((_, n) => n))
  })
})

test('options that came later stand by their names where they are not as usual, without a space', () => {
  const usual = { ...DEFAULT_OPTIONS, mood: 'none', startWithinMs: null }
  const placed = new Set(Object.keys(DEFAULT_OPTIONS))
  expect(encodeNamed(usual, usual, placed)).toBe('')
  expect(encodeNamed(DEFAULT_OPTIONS, usual, placed)).toBe('')
  const mood = encodeNamed({ ...usual, priority: 4, mood: 'a b' }, usual, placed)
  expect(mood).toBe('{"mood":"a\\u0020b"}')
  expect(decodeNamed(`${mood} later`)).toEqual({ mood: 'a b' })
  expect(encodeNamed({ ...usual, startWithinMs: 5 }, usual, placed)).toBe('{"startWithinMs":5}')
})

test('what a version without some option has kept is filled with what is usual', () => {
  const { backoff: _, ...kept } = UNUSUAL
  expect(completePolicy(kept)).toEqual({ ...UNUSUAL, backoff: DEFAULT_OPTIONS.backoff })
  expect(decodePolicy(JSON.stringify(kept))).toEqual({ ...UNUSUAL, backoff: DEFAULT_OPTIONS.backoff })
  expect(Object.keys(completePolicy({ ...kept, ...{ mood: 'blue' } }))).toEqual(Object.keys(POLICY))
})
