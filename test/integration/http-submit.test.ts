import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BatchAnswer, SubmitAnswer } from '../../shared/api.ts'
import { Job } from '../../shared/job.ts'
import { DEFAULT_OPTIONS } from '../../shared/options.ts'
import { HttpApp, problemIn } from '../helpers/http-app.ts'

let app: HttpApp
const MAX_BYTES = 64 * 1024
beforeAll(async () => {
  app = await HttpApp.start({ maxBytes: MAX_BYTES, defaultType: 'anything' })
})
afterAll(() => app.stop())

const jobOf = async (jobId: string) => Job.parse(await (await app.fetch(`/api/jobs/${jobId}`)).json())
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

describe('a submission', () => {
  test('is answered 202 with where to find the job', async () => {
    const response = await app.post('/api/jobs', { type: 'resize', payload: { width: 640 } })
    expect(response.status).toBe(202)
    expect(response.headers.get('content-type')).toBe('application/json')
    const answer = SubmitAnswer.strict().parse(await response.json())
    expect(response.headers.get('location')).toBe(`/api/jobs/${answer.jobId}`)
    expect(answer).toMatchObject({
      status: 'queued',
      type: 'resize',
      links: {
        self: `/api/jobs/${answer.jobId}`,
        events: `/api/jobs/${answer.jobId}/events`,
        cancel: `/api/jobs/${answer.jobId}/cancel`,
        socket: `/ws?job=${answer.jobId}`,
      },
    })
    expect(answer.token).toBeUndefined()
    expect(await jobOf(answer.jobId)).toMatchObject({
      payload: { width: 640 },
      priority: 3,
      attempt: 1,
      maxAttempts: 3,
    })
  })

  test('gets what it leaves out from the type, then from the defaults', async () => {
    const options = { maxAttempts: 7, backoff: { jitter: 0 }, tags: ['a', 'b'], retainMs: 5000 }
    const response = await app.post('/api/jobs', { type: 'resize', payload: { width: 64 }, options })
    const { jobId } = SubmitAnswer.parse(await response.json())
    for (let claimed = await app.claim('resize'); ; claimed = await app.claim('resize')) {
      if (claimed.jobId !== jobId) continue
      expect(claimed.policy).toEqual({
        ...DEFAULT_OPTIONS,
        priority: 3,
        maxAttempts: 7,
        maxStalls: 2,
        backoff: { kind: 'fixed', delayMs: 250, maxMs: 60_000, jitter: 0 },
        timeoutMs: 5000,
        retainMs: 5000,
      })
      expect(claimed.tags).toEqual(['a', 'b'])
      return
    }
  })

  test('can be for later', async () => {
    const delayed = await app.submit({ delayMs: 3_600_000 })
    expect(delayed.status).toBe('scheduled')
    const runAt = new Date(Date.now() + 7_200_000).toISOString()
    const timed = await app.submit({ runAt })
    expect(timed.status).toBe('scheduled')
    expect((await jobOf(timed.jobId)).scheduledFor).toBe(runAt)
    expect((await app.submit({ runAt: '2020-01-01T00:00:00+02:00' })).status).toBe('queued')
    expect((await app.submit({ runAt: null, delayMs: 0 })).status).toBe('queued')
  })

  test('may leave the type to the server on the classic path only', async () => {
    const classic = await app.post('/api/jobs/submit', { payload: { prompt: 'a fox' } })
    expect(classic.status).toBe(202)
    expect(SubmitAnswer.parse(await classic.json()).type).toBe('anything')
    const problem = await problemIn(await app.post('/api/jobs', { payload: 1 }))
    expect(problem).toMatchObject({ code: 'invalid_request', errors: [{ path: 'type' }] })
  })

  test('carries any JSON as payload, inert', async () => {
    const payload =
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"x":1}},"s":"\\ud800 \\u0000 <script>","n":1e+21,"e":""}'
    const response = await app.post('/api/jobs', `{"type":"anything","payload":${payload}}`)
    expect(response.status).toBe(202)
    const { jobId } = SubmitAnswer.parse(await response.json())
    const text = await (await app.fetch(`/api/jobs/${jobId}`)).text()
    expect(text).toContain(`"payload":${payload}`)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
    for (const value of ['null', '0', 'false', '""', '[]', nested(64)]) {
      expect((await app.post('/api/jobs', `{"type":"anything","payload":${value}}`)).status).toBe(202)
    }
  })

  test('refuses a number that would become another one, by its path', async () => {
    const body =
      '{"type":"anything","payload":{"items":[1,{},"9223372036854775807",{"id":9223372036854775807}],"x":1e400}}'
    const errors = [
      { path: 'payload.items.3.id', message: 'would become 9223372036854776000: send it as a string' },
      { path: 'payload.x', message: 'is larger than a number can be: send it as a string' },
    ]
    for (const path of ['/api/jobs', '/api/jobs/submit']) {
      const problem = await problemIn(await app.post(path, body))
      expect(problem).toMatchObject({ status: 400, code: 'invalid_payload', errors })
      expect(problem.detail).toContain('payload.items.3.id')
    }
    const batch = `{"jobs":[{"type":"anything","payload":9007199254740991},${body},{"type":"anything","payload":[1E999]}]}`
    const refused = await problemIn(await app.post('/api/jobs/batch', batch))
    expect(refused.code).toBe('invalid_payload')
    expect(refused.errors?.map(({ path }) => path)).toEqual([
      'jobs.1.payload.items.3.id',
      'jobs.1.payload.x',
      'jobs.2.payload.0',
    ])
    const wide = await problemIn(
      await app.post('/api/jobs', '{"type":"anything","payload":1,"options":{"priority":1e400}}'),
    )
    expect(wide.code).toBe('invalid_options')
    const fine = '[9007199254740991,-9007199254740992,0.1234567890123456789,1.0,1e3,1E+2,1e23,-0]'
    const { jobId } = SubmitAnswer.parse(
      await (await app.post('/api/jobs', `{"type":"anything","payload":${fine}}`)).json(),
    )
    expect((await jobOf(jobId)).payload).toEqual(JSON.parse(JSON.stringify(JSON.parse(fine))))
  })

  test('of a media type that is JSON is taken, of another one 415', async () => {
    const body = '{"type":"anything","payload":1}'
    const send = (type: string) => app.post('/api/jobs', body, { headers: { 'content-type': type } })
    for (const good of [
      'application/json',
      'application/json; charset=utf-8',
      'Application/JSON;charset="UTF-8"',
      'application/vnd.x+json',
    ]) {
      expect((await send(good)).status).toBe(202)
    }
    for (const bad of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/jsonx',
      'application/json; charset=latin1',
      'multipart/form-data; boundary=json',
    ]) {
      const response = await send(bad)
      expect(response.headers.get('accept')).toBe('application/json')
      expect(await problemIn(response)).toMatchObject({ status: 415, code: 'unsupported_media_type' })
    }
    const packed = await app.post('/api/jobs', body, { headers: { 'content-encoding': 'gzip' } })
    expect((await problemIn(packed)).code).toBe('unsupported_media_type')
    const none = await app.raw(
      'POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
    )
    expect(none).toMatch(/^HTTP\/1\.1 415 /)
  })
})

