import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { z as z3 } from 'zod-3'
import { z as z3Mini } from 'zod-3/v4'
import { z as z41 } from 'zod-4.1'
import { z as z42 } from 'zod-4.2'
import type { Json } from '../../server/engine/engine.ts'
import { checkValue } from '../../server/jobs/check-value.ts'
import { jsonSchemaOf } from '../../server/jobs/json-schema.ts'
import { compileCheck } from '../../server/jobs/payload-check.ts'

type Schema = Parameters<typeof checkValue>[0]

/** The same in each library that tells. */
const SAME: Record<string, Schema> = {
  zod: z.strictObject({ text: z.string().min(1), size: z.int().optional() }),
  'zod 4.2': z42.strictObject({ text: z42.string().min(1), size: z42.int().optional() }),
  arktype: type({ text: 'string >= 1', 'size?': 'number.integer', '+': 'reject' }),
  valibot: toStandardJsonSchema(
    v.strictObject({
      text: v.pipe(v.string(), v.minLength(1)),
      size: v.optional(v.pipe(v.number(), v.integer())),
    }),
  ) as never,
}

describe('JSON Schema of a payload', () => {
  test.each(Object.keys(SAME))('is told by %s', (library) => {
    expect(jsonSchemaOf(SAME[library], 'input')).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      properties: { text: { type: 'string', minLength: 1 }, size: { type: 'integer' } },
      required: ['text'],
      additionalProperties: false,
    })
  })

  test('is the input side, and of a result the output side', () => {
    const schema = z.object({
      at: z.iso.datetime().transform((text) => text.length),
      n: z.number().default(1),
    })
    expect(jsonSchemaOf(schema, 'input')).toMatchObject({
      properties: { at: { type: 'string' } },
      required: ['at'],
    })
    expect(jsonSchemaOf(schema, 'output')).toMatchObject({ required: ['at', 'n'] })
    const morph = type({ n: 'string.numeric.parse' })
    expect(jsonSchemaOf(morph, 'input')).toMatchObject({ properties: { n: { type: 'string' } } })
    expect(jsonSchemaOf(morph, 'output')).toMatchObject({ properties: { n: { type: 'number' } } })
  })

  const boom = () => {
    throw new Error('boom')
  }
  const standard = (jsonSchema: unknown) => ({
    '~standard': { version: 1, vendor: 'test', validate: boom, jsonSchema },
  })
  test.each<[string, unknown]>([
    ['no schema', undefined],
    ['a library that does not tell: zod 3', z3.object({ a: z3.string() })],
    ['a library that does not tell: zod 4 as zod 3.25 has it', z3Mini.object({ a: z3Mini.string() })],
    ['a library that does not tell: zod 4.1', z41.object({ a: z41.string() })],
    ['a library that does not tell: valibot without its converter', v.object({ a: v.string() })],
    ['one that throws', standard({ input: boom })],
    ['a getter that throws', Object.defineProperty({}, '~standard', { get: boom })],
    ['what is no object', standard({ input: () => true })],
    ['what is no JSON', standard({ input: () => ({ a: 1n }) })],
    ['what is too long', standard({ input: () => ({ description: 'x'.repeat(70_000) }) })],
    ['nothing', standard({ input: () => undefined })],
  ])('is null of %s', (_what, schema) => {
    expect(jsonSchemaOf(schema, 'input')).toBeNull()
  })
})

/** A flag of Node 20 that TypeScript does not take in a literal for what is built here. */
const SETS = 'v'
const UPPER = new RegExp('^[\\p{L}--[a-z]]+$', SETS)

