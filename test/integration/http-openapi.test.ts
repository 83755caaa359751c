import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createApp } from '../../server/http/app.ts'
import { PROBLEMS } from '../../shared/codes.ts'
import { HttpApp, problemIn } from '../helpers/http-app.ts'

const Reference = z.object({ $ref: z.string() })
const Operation = z.object({
  operationId: z.string(),
  summary: z.string().min(1),
  parameters: z
    .array(
      z.object({
        name: z.string(),
        in: z.enum(['path', 'query', 'header']),
        required: z.boolean().optional(),
      }),
    )
    .default([]),
  requestBody: z.object({ content: z.record(z.string(), z.object({ schema: z.unknown() })) }).optional(),
  responses: z.record(
    z.string().regex(/^[1-5]\d\d$/),
    z.object({
      description: z.string().min(1),
      headers: z.record(z.string(), z.unknown()).optional(),
      content: z.record(z.string(), z.object({ schema: z.unknown() })).optional(),
    }),
  ),
})
const Document = z.object({
  openapi: z.string().regex(/^3\.1\./),
  info: z.object({ title: z.literal('Jobcast'), version: z.literal('9.9.9') }),
  paths: z.record(z.string().startsWith('/'), z.partialRecord(z.enum(['get', 'post', 'delete']), Operation)),
  components: z.object({
    schemas: z.record(z.string(), z.unknown()),
    securitySchemes: z.record(z.string(), z.unknown()),
  }),
})

let app: HttpApp
let text: string
let document: z.infer<typeof Document>
beforeAll(async () => {
  app = await HttpApp.start()
  const response = await app.fetch('/openapi.json')
  expect(response.headers.get('content-type')).toBe('application/json')
  text = await response.text()
  document = Document.parse(JSON.parse(text))
})
afterAll(() => app.stop())

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )

/** An address of the path, asked for with these parameters. */
function addressOf(path: string, names: readonly string[]): string {
  const address = path.replace('{id}', '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11').replace('{type}', 'resize')
  return `${address}?${new URLSearchParams(names.map((name) => [name, '1']))}`
}

describe('/openapi.json', () => {
  test('has exactly the routes of the app', () => {
    const served = createApp({ ...app.deps, pageFolder: null }).routes.map(
      ({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`,
    )
    const described = operations().map(({ method, path }) => `${method.toUpperCase()} ${path}`)
    expect(described.sort()).toEqual(served.sort())
  })

  test('has exactly the parameters that are accepted, on every address', async () => {
    for (const { path, method, operation } of operations()) {
      const names = operation.parameters.filter((one) => one.in === 'query').map(({ name }) => name)
      // An unknown one is named in the answer, and those that are described are not.
      const response = await app.fetch(addressOf(path, [...names, 'nope']), { method: method.toUpperCase() })
      const { errors } = await problemIn(response)
      const unknown = errors?.filter(({ message }) => message === 'is no parameter of this call')
      expect([path, method, unknown?.map((one) => one.path)]).toEqual([path, method, ['nope']])
    }
  })

  test('has no reference that leads nowhere, and every path parameter', () => {
    const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, target]) => target ?? '')
    expect(references.length).toBeGreaterThan(10)
    expect(Object.keys(document.components.schemas).filter((name) => /^__|Output$/.test(name))).toEqual([])
    for (const target of new Set(references)) {
      expect(target).toMatch(/^#\/components\/schemas\//)
      expect(document.components.schemas).toHaveProperty([target.slice('#/components/schemas/'.length)])
    }
    for (const { path, operation } of operations()) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const declared = operation.parameters.filter((one) => one.in === 'path')
      expect(declared.map(({ name }) => name)).toEqual(inPath)
      expect(declared.every(({ required }) => required === true)).toBe(true)
    }
    const ids = operations().map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('names every problem, each under its status', () => {
    const named = new Set<string>()
    for (const { operation } of operations()) {
      for (const [status, { description, content }] of Object.entries(operation.responses)) {
        if (content?.['application/problem+json'] === undefined) continue
        for (const [, code = ''] of description.matchAll(/`(\w+)`/g)) {
          expect(PROBLEMS).toHaveProperty(code, Number(status))
          named.add(code)
        }
      }
    }
    // Told before a request reaches any route.
    expect([...named, 'headers_too_large'].sort()).toEqual(Object.keys(PROBLEMS).sort())
  })

  test('names the headers of the protocol', () => {
    const { post, get } = document.paths['/api/jobs'] ?? {}
    expect(Object.keys(post?.responses[202]?.headers ?? {})).toEqual(['Location', 'Idempotency-Replayed'])
    expect(Object.keys(post?.responses[200]?.headers ?? {})).toContain('Preference-Applied')
    expect(Object.keys(post?.responses[503]?.headers ?? {})).toEqual(['Retry-After'])
    expect(post?.parameters.map(({ name }) => name)).toEqual(['Idempotency-Key', 'Prefer'])
    expect(get?.parameters.map(({ name }) => name)).toEqual([
      'type',
      'status',
      'tag',
      'limit',
      'page',
      'full',
    ])
    const job = document.paths['/api/jobs/{id}']?.get
    expect(Object.keys(job?.responses[304]?.headers ?? {})).toEqual(['ETag'])
    expect(Object.keys(job?.responses[405]?.headers ?? {})).toEqual(['Allow'])
    expect(Object.keys(job?.responses[401]?.headers ?? {})).toEqual(['WWW-Authenticate'])
  })

  test('lets any JSON be a payload', () => {
    const Submit = z.object({
      properties: z.object({ payload: z.object({ description: z.string() }).strict() }),
      required: z.array(z.string()),
    })
    const submit = Submit.parse(document.components.schemas.SubmitBody)
    expect(submit.required).toEqual(['type', 'payload'])
    expect(
      Reference.safeParse(
        document.paths['/api/jobs']?.post?.requestBody?.content['application/json']?.schema,
      ),
    ).toMatchObject({
      data: { $ref: '#/components/schemas/SubmitBody' },
    })
  })
})