describe('an unknown type', () => {
  const refused = async (type: string) =>
    (await problemIn(await app.post('/api/jobs', { type, payload: 1 }))).errors?.[0]?.message

  test.each([
    ['resise', 'names no job type that is known: "resise"; did you mean resize?'],
    ['Resize', 'names no job type that is known: "Resize"; did you mean resize?'],
    ['anythng', 'names no job type that is known: "anythng"; did you mean anything?'],
    ['render', 'names no job type that is known: "render"'],
    ['x', 'names no job type that is known: "x"'],
  ])('%s is named, with what was meant', async (type, message) => {
    expect(await refused(type)).toBe(message)
  })

  test('is one on the embedded engine that was deployed away: nobody could ever run it', async () => {
    const policy = { ...DEFAULT_OPTIONS }
    await app.engine.registerTypes([{ type: 'deployed-away', policy, payloadSchema: null }])
    expect((await app.engine.types()).map(({ type }) => type)).toContain('deployed-away')
    expect(await refused('deployed-away')).toBe('names no job type that is known: "deployed-away"')
  })

  test('in a large batch is compared with what is known a few times only', async () => {
    const jobs = Array.from({ length: 20 }, () => ({ type: 'resise', payload: 1 }))
    const { errors } = await problemIn(await app.post('/api/jobs/batch', { jobs }))
    expect(errors).toHaveLength(20)
    expect(errors?.filter(({ message }) => message.endsWith('did you mean resize?'))).toHaveLength(3)
  })
})

