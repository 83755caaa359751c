import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import openapiTypescript, {
  astToString,
} from '../../examples/openapi-client/node_modules/openapi-typescript/dist/index.mjs'
import { defineJob } from '../../server/jobs/define-job.ts'
import { HttpApp, KEYS } from '../helpers/http-app.ts'

const Node = z.object({
  value: z.number(),
  get next() {
    return Node.optional()
  },
})
const Point = z.object({ x: z.number(), y: z.number() }).meta({ id: 'Point' })

/** A schema that says this of itself. */
const telling = (told: unknown) => ({
  '~standard': {
    version: 1 as const,
    vendor: 'test',
    validate: (value: unknown) => ({ value }),
    jsonSchema: { input: () => told, output: () => told },
  },
})
const deep = (levels: number): unknown => (levels === 0 ? {} : { not: deep(levels - 1) })

const run = () => null
const definitions = [
  defineJob({
    type: 'word-count',
    payload: z.strictObject({ text: z.string() }),
    result: z.object({ words: z.int() }),
    run: () => ({ words: 1 }),
  }),
  defineJob({ type: 'tree', payload: Node, run }),
  defineJob({ type: 'draw', payload: z.object({ from: Point, to: Point }), run }),
  defineJob({ type: 'any', run }),
  // The same name twice, once with the name of a component.
  defineJob({ type: 'a.b', payload: z.object({ dot: z.string() }), run }),
  defineJob({ type: 'a-b', payload: z.object({ dash: z.string() }), run }),
  defineJob({ type: 'known', run }),
  defineJob({
    type: 'odd',
    payload: telling({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: 'https://x.example/odd',
      type: 'object',
      properties: {
        $ref: { type: 'string' },
        default: { $ref: '#/$defs/a~1b' },
        remote: { $ref: 'https://x.example/remote.json' },
        gone: { $ref: '#/$defs/gone' },
        anchored: { $ref: '#anchor' },
        self: { $ref: '#' },
        inner: { $ref: '#/properties/remote' },
        said: { type: 'object', default: { $ref: '#/$defs/a~1b' } },
      },
      $defs: { 'a/b': { type: 'string' }, a_b: { type: 'number' } },
    }) as never,
    run,
  }),
  defineJob({ type: 'deep', payload: telling(deep(5000)) as never, run }),
]

interface Described {
  readonly paths: Record<string, never>
  readonly components: { readonly schemas: Record<string, unknown> }
}

let app: HttpApp
let document: Described
let schemas: Record<string, unknown>
beforeAll(async () => {
  app = await HttpApp.start({ definitions })
  document = await (await app.fetch('/openapi.json')).json()
  schemas = document.components.schemas
})
afterAll(() => app.stop())

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })

describe('/openapi.json', () => {
  test('has what each type takes and gives', () => {
    expect(schemas.WordCountPayload).toMatchObject({
      type: 'object',
      properties: { text: { type: 'string' } },
      required: ['text'],
      additionalProperties: false,
    })
    expect(schemas.WordCountResult).toMatchObject({ properties: { words: { type: 'integer' } } })
    expect(schemas.AnyPayload).toEqual({ description: 'Any payload of type `any`' })
    expect(schemas.WordCountJob).toMatchObject({
      allOf: [
        ref('Job'),
        { properties: { type: { const: 'word-count' }, payload: ref('WordCountPayload') } },
      ],
    })
  })

  test('takes a submission that is one of them by its type, beside the open form', () => {
    expect(schemas.Submission).toMatchObject({
      oneOf: expect.arrayContaining([ref('WordCountSubmission'), ref('AnySubmission')]),
      discriminator: {
        propertyName: 'type',
        mapping: { 'word-count': '#/components/schemas/WordCountSubmission' },
      },
    })
    expect(JSON.stringify(document.paths['/api/jobs'])).toContain(JSON.stringify(ref('Submission')))
    expect(JSON.stringify(schemas.BatchBody)).toContain(JSON.stringify(ref('Submission')))
    expect(schemas.SubmitBody).toMatchObject({ properties: { type: { type: 'string' } } })
  })

  test('brings definitions along, and leaves no reference that leads nowhere', () => {
    expect(schemas.DrawPayload).toMatchObject({
      properties: { from: ref('DrawPayload_Point'), to: ref('DrawPayload_Point') },
    })
    expect(schemas.TreePayload).toMatchObject({ properties: { next: ref('TreePayload') } })
    expect(schemas.OddPayload).toEqual({
      type: 'object',
      properties: {
        $ref: { type: 'string' },
        default: ref('OddPayload_a_b'),
        remote: {},
        gone: {},
        anchored: {},
        self: ref('OddPayload'),
        inner: ref('OddPayload/properties/remote'),
        said: { type: 'object', default: { $ref: '#/$defs/a~1b' } },
      },
    })
    expect([schemas.OddPayload_a_b, schemas.OddPayload_a_b2]).toEqual([
      { type: 'string' },
      { type: 'number' },
    ])
    expect(schemas.DeepPayload).toBeDefined()
  })

  test('gives every type names of its own', () => {
    expect(schemas.ABPayload).toMatchObject({ properties: { dash: {} } })
    expect(schemas.AB2Payload).toMatchObject({ properties: { dot: {} } })
    expect(schemas.KnownJob).toMatchObject({
      discriminator: { mapping: { known: '#/components/schemas/Known2Job' } },
    })
    for (const name of Object.keys(schemas)) expect(name).toMatch(/^[A-Za-z0-9._-]+$/)
  })

  test('is read by whoever makes a client of it', async () => {
    const { DeepPayload: _deep, ...readable } = schemas
    const components = { ...document.components, schemas: { ...readable, DeepPayload: {} } }
    const types = astToString(await openapiTypescript(JSON.stringify({ ...document, components })))
    expect(types).toContain('WordCountPayload: {')
  })

  test('is made once for the same types', async () => {
    const first = await (await app.fetch('/openapi.json')).text()
    const before = app.deps.registry.schemas
    let asked = 0
    app.deps.registry.schemas = () => {
      asked += 1
      return before.call(app.deps.registry)
    }
    expect(await (await app.fetch('/openapi.json')).text()).toBe(first)
    expect(asked).toBe(1)
    expect(await app.deps.registry.schemas()).toBe(await app.deps.registry.schemas())
  })
})

test('where keys are set, only whoever may read knows which types there are', async () => {
  const guarded = await HttpApp.start({ keys: KEYS, definitions })
  try {
    const described = async (init: { key?: string } = {}) => {
      const { components, paths }: Described = await (await guarded.fetch('/openapi.json', init)).json()
      return { names: Object.keys(components.schemas), paths: Object.keys(paths) }
    }
    const [stranger, forger, reader] = await Promise.all([
      described(),
      described({ key: 'wrong' }),
      described({ key: 'read-key' }),
    ])
    expect(stranger.names.filter((name) => /WordCount|Submission/.test(name))).toEqual([])
    expect(forger).toEqual(stranger)
    expect(reader.names).toContain('WordCountPayload')
    expect(reader.paths).toEqual(stranger.paths)
  } finally {
    await guarded.stop()
  }
})