/** Schemas of which JSON Schema as it stands would refuse a payload that they accept: with such payloads. */
const ACCEPTED: Record<string, [Schema, ...Json[]]> = {
  'coerced values': [
    z.object({ n: z.coerce.number(), b: z.coerce.boolean(), s: z.coerce.string(), d: z.coerce.date() }),
    { n: '5', b: 'yes', s: 5, d: '2026-11-23' },
  ],
  'coerced fields that are left out, in zod 4.2': [
    z42.object({ b: z42.coerce.boolean(), u: z42.unknown() }),
    {},
  ],
  'what is trimmed first': [
    z.object({ s: z.string().trim().max(3), e: z.string().trim().email() }),
    { s: '  abc  ', e: ' a@b.co ' },
  ],
  'what is made lower case first': [
    z
      .string()
      .toLowerCase()
      .regex(/^[a-z]+$/),
    'ABC',
  ],
  'what is rounded first': [z.number().overwrite(Math.round).int(), 1.5],
  'what is caught': [
    z.object({ a: z.string().catch('x'), b: z.string().catch('x').nullable() }),
    { a: 5, b: 5 },
    {},
  ],
  'what is made of something else first': [z.object({ a: z.preprocess(String, z.string()) }), { a: 5 }, {}],
  'a pattern with flags': [
    z.object({ a: z.string().regex(/^abc$/i), b: z.string().regex(/^a.c$/s) }),
    { a: 'ABC', b: 'a\nc' },
  ],
  'a pattern of letters': [
    z.object({ a: z.string().regex(/^\p{L}+$/u), b: z.string().regex(UPPER) }),
    { a: 'Ééx', b: 'ÉÀ' },
  ],
  'a pattern that is none with the flag u': [z.string().regex(/^[\w-.]+$/), 'a-b.c'],
  'characters of two units': [
    z.object({ a: z.string().min(2), b: z.string().max(2) }),
    { a: '💥💥', b: '💥💥' },
  ],
  'characters of two units, in zod 4.2': [
    z42.object({ a: z42.string().min(4), b: z42.string().max(4) }),
    { a: '💥💥', b: '💥💥' },
  ],
  'names that are numbers': [z.record(z.number(), z.string()), { 1: 'a' }],
  'parts of parts that do not add up in binary': [z.number().multipleOf(0.1), 0.3, 0.7],
  'fields of both sides': [
    z.strictObject({ a: z.string() }).and(z.strictObject({ b: z.string() })),
    { a: '', b: '' },
  ],
  'forms that cannot be told apart here': [
    z.discriminatedUnion('k', [
      z.object({ k: z.literal('a'), n: z.coerce.number() }),
      z.object({ k: z.literal('b'), n: z.number() }),
    ]),
    { k: 'a', n: '1' },
    { k: 'b', n: 1 },
  ],
  'the end of a tuple': [z.tuple([z.string(), z.string().catch('x')]), ['a'], ['a', 5]],
  'a field called like a keyword': [
    z.object({ required: z.number(), properties: z.string(), $ref: z.string() }),
    { required: 1, properties: '', $ref: '#/x' },
  ],
  'a name of its own': [
    z.object({ a: z.string().meta({ id: 'Name' }), b: z.string().meta({ $id: 'https://x.example/b' }) }),
    { a: '', b: '' },
  ],
  'a name of its own, in zod 4.2': [z42.object({ a: z42.string().meta({ id: 'Name' }) }), { a: '' }],
  recursion: [tree(), { v: 1, next: [{ v: 2, next: [] }] }],
  'formats, which are looked at by whoever knows them': [
    z.object({ url: z.url(), at: z.iso.datetime({ local: true }) }),
    { url: 'mailto:a@b.co', at: '2026-11-23T15:49:00' },
  ],
  'what is trimmed first, in valibot': [
    told(
      v.object({
        s: v.pipe(v.string(), v.trim(), v.maxLength(3)),
        l: v.pipe(v.string(), v.toLowerCase(), v.regex(/^[a-z]$/)),
      }),
    ),
    { s: '  abc  ', l: 'A' },
  ],
  'what falls back, in valibot': [
    told(v.object({ a: v.fallback(v.pipe(v.string(), v.minLength(3)), 'abc') })),
    { a: 5 },
    {},
  ],
  'a pattern with flags, in valibot': [told(v.pipe(v.string(), v.regex(/^abc$/i))), 'ABC'],
  'what nobody can tell, in valibot': [
    told(
      v.object({
        a: v.pipe(
          v.string(),
          v.check((text) => text !== 'b'),
        ),
        b: v.optional(v.date()),
      }),
    ),
    { a: 'a' },
  ],
  'a pattern with flags, in arktype': [type({ a: /^abc$/i }), { a: 'ABC' }],
  'what is made of text, in arktype': [
    type({ n: 'string.numeric.parse', d: 'string.date.parse', t: 'string.trim' }),
    { n: '5', d: '2026-11-23', t: ' a ' },
  ],
  'recursion, in arktype': [
    type.module({ node: { v: 'number', 'next?': 'node' } }).node as Schema,
    { v: 1, next: { v: 2 } },
  ],
}

function tree() {
  const Node = z.object({
    v: z.number(),
    get next() {
      return z.array(Node)
    },
  })
  return Node
}

function told(schema: Parameters<typeof toStandardJsonSchema>[0]): Schema {
  return toStandardJsonSchema(schema) as never
}

async function checkOf(schema: Schema) {
  const described = jsonSchemaOf(schema, 'input')
  if (described === null) throw new Error('the schema does not tell')
  return compileCheck(described)
}

async function accepts(schema: Schema, payload: Json) {
  return (await checkValue(schema, payload)).ok
}

describe('a check by JSON Schema', () => {
  test.each(Object.entries(ACCEPTED))('accepts %s', async (_what, [schema, ...payloads]) => {
    const check = await checkOf(schema)
    for (const payload of payloads) {
      expect(await accepts(schema, payload), JSON.stringify(payload)).toBe(true)
      expect(check(payload), JSON.stringify(payload)).toEqual([])
    }
  })

  test.each(Object.entries(ACCEPTED))(
    'refuses nothing that is accepted: %s',
    async (_what, [schema, ...payloads]) => {
      const check = await checkOf(schema)
      let accepted = 0
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...payloads).chain(changed), async (payload) => {
          if (!(await accepts(schema, payload))) return
          accepted += 1
          expect(check(payload)).toEqual([])
        }),
        { numRuns: 60 },
      )
      expect(accepted).toBeGreaterThan(0)
    },
  )

  test.each(Object.keys(SAME))('says what %s would say', async (library) => {
    const schema = SAME[library]
    const check = await checkOf(schema)
    const paths = (issues: readonly { path: string }[]) => issues.map(({ path }) => path).sort()
    for (const payload of [{}, { text: 5 }, { text: '', size: 1.5 }, { text: 'a', more: 1 }, null, 'a']) {
      const local = await checkValue(schema, payload)
      expect(paths(check(payload)), JSON.stringify(payload)).toEqual(local.ok ? [] : paths(local.issues))
    }
  })
})

/** As it is, or with some of its values left out, or others in their place. */
function changed(payload: Json): fc.Arbitrary<Json> {
  const anyJson = fc.json({ maxDepth: 1 }).map((text): Json => JSON.parse(text))
  const other = fc.oneof(fc.constant(payload), fc.constant(payload), anyJson)
  if (Array.isArray(payload)) {
    return fc.oneof(fc.tuple(...payload.map(changed)), fc.constant(payload.slice(1)), other)
  }
  if (typeof payload !== 'object' || payload === null) return other
  const fields = Object.fromEntries(Object.entries(payload).map(([name, value]) => [name, changed(value)]))
  const some = fc
    .record(fields, { requiredKeys: [] })
    .map((object): Json => JSON.parse(JSON.stringify(object)))
  return fc.oneof(some, fc.record(fields), other)
}