describe('a refused submission', () => {
  test.each<[string, string, string, string[] | undefined]>([
    ['an empty body', '', 'invalid_json', undefined],
    ['half a body', '{"type":', 'invalid_json', undefined],
    ['no object', '[]', 'invalid_request', ['']],
    ['null', 'null', 'invalid_request', ['']],
    ['no type', '{"payload":1}', 'invalid_request', ['type']],
    ['a type that is no string', '{"type":7,"payload":1}', 'invalid_request', ['type']],
    ['a type that is null', '{"type":null,"payload":1}', 'invalid_request', ['type']],
    ['an unknown type', '{"type":"nope","payload":1}', 'unknown_type', ['type']],
    ['a type that is no name', '{"type":"a:{b}\\u0000/","payload":1}', 'unknown_type', ['type']],
    ['an endless type', `{"type":"${'a'.repeat(10_000)}","payload":1}`, 'unknown_type', ['type']],
    ['a type called like a method', '{"type":"constructor","payload":1}', 'unknown_type', ['type']],
    ['no payload', '{"type":"anything"}', 'invalid_payload', ['payload']],
    [
      'a payload against the schema',
      '{"type":"resize","payload":{"width":"x"}}',
      'invalid_payload',
      ['payload.width'],
    ],
    ['a payload of another shape', '{"type":"resize","payload":5}', 'invalid_payload', ['payload']],
    [
      'an unknown payload field',
      '{"type":"resize","payload":{"width":64,"height":1,"depth":1}}',
      'invalid_payload',
      ['payload.height', 'payload.depth'],
    ],
    ['nesting of 65', `{"type":"anything","payload":${nested(65)}}`, 'invalid_payload', ['payload']],
    ['nesting of 12,000', `{"type":"anything","payload":${nested(12_000)}}`, 'invalid_payload', ['payload']],
    [
      'brackets that never close',
      `{"type":"anything","payload":${'['.repeat(50_000)}`,
      'invalid_payload',
      ['payload'],
    ],
    ['an unknown field', '{"type":"anything","payload":1,"extra":1}', 'invalid_request', ['extra']],
    [
      'a __proto__ field',
      '{"type":"anything","payload":1,"__proto__":{"a":1}}',
      'invalid_request',
      ['__proto__'],
    ],
    [
      'options that are no object',
      '{"type":"anything","payload":1,"options":1}',
      'invalid_options',
      ['options'],
    ],
    [
      'an unknown option',
      '{"type":"anything","payload":1,"options":{"speed":1}}',
      'invalid_options',
      ['options.speed'],
    ],
  ])('for %s', async (_, body, code, paths) => {
    const problem = await problemIn(
      await app.post('/api/jobs', body, { headers: { 'content-type': 'application/json' } }),
    )
    expect(problem).toMatchObject({ status: 400, code, type: `urn:jobcast:problem:${code}` })
    expect(problem.errors?.map(({ path }) => path)).toEqual(paths)
  })

  test.each<[string, unknown, string]>([
    ['delayMs', -1, 'delayMs'],
    ['delayMs', 1e308, 'delayMs'],
    ['delayMs', null, 'delayMs'],
    ['delayMs', 365 * 86_400_000 + 1, 'delayMs'],
    ['delayMs', 1.5, 'delayMs'],
    ['timeoutMs', -1, 'timeoutMs'],
    ['timeoutMs', 9, 'timeoutMs'],
    ['timeoutMs', 86_400_001, 'timeoutMs'],
    ['retainMs', 999, 'retainMs'],
    ['priority', 99, 'priority'],
    ['priority', '1', 'priority'],
    ['maxAttempts', 0, 'maxAttempts'],
    ['maxAttempts', 101, 'maxAttempts'],
    ['maxStalls', 101, 'maxStalls'],
    ['runAt', '99999-01-01T00:00:00Z', 'runAt'],
    ['runAt', '2026-01-01T00:00:00', 'runAt'],
    ['runAt', '2026-02-30T00:00:00Z', 'runAt'],
    ['runAt', 'tomorrow', 'runAt'],
    ['runAt', 1_700_000_000_000, 'runAt'],
    ['runAt', new Date(Date.now() + 366 * 86_400_000).toISOString(), 'runAt'],
    ['backoff', { kind: 'linear' }, 'backoff.kind'],
    ['backoff', { jitter: 1.1 }, 'backoff.jitter'],
    ['backoff', { wait: 1 }, 'backoff.wait'],
    ['tags', Array.from({ length: 11 }, () => 'tag'), 'tags'],
    ['tags', ['ok', ''], 'tags.1'],
    ['tags', ['t'.repeat(65)], 'tags.0'],
  ])('option %s = %j', async (option, value, path) => {
    const body = { type: 'anything', payload: 1, options: { [option]: value } }
    const problem = await problemIn(await app.post('/api/jobs', body))
    expect(problem).toMatchObject({ status: 400, code: 'invalid_options' })
    expect(new Set(problem.errors?.map((error) => error.path))).toEqual(new Set([`options.${path}`]))
  })

  test('names delayMs and runAt together as an error', async () => {
    const options = { delayMs: 1, runAt: '2026-01-01T00:00:00Z' }
    const problem = await problemIn(await app.post('/api/jobs', { type: 'anything', payload: 1, options }))
    expect(problem).toMatchObject({ code: 'invalid_options', errors: [{ path: 'options.runAt' }] })
  })

  test('names unknown query parameters', async () => {
    const problem = await problemIn(await app.post('/api/jobs?wait=5', { type: 'anything', payload: 1 }))
    expect(problem).toMatchObject({ code: 'invalid_request', errors: [{ path: 'wait' }] })
  })

  test('is one that is not UTF-8', async () => {
    const body = Buffer.concat([
      Buffer.from('{"type":"anything","payload":"'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}'),
    ])
    const response = await app.fetch('/api/jobs', {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    })
    expect((await problemIn(response)).code).toBe('invalid_json')
  })

  test('lists a hundred errors at most, cut short', async () => {
    const fields = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`${'x'.repeat(400)}${n}`, 1]))
    const problem = await problemIn(await app.post('/api/jobs', { type: 'anything', payload: 1, ...fields }))
    expect(problem.errors).toHaveLength(100)
    expect(problem.errors?.[0]?.path.length).toBeLessThan(400)
    expect(problem.detail.length).toBeLessThan(400)
  })
})

