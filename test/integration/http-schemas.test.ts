import type { StandardSchemaV1 } from '@standard-schema/spec'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defineJob } from '../../server/jobs/define-job.ts'
import { HttpApp, problemIn } from '../helpers/http-app.ts'

type Validate = (value: unknown) => unknown

/** A schema in JavaScript may answer with anything: what it answers is no matter of types. */
const schemaOf = (validate: Validate): StandardSchemaV1<unknown, unknown> => ({
  '~standard': { version: 1, vendor: 'test', validate: validate as StandardSchemaV1.Props['validate'] },
})
const boom = () => {
  throw new Error('boom')
}
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
const withField = (field: string, get: () => unknown) =>
  Object.defineProperty({}, field, { enumerable: true, get })
const throwingGetter = (field: string) => withField(field, boom)

/** What a schema does that is none. */
const FAILING: Record<string, Validate> = {
  throws: boom,
  'throws-proxy': () => {
    throw revoked()
  },
  rejects: () => Promise.reject(new Error('boom')),
  'rejects-nothing': () => Promise.reject(),
  'answers-nothing': () => undefined,
  'answers-text': () => 'valid',
  'answers-null-later': () => Promise.resolve(null),
  'throws-at-issues': () => throwingGetter('issues'),
  'throws-at-issues-later': () => Promise.resolve(throwingGetter('issues')),
  'throws-at-then': () => throwingGetter('then'),
  'throws-at-message': () => ({ issues: [throwingGetter('message')] }),
  'throws-at-path': () => ({ issues: [throwingGetter('path')] }),
  'issues-of-nothing': () => ({ issues: [null] }),
  'issues-not-listed': () => ({ issues: 7 }),
  'answers-proxy': revoked,
}
const SILENT: Record<string, Validate> = {
  silent: () => new Promise(() => {}),
  'silent-thenable': () => withField('then', () => () => {}),
}
/** Odd, and an answer all the same. */
const INVALID: Record<string, [Validate, { path: string; message: string }]> = {
  'no-issue': [() => ({ issues: [] }), { path: 'payload', message: 'is not valid' }],
  'no-message': [() => ({ issues: [{ path: ['a', 0] }] }), { path: 'payload.a.0', message: 'is not valid' }],
  'odd-path': [
    () => ({ issues: [{ message: 'bad', path: [null, Symbol('s'), { key: 'k' }] }] }),
    { path: 'payload.null.Symbol(s).k', message: 'bad' },
  ],
}

const validates = {
  ...FAILING,
  ...SILENT,
  ...Object.fromEntries(Object.entries(INVALID).map(([type, [validate]]) => [type, validate])),
  fine: (value: unknown) => Promise.resolve({ value }),
}

let app: HttpApp
const logged: { type: string; error: unknown }[] = []
beforeAll(async () => {
  const definitions = Object.entries(validates).map(([type, validate]) =>
    defineJob({ type, payload: schemaOf(validate), run: () => null }),
  )
  app = await HttpApp.start({ definitions })
  app.events.on('schema.failed', (what) => logged.push(what))
})
afterAll(() => app.stop())

const ROUTES = ['/api/jobs', '/api/jobs/submit', '/api/jobs/batch'] as const

/** The answer to a payload of this type, and where its path begins. */
async function submit(route: (typeof ROUTES)[number], type: string) {
  const one = { type, payload: { a: 1 } }
  const isBatch = route === '/api/jobs/batch'
  const response = await app.post(route, isBatch ? { jobs: [{ ...one, type: 'fine' }, one] } : one)
  return { response, at: isBatch ? 'jobs.1.' : '' }
}

describe.each(ROUTES)('POST %s', (route) => {
  test.each(Object.keys(FAILING))('400 where the schema fails: %s', async (type) => {
    logged.length = 0
    const { response, at } = await submit(route, type)
    expect(response.status).toBe(400)
    const problem = await problemIn(response)
    expect(problem.code).toBe('invalid_payload')
    expect(problem.errors).toEqual([
      {
        path: `${at}payload`,
        message: `cannot be checked: the payload schema of type ${type} failed; the server has logged why`,
      },
    ])
    expect(logged.map((line) => line.type)).toEqual([type])
  })

  test.each(Object.entries(INVALID))('400 where the schema answers oddly: %s', async (type, [, issue]) => {
    const { response, at } = await submit(route, type)
    expect((await problemIn(response)).errors).toEqual([{ ...issue, path: at + issue.path }])
    expect(response.status).toBe(400)
  })

  test.concurrent.each(Object.keys(SILENT))(
    '503 in time where the schema does not answer: %s',
    async (type) => {
      const began = performance.now()
      const { response, at } = await submit(route, type)
      expect(performance.now() - began).toBeLessThan(20_000)
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('1')
      const problem = await problemIn(response)
      expect(problem.code).toBe('unavailable')
      expect(problem.errors).toEqual([
        {
          path: `${at}payload`,
          message: `cannot be checked: the payload schema of type ${type} has not answered within 2000 ms`,
        },
      ])
      expect(logged.map((line) => line.type)).toContain(type)
    },
  )
})

test('a batch waits for all of its schemas together, and tells of a type once', async () => {
  logged.length = 0
  const began = performance.now()
  const jobs = Array.from({ length: 20 }, () => ({ type: 'silent', payload: 1 }))
  const response = await app.post('/api/jobs/batch', { jobs })
  expect(performance.now() - began).toBeLessThan(20_000)
  expect((await problemIn(response)).errors).toHaveLength(20)
  expect(logged).toHaveLength(1)
})

test('nothing of it was stored, and what is fine is', async () => {
  const response = await app.fetch('/api/jobs')
  expect(await response.json()).toMatchObject({ jobs: [] })
  expect((await submit('/api/jobs', 'fine')).response.status).toBe(202)
})
