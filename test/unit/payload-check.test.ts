import { expect, test } from 'vitest'
import type { JsonSchema } from '../../server/engine/engine.ts'
import { compileCheck } from '../../server/jobs/payload-check.ts'

const check = async (schema: JsonSchema) => {
  const issues = await compileCheck(schema)
  return (payload: Parameters<typeof issues>[0]) =>
    issues(payload).map(({ path, message }) => (path === '' ? message : `${path} ${message}`))
}

test('says what a value must be, and where', async () => {
  const said = await check({
    type: 'object',
    properties: {
      text: { type: 'string', minLength: 1, maxLength: 3 },
      either: { type: ['string', 'null'] },
      whole: { type: 'integer', minimum: 2, maximum: 4 },
      part: { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1, multipleOf: 0.1 },
      one: { enum: ['a', 'b c', 1, null] },
      only: { const: true },
      code: { type: 'string', pattern: '^[A-Z]{3}$' },
      mail: { type: 'string', format: 'email', pattern: '@' },
      list: { type: 'array', minItems: 2, maxItems: 2, items: { type: 'boolean' } },
      pair: { type: 'array', prefixItems: [{ type: 'string' }], items: false },
      map: { type: 'object', maxProperties: 1, additionalProperties: { type: 'number' } },
      'a/b~c': { type: 'object', additionalProperties: false },
    },
    required: ['needed'],
  })
  expect(
    said({
      text: '',
      either: 1,
      whole: 3.5,
      part: 1,
      one: 'c',
      only: false,
      code: 'ABCD',
      mail: 'ada',
      list: [1],
      pair: ['a', 'b'],
      map: { a: 1, b: 'c' },
      'a/b~c': { more: 1 },
    }),
  ).toEqual([
    'needed is missing',
    'text must not be empty',
    'either must be a string or null',
    'whole must be a whole number',
    'part must be less than 1',
    'one must be a, "b c", 1 or null',
    'only must be true',
    'code must match ^[A-Z]{3}$',
    'mail must be an email address',
    'list must have at least 2 entries',
    'list.0 must be true or false',
    'pair must have at most 1 entry',
    'map must have at most 1 field',
    'map.b must be a number',
    'a/b~c.more unknown field',
  ])
  expect(said({ needed: 1, text: 'abcd', whole: 5, part: 0, list: [true, true, true], code: 'ABC' })).toEqual(
    [
      'text must have at most 3 characters',
      'whole must be at most 4',
      'part must be more than 0',
      'list must have at most 2 entries',
    ],
  )
})

const circle = {
  type: 'object',
  properties: { kind: { const: 'circle' }, r: { type: 'number' } },
  required: ['kind', 'r'],
}
const box = {
  type: 'object',
  properties: { kind: { const: 'box' }, w: { type: 'number' } },
  required: ['kind', 'w'],
}

test.each(['oneOf', 'anyOf'])('says of %s what is wrong with the form that was meant', async (keyword) => {
  const said = await check({ [keyword]: [circle, box, { type: 'string' }, { type: 'null' }] })
  expect(said({ kind: 'circle', r: 'x' })).toEqual(['r must be a number'])
  expect(said({ kind: 'box' })).toEqual(['w is missing'])
  expect(said(5)).toEqual(['must be an object, a string or null'])
  expect(said({ kind: 'circle', r: 1 })).toEqual([])
  const shapes = await check({ [keyword]: [circle, box] })
  expect(shapes({ kind: 'line' })).toEqual(['kind must be circle or box'])
  expect(shapes({})).toEqual(['kind is missing'])
  const nested = await check({
    [keyword]: [{ type: 'null' }, { type: 'array', items: { [keyword]: [circle, box] } }],
  })
  expect(
    nested([
      { kind: 'box', w: 1 },
      { kind: 'box', w: '1' },
    ]),
  ).toEqual(['1.w must be a number'])
  const elsewhere = await check({
    [keyword]: [{ $ref: '#/$defs/a' }, { $ref: '#/$defs/b' }],
    $defs: { a: circle, b: box },
  })
  expect(elsewhere({ kind: 'line' })).toEqual(['kind must be circle or box'])
  expect(elsewhere({ kind: 'box', w: null })).toEqual(['w must be a number'])
})

test('knows the fields of a payload from those that every object has', async () => {
  const said = await check({
    type: 'object',
    properties: { constructor: { type: 'string' }, toString: { type: 'string' } },
    required: ['valueOf'],
  })
  expect(said({ valueOf: 1 })).toEqual([])
  expect(said({})).toEqual(['valueOf is missing'])
  expect(said(JSON.parse('{"valueOf":1,"constructor":2,"__proto__":{}}'))).toEqual([
    'constructor must be a string',
  ])
})

test('follows what a schema says of itself, however deep', async () => {
  const said = await check({
    $ref: '#/$defs/node',
    $defs: {
      node: { type: 'object', properties: { v: { type: 'number' }, next: { $ref: '#/$defs/node' } } },
    },
  })
  expect(said({ v: 1, next: { v: 2, next: { v: 'x' } } })).toEqual(['next.next.v must be a number'])
  let deep = {}
  for (let level = 0; level < 100_000; level++) deep = { next: deep }
  expect(said(deep)).toEqual([])
})

test('follows what a schema says of itself as a whole, with a name of its own or without', async () => {
  const tree: JsonSchema = {
    type: 'object',
    properties: { v: { type: 'number' }, kids: { type: 'array', items: { $ref: '#' } } },
  }
  for (const schema of [tree, { $id: 'https://x.example/tree', ...tree }, tree]) {
    const said = await check(schema)
    expect(said({ v: 1, kids: [{ v: 2 }, { kids: [{ v: 'x' }] }] })).toEqual([
      'kids.1.kids.0.v must be a number',
    ])
  }
})

test('tries a pattern that backtracks once, and leaves the text to the worker', async () => {
  const said = await check({ type: 'string', pattern: '^(a+)+$' })
  const evil = (length: number) => `${'a'.repeat(length)}!`
  expect(said(evil(3))).toEqual(['must match ^(a+)+$'])
  // Twice as long with each more: it is slow at some length, on every machine.
  let length = 16
  while (said(evil(length)).length > 0) length += 1
  expect(length).toBeLessThan(40)
})

test.each<[string, JsonSchema]>([
  ['refers to another address', { $ref: 'https://x.example/schema.json' }],
  ['refers to nothing', { $ref: '#/$defs/gone' }],
  ['is no schema', { type: 'banana', properties: 5 }],
  [
    'asks what is not looked at',
    JSON.parse('{"not":{},"if":{},"then":false,"contains":false,"unevaluatedProperties":false}'),
  ],
])('takes any payload where the schema %s', async (_what, schema) => {
  const said = await check(schema)
  for (const payload of [null, 'text', { a: 1 }, [1]]) expect(said(payload)).toEqual([])
})

test('lets any text pass a pattern that is none', async () => {
  expect((await check({ type: 'string', pattern: '(' }))('text')).toEqual([])
})

test('reads the same names of several schemas apart', async () => {
  const [one, other] = await Promise.all([
    check({ $id: 'https://x.example/same', type: 'string' }),
    check({ $id: 'https://x.example/same', type: 'number' }),
  ])
  expect([one('a'), other('a')]).toEqual([[], ['must be a number']])
})
