import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { z as z3 } from 'zod-3'
import { z as z41 } from 'zod-4.1'
import { checkValue } from '../../server/jobs/check-value.ts'
import { BACKOFF, LABELS, POLICY, SubmitOptions, TIMES } from '../../shared/options.ts'
import { findingsOf } from '../../shared/words.ts'

/** What is said of a value that does not fit. */
function said(schema: z.ZodType, value: unknown): string[] {
  const issues = schema.safeParse(value).error?.issues ?? []
  return issues.flatMap((issue) => findingsOf(issue)).map(({ path, message }) => [...path, message].join(' '))
}

const ZODS = /Invalid|Too small|Too big|expected|received|Unrecognized/

describe('what is wrong with an option', () => {
  const wrong = [
    -1,
    1e300,
    1.5,
    '1',
    null,
    true,
    [],
    {},
    [''],
    ['x'.repeat(100)],
    Array(20).fill('x'),
    { kind: 'linear', maxMs: -1, more: 1 },
  ]
  test.each(Object.keys({ ...TIMES, ...POLICY, ...LABELS }))('is told in words for people: %s', (name) => {
    const messages = wrong.flatMap((value) => said(SubmitOptions, { [name]: value }))
    expect(messages.length).toBeGreaterThan(5)
    for (const message of messages) expect(message).not.toMatch(ZODS)
    for (const message of messages) expect(message).toMatch(/ (must|is|may|cannot|unknown) ?/)
  })

  test('is all that it may be, at once', () => {
    for (const value of [-1, 10, 1.5, '5', null])
      expect(said(SubmitOptions, { priority: value })).toEqual([
        'priority must be a whole number from 0 to 9',
      ])
    expect(said(SubmitOptions, { backoff: { jitter: 2, kind: 'linear' } })).toEqual([
      'backoff kind must be fixed or exponential',
      'backoff jitter must be a number from 0 to 1',
    ])
    expect(Object.keys(BACKOFF)).toContain('jitter')
  })
})

test.each<[string, z.ZodType, unknown, string[]]>([
  [
    'a type',
    z.object({ a: z.string(), b: z.number(), c: z.boolean(), d: z.array(z.int()), e: z.null() }),
    { a: 1, b: '', c: 0, d: [1.5], e: 1 },
    [
      'a must be a string',
      'b must be a number',
      'c must be true or false',
      'd 0 must be a whole number',
      'e must be null',
    ],
  ],
  ['what is missing', z.object({ a: z.string() }), {}, ['a is missing']],
  [
    'what is not known',
    z.strictObject({ a: z.strictObject({}) }),
    { a: { b: 1, c: 2 } },
    ['a b unknown field', 'a c unknown field'],
  ],
  [
    'values',
    z.object({ a: z.enum(['x', 'y z']), b: z.literal(1), c: z.literal([true, null]) }),
    { a: 1, b: 2, c: 3 },
    ['a must be x or "y z"', 'b must be 1', 'c must be true or null'],
  ],
  [
    'lengths',
    z.object({
      a: z.string().min(1),
      b: z.string().length(2),
      c: z.array(z.any()).max(1),
      d: z.record(z.string(), z.any()).refine(() => true),
    }),
    { a: '', b: 'x', c: [1, 2], d: 1 },
    [
      'a must not be empty',
      'b must have exactly 2 characters',
      'c must have at most 1 entry',
      'd must be an object',
    ],
  ],
  [
    'numbers',
    z.object({ a: z.number().gt(1), b: z.number().lte(1), c: z.number().multipleOf(5) }),
    { a: 1, b: 2, c: 7 },
    ['a must be more than 1', 'b must be at most 1', 'c must be a multiple of 5'],
  ],
  [
    'formats',
    z.object({
      a: z.email(),
      b: z.url(),
      c: z.string().startsWith('x'),
      d: z.string().regex(/^[a-z]$/i),
      e: z.uuid(),
      f: z.iso.date(),
    }),
    { a: '', b: '', c: '', d: '', e: '', f: '' },
    [
      'a must be an email address',
      'b must be a URL',
      'c must begin with "x"',
      'd must match ^[a-z]$',
      'e must be a UUID',
      'f must be an ISO 8601 date',
    ],
  ],
  [
    'forms',
    z.union([z.string(), z.object({ k: z.literal('a'), n: z.number() }), z.object({ k: z.literal('b') })]),
    { k: 'a', n: 'x' },
    ['n must be a number'],
  ],
  ['no form', z.union([z.string(), z.number()]), true, ['must be a string or a number']],
  [
    'forms by a field',
    z.discriminatedUnion('k', [z.object({ k: z.literal('a') }), z.object({ k: z.literal('b') })]),
    { k: 'c' },
    ['k must be a or b'],
  ],
  [
    'many values',
    z.literal(Array.from({ length: 50 }, (_, n) => n)),
    -1,
    [`must be ${Array.from({ length: 20 }, (_, n) => n).join(', ')} or …`],
  ],
])('%s is told in words for people', (_what, schema, value, messages) => {
  expect(said(schema, value)).toEqual(messages)
})

test('what a schema says in words of its own stays as it is', async () => {
  const schema = z.object({
    a: z.string({ error: 'Invalid name of yours' }),
    b: z.string().min(3, 'Zu kurz'),
    c: z.string().refine(() => false, 'Invalid coupon'),
    d: z.enum(['x'], { error: 'pick one' }),
  })
  expect(await checkValue(schema, { a: 1, b: '', c: '', d: '' })).toEqual({
    ok: false,
    issues: [
      { path: 'a', message: 'Invalid name of yours' },
      { path: 'b', message: 'Zu kurz' },
      { path: 'c', message: 'Invalid coupon' },
      { path: 'd', message: 'pick one' },
    ],
  })
})

test('older versions of zod are told in the same words, as far as they say what is wrong', async () => {
  const payload = { a: 1, b: 'x', more: 1 }
  const messages = async (schema: Parameters<typeof checkValue>[0]) => {
    const checked = await checkValue(schema, payload)
    return checked.ok ? [] : checked.issues.map(({ path, message }) => `${path} ${message}`).sort()
  }
  const expected = ['a must be a string', 'b must be a number', 'c is missing', 'more unknown field']
  const shape41 = { a: z41.string(), b: z41.number(), c: z41.string() }
  expect(await messages(z41.strictObject(shape41))).toEqual(expected)
  const shape3 = { a: z3.string(), b: z3.number(), c: z3.string() }
  expect(await messages(z3.object(shape3).strict())).toEqual(expected)
})