describe('the size of a body', () => {
  const withPayload = (bytes: number) => `{"type":"anything","payload":"${'x'.repeat(bytes - 2)}"}`
  const head = (extra: string) =>
    `POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${extra}\r\n`

  test('may be the limit and no more', async () => {
    expect((await app.post('/api/jobs', withPayload(MAX_BYTES))).status).toBe(202)
    const response = await app.post('/api/jobs', withPayload(MAX_BYTES + 1))
    expect(await problemIn(response)).toMatchObject({
      status: 413,
      code: 'payload_too_large',
      errors: [{ path: 'payload' }],
    })
  })

  test('is judged by what is declared, before a byte of it is read', async () => {
    const answer = await app.raw(head('Content-Length: 99999999\r\nExpect: 100-continue\r\n'))
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer).not.toContain('100 Continue')
  })

  test('is asked for where it is fine', async () => {
    const body = '{"type":"anything","payload":1}'
    const headers = {
      'Content-Type': 'application/json',
      'Content-Length': body.length,
      Expect: '100-continue',
    }
    const request = httpRequest(`${app.url}/api/jobs`, { method: 'POST', headers })
    request.flushHeaders()
    await once(request, 'continue')
    request.end(body)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    response.resume()
    expect(response.statusCode).toBe(202)
  })

  test('is counted where it comes in chunks', async () => {
    const chunk = `${(8192).toString(16)}\r\n${'['.repeat(8192)}\r\n`
    const answer = await app.raw(
      head('Transfer-Encoding: chunked\r\n'),
      ...Array.from({ length: 24 }, () => chunk),
    )
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer).toContain('"code":"payload_too_large"')
  })

  test('that is less than declared stores nothing', async () => {
    const { jobs: before } = (await (await app.fetch('/api/jobs?limit=200')).json()) as { jobs: unknown[] }
    const closed = app.raw(head('Content-Length: 100\r\n'), '{"type":"anything","payload":1}')
    const waiting = await Promise.race([closed, app.fetch('/healthz').then(() => 'still waiting')])
    expect(waiting).toBe('still waiting')
    app.server.closeAllConnections()
    expect(await closed).toBe('')
    const { jobs: after } = (await (await app.fetch('/api/jobs?limit=200')).json()) as { jobs: unknown[] }
    expect(after).toHaveLength(before.length)
  })

  test('of a batch may be twice the limit, of each payload once', async () => {
    const half = { type: 'anything', payload: 'x'.repeat(MAX_BYTES - 1000) }
    expect((await app.post('/api/jobs/batch', { jobs: [half, half] })).status).toBe(202)
    expect((await problemIn(await app.post('/api/jobs/batch', { jobs: [half, half, half] }))).status).toBe(
      413,
    )
    const large = { type: 'anything', payload: 'x'.repeat(MAX_BYTES) }
    const problem = await problemIn(
      await app.post('/api/jobs/batch', { jobs: [{ ...half, payload: 1 }, large] }),
    )
    expect(problem).toMatchObject({ code: 'payload_too_large', errors: [{ path: 'jobs.1.payload' }] })
  })
})

describe('a batch', () => {
  test('waits for its turn among many large ones', async () => {
    const jobs = Array.from({ length: 20 }, (_, n) => ({ type: 'anything', payload: [n, 'x'.repeat(2000)] }))
    const answers = await Promise.all(Array.from({ length: 20 }, () => app.post('/api/jobs/batch', { jobs })))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202))
    const bodies = await Promise.all(answers.map((answer) => answer.json()))
    const ids = bodies.flatMap((body) => BatchAnswer.parse(body).jobs.map(({ jobId }) => jobId))
    expect(new Set(ids).size).toBe(400)
  })

  test('is answered in order', async () => {
    const jobs = [
      { type: 'anything', payload: 1 },
      { type: 'resize', payload: { width: 16 }, options: { delayMs: 60_000 } },
    ]
    const response = await app.post('/api/jobs/batch', { jobs })
    expect(response.status).toBe(202)
    const answer = BatchAnswer.parse(await response.json())
    expect(answer.jobs.map(({ type, status }) => [type, status])).toEqual([
      ['anything', 'queued'],
      ['resize', 'scheduled'],
    ])
  })

  test('of a thousand is taken, of one more or none refused', async () => {
    const job = { type: 'anything', payload: 0 }
    const thousand = await app.post('/api/jobs/batch', { jobs: Array.from({ length: 1000 }, () => job) })
    expect(thousand.status).toBe(202)
    expect(BatchAnswer.parse(await thousand.json()).jobs).toHaveLength(1000)
    for (const jobs of [[], Array.from({ length: 1001 }, () => job)]) {
      const problem = await problemIn(await app.post('/api/jobs/batch', { jobs }))
      expect(problem).toMatchObject({ code: 'invalid_request', errors: [{ path: 'jobs' }] })
    }
  })

  test('is all or none, and every error has its path', async () => {
    const tag = 'all-or-none'
    const jobs = [
      { type: 'anything', payload: 1, options: { tags: [tag] } },
      { type: 'resize', payload: { width: 'x', height: 1 } },
      { type: 'anything', payload: 1, options: { delayMs: -1 } },
      { payload: 1 },
      5,
      { type: 'anything', payload: JSON.parse(nested(65)) },
    ]
    const problem = await problemIn(await app.post('/api/jobs/batch', { jobs }))
    expect(problem.code).toBe('invalid_payload')
    expect(problem.errors?.map(({ path }) => path)).toEqual(
      expect.arrayContaining([
        'jobs.1.payload.width',
        'jobs.2.options.delayMs',
        'jobs.3.type',
        'jobs.4',
        'jobs.5.payload',
      ]),
    )
    expect(await (await app.fetch(`/api/jobs?tag=${tag}`)).json()).toEqual({ jobs: [], nextPage: null })
    const extra = await problemIn(await app.post('/api/jobs/batch', { jobs: [jobs[0]], more: 1 }))
    expect(extra).toMatchObject({ code: 'invalid_request', errors: [{ path: 'more' }] })
  })
})
