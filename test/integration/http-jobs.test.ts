import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ListAnswer, OverviewAnswer, PollAnswer, SubmitAnswer, TypesAnswer } from '../../shared/api.ts'
import { Job, JobSummary } from '../../shared/job.ts'
import { startCompressingProxy } from '../helpers/compressing-proxy.ts'
import { HttpApp, problemIn } from '../helpers/http-app.ts'
import { StreamReader } from '../helpers/stream-reader.ts'
import { until } from '../helpers/until.ts'

let app: HttpApp
beforeAll(async () => {
  app = await HttpApp.start()
})
afterAll(() => app.stop())

const UNKNOWN = '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11'

/** A job that nobody else claims meanwhile: `anything` jobs of this file are otherwise left alone. */
async function running(width = 16) {
  const response = await app.post('/api/jobs', { type: 'resize', payload: { width } })
  const submitted = SubmitAnswer.parse(await response.json())
  const claim = await app.claim('resize')
  expect(claim.jobId).toBe(submitted.jobId)
  return { submitted, claim }
}

async function finished() {
  const { submitted, claim } = await running()
  await app.settle(claim)
  return submitted
}

describe('GET /api/jobs/:id', () => {
  test('shows the job as it is', async () => {
    const submitted = await app.submit()
    const response = await app.fetch(submitted.links.self)
    expect(response.headers.get('cache-control')).toBe('private, no-cache')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    const job = Job.strict().parse(await response.json())
    expect(response.headers.get('etag')).toBe(`"${job.cursor}"`)
    expect(job).toMatchObject({
      jobId: submitted.jobId,
      cursor: submitted.cursor,
      createdAt: submitted.createdAt,
    })
  })

  test('has its fields in the order that docs/protocol.md shows', async () => {
    const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8')
    const example: unknown = JSON.parse(/```json Job\n([\s\S]*?)```/.exec(page)?.[1] ?? '')
    const submitted = await app.submit()
    const job: unknown = await (await app.fetch(submitted.links.self)).json()
    expect(Object.keys(Object(job))).toEqual(Object.keys(Object(example)))
  })

  test('answers 304 for as long as nothing has happened', async () => {
    const { submitted, claim } = await running()
    const etag = (await app.fetch(submitted.links.self)).headers.get('etag') ?? ''
    const ask = (header: string, query = '') =>
      app.fetch(submitted.links.self + query, { headers: { 'if-none-match': header } })
    for (const header of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const response = await ask(header)
      expect(response.status).toBe(304)
      expect(response.headers.get('etag')).toBe(etag)
      expect(response.headers.get('cache-control')).toBe('private, no-cache')
    }
    expect((await ask('"x.1"')).status).toBe(200)
    await app.settle(claim)
    const changed = await ask(etag)
    expect(changed.status).toBe(200)
    expect(changed.headers.get('etag')).not.toBe(etag)
    expect((await app.fetch(`/api/jobs/${UNKNOWN}`, { headers: { 'if-none-match': '*' } })).status).toBe(404)
  })

  test('has no ETag with a query', async () => {
    const { links } = await app.submit()
    for (const query of ['?history=0', '?after=', '?history=1', '?wait=0']) {
      const response = await app.fetch(links.self + query, { headers: { 'if-none-match': '*' } })
      expect([query, response.status, response.headers.get('etag')]).toEqual([query, 200, null])
    }
  })

  test('answers HEAD with the same headers', async () => {
    const { links, cursor } = await app.submit()
    const response = await app.fetch(links.self, { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(response.headers.get('etag')).toBe(`"${cursor}"`)
    expect(await response.text()).toBe('')
    expect((await app.fetch(`/api/jobs/${UNKNOWN}`, { method: 'HEAD' })).status).toBe(404)
  })

  test.each([
    UNKNOWN,
    'nope',
    UNKNOWN.toUpperCase(),
    `${UNKNOWN}%00`,
    'a%2Fb',
    'a:b',
    '%7B%7D',
    '%7Bjobcast%3A0%7D:job',
    '%',
    '%ff',
    'x'.repeat(10_000),
  ])('of %.60s is 404, whatever the call', async (id) => {
    const calls = [
      app.fetch(`/api/jobs/${id}`),
      app.fetch(`/api/jobs/${id}?after=x.1&wait=30`),
      app.fetch(`/api/jobs/${id}/events`),
      app.fetch(`/api/jobs/${id}`, { method: 'DELETE' }),
      app.post(`/api/jobs/${id}/cancel`),
      app.post(`/api/jobs/${id}/retry`),
      app.post(`/api/jobs/${id}/token`),
    ]
    for (const response of await Promise.all(calls)) {
      expect(await problemIn(response)).toMatchObject({ status: 404, code: 'not_found' })
    }
  })
})

describe('long-polling', () => {
  const pollOf = async (path: string) => PollAnswer.parse(await (await app.fetch(path)).json())

  test('without a cursor answers a snapshot at once', async () => {
    const { links, jobId } = await app.submit()
    for (const query of ['?wait=60', '?after=', '?after=&wait=60', '?history=1']) {
      const answer = await pollOf(links.self + query)
      expect(answer).toMatchObject({ jobId, mode: 'snapshot', reason: 'new', status: 'queued' })
      expect(answer.events.map(({ kind }) => kind)).toEqual(query === '?history=1' ? ['status'] : [])
    }
  })

  test('is answered as soon as something happens', async () => {
    const { submitted, claim } = await running()
    const { cursor } = Job.parse(await (await app.fetch(submitted.links.self)).json())
    const polling = app.fetch(`${submitted.links.self}?after=${cursor}&wait=60`)
    await until(() => app.hub.info().polls === 1, { what: 'the poll to be held' })
    await app.settle(claim)
    const response = await polling
    expect(response.headers.get('cache-control')).toBe('no-store')
    const answer = PollAnswer.parse(await response.json())
    expect(answer).toMatchObject({ mode: 'resume', status: 'completed', result: { done: true } })
    expect(answer.events).toMatchObject([{ kind: 'status', data: { status: 'completed' } }])
    expect(answer).not.toHaveProperty('reason')
  })

  test('answers with no events when nothing happens, at once without a wait', async () => {
    const { links, cursor } = await app.submit()
    expect(await pollOf(`${links.self}?after=${cursor}`)).toMatchObject({
      mode: 'resume',
      events: [],
      cursor,
    })
    const started = performance.now()
    expect(await pollOf(`${links.self}?after=${cursor}&wait=1`)).toMatchObject({ mode: 'resume', events: [] })
    expect(performance.now() - started).toBeGreaterThan(900)
  })

  test('of a finished job is not held', async () => {
    const { links } = await finished()
    const { cursor } = Job.parse(await (await app.fetch(links.self)).json())
    expect(await pollOf(`${links.self}?after=${cursor}&wait=60`)).toMatchObject({
      status: 'completed',
      events: [],
    })
  })

  test('tells why a cursor cannot be resumed', async () => {
    const { links, cursor } = await app.submit()
    const epoch = cursor.slice(0, cursor.lastIndexOf('.'))
    const reasonOf = async (after: string) =>
      pollOf(`${links.self}?after=${encodeURIComponent(after)}&wait=60`)
    expect(await reasonOf('other.1')).toMatchObject({ mode: 'snapshot', reason: 'epoch' })
    expect(await reasonOf('gar bage\r\n')).toMatchObject({ mode: 'snapshot', reason: 'epoch' })
    expect(await reasonOf(`${epoch}.999`)).toMatchObject({ mode: 'snapshot', reason: 'ahead' })
  })

  test('lets go when the caller leaves', async () => {
    const { links, cursor } = await app.submit()
    const abort = new AbortController()
    const polling = app.fetch(`${links.self}?after=${cursor}&wait=60`, { signal: abort.signal })
    await until(() => app.hub.info().polls === 1, { what: 'the poll to be held' })
    abort.abort()
    await expect(polling).rejects.toThrow()
    await until(() => app.hub.info().polls === 0, { what: 'the poll to be released' })
  })

  test.each(['wait=61', 'wait=-1', 'wait=x', 'after=a&after=b', 'history=2', 'token=x', 'nope=1'])(
    'with %s is refused',
    async (query) => {
      const { links } = await app.submit()
      const problem = await problemIn(await app.fetch(`${links.self}?${query}`))
      expect(problem.code).toBe('invalid_request')
      expect(problem.errors).toMatchObject([{ path: query.split('=')[0] }])
    },
  )
})

describe('GET /api/jobs/:id/events', () => {
  test('comes as it happens through a proxy that compresses, and is compressed where it is no stream', async () => {
    const proxy = await startCompressingProxy(app.url)
    try {
      const { submitted, claim } = await running()
      const response = await fetch(proxy.url + submitted.links.events)
      expect(response.headers.get('content-encoding')).toBe(null)
      const reader = new StreamReader(response.body ?? new ReadableStream())
      await reader.next('snapshot')
      const events = [{ kind: 'log', data: { level: 'info', line: 'now' } }] as const
      await app.engine.report([{ jobId: claim.jobId, lease: claim.lease, events }])
      await reader.next('log')
      await app.settle(claim)
      await reader.ended
      const job = await fetch(proxy.url + submitted.links.self)
      expect(job.headers.get('content-encoding')).not.toBe(null)
      expect(await job.json()).toMatchObject({ status: 'completed' })
    } finally {
      await proxy.close()
    }
  })

  test('streams what happens and ends with the job', async () => {
    const { submitted, claim } = await running()
    const response = await app.fetch(`${submitted.links.events}?history=1`)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(response.headers.get('cache-control')).toBe('no-store, no-transform')
    expect(response.headers.get('x-accel-buffering')).toBe('no')
    await app.settle(claim)
    const text = await response.text()
    expect([...text.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name)).toEqual([
      'snapshot',
      'status',
      'end',
    ])
    const ids = [...text.matchAll(/^id: (\S+)$/gm)].map(([, id]) => id ?? '')
    expect(ids.length).toBeGreaterThan(1)

    const last = ids.at(-1) ?? ''
    const again = await app.fetch(submitted.links.events, { headers: { 'last-event-id': last } })
    expect(again.status).toBe(204)
    expect((await app.fetch(`${submitted.links.events}?after=${last}`)).status).toBe(204)
    // The header is the newer one: an EventSource keeps asking its old address.
    const both = await app.fetch(`${submitted.links.events}?after=old.1`, {
      headers: { 'last-event-id': last },
    })
    expect(both.status).toBe(204)
    // So does a polyfill, which sets no header, but adds to the address; where both come, the header counts.
    const polyfilled = await app.fetch(`${submitted.links.events}?after=old.1&lastEventId=${last}`)
    expect(polyfilled.status).toBe(204)
    const all = `${submitted.links.events}?after=old.1&lastEventId=old.2`
    expect((await app.fetch(all, { headers: { 'last-event-id': last } })).status).toBe(204)
    expect(await (await app.fetch(`${submitted.links.events}?lastEventId=`)).text()).toContain(
      '"reason":"new"',
    )
  })

  test('answers a garbage Last-Event-ID with a snapshot and nothing injected', async () => {
    const { links } = await finished()
    const response = await app.fetch(links.events, { headers: { 'last-event-id': 'x\u00ff: y.1' } })
    const text = await response.text()
    expect(text).toContain('"reason":"epoch"')
    expect([...text.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name)).toEqual(['snapshot', 'end'])
  })

  test('answers a long-poll to whoever accepts JSON', async () => {
    const { links } = await finished()
    for (const accept of [
      'application/json',
      'Application/JSON',
      'application/json, text/event-stream;q=0.5',
    ]) {
      const response = await app.fetch(links.events, { headers: { accept } })
      expect(PollAnswer.parse(await response.json())).toMatchObject({ mode: 'snapshot', status: 'completed' })
    }
  })

  test.each(['*/*', 'text/event-stream, application/json', 'application/json;q=0'])(
    'streams to whoever accepts %s',
    async (accept) => {
      const { links } = await finished()
      const response = await app.fetch(links.events, { headers: { accept } })
      expect(response.headers.get('content-type')).toBe('text/event-stream')
    },
  )

  test('opens no stream for HEAD', async () => {
    const { links } = await app.submit()
    const response = await app.fetch(links.events, { method: 'HEAD' })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    await until(() => app.hub.info().streams === 0, { what: 'no stream' })
  })

  test('lets go when the reader leaves', async () => {
    const { links } = await app.submit()
    const abort = new AbortController()
    const response = await app.fetch(links.events, { signal: abort.signal })
    expect(app.hub.info()).toMatchObject({ streams: 1, subscriptions: 1 })
    abort.abort()
    await expect(response.text()).rejects.toThrow()
    await until(() => app.hub.info().streams === 0, { what: 'the stream to be released' })
  })
})

describe('changing a job', () => {
  test('cancels at once what waits, and on request what runs', async () => {
    const waiting = await app.submit()
    const response = await app.post(waiting.links.cancel)
    expect(response.status).toBe(202)
    expect(Job.strict().parse(await response.json())).toMatchObject({
      status: 'cancelled',
      errorCode: 'cancelled',
    })
    expect(await problemIn(await app.post(waiting.links.cancel))).toMatchObject({
      status: 409,
      code: 'already_finished',
    })

    const { submitted, claim } = await running()
    for (let time = 0; time < 2; time++) {
      const again = await app.post(submitted.links.cancel, {})
      expect(again.status).toBe(202)
      expect(Job.parse(await again.json())).toMatchObject({ status: 'processing', cancelRequested: true })
    }
    await app.settle(claim, { kind: 'cancelled' })
  })

  test('retries what failed or was cancelled', async () => {
    const { submitted, claim } = await running()
    const retry = `${submitted.links.self}/retry`
    expect(await problemIn(await app.post(retry))).toMatchObject({ status: 409, code: 'not_retryable' })
    await app.settle(claim, { kind: 'failed', error: 'broken', errorCode: 'handler_error' })
    const response = await app.post(retry)
    expect(response.status).toBe(202)
    expect(Job.parse(await response.json())).toMatchObject({ status: 'queued', attempt: 1, error: null })
    await app.settle(await app.claim('resize'))
    expect((await problemIn(await app.post(retry))).code).toBe('not_retryable')
  })

  test('removes what is finished', async () => {
    const { submitted, claim } = await running()
    const remove = () => app.fetch(submitted.links.self, { method: 'DELETE' })
    expect(await problemIn(await remove())).toMatchObject({ status: 409, code: 'not_finished' })
    await app.settle(claim)
    const response = await remove()
    expect([response.status, await response.text()]).toEqual([204, ''])
    expect((await remove()).status).toBe(404)
  })

  test('takes no fields', async () => {
    const { links } = await app.submit()
    const problem = await problemIn(await app.post(links.cancel, { reason: 'x' }))
    expect(problem).toMatchObject({ code: 'invalid_request', errors: [{ path: 'reason' }] })
    expect((await problemIn(await app.post(links.cancel, '[]'))).code).toBe('invalid_request')
    expect((await problemIn(await app.post(links.cancel, '{'))).code).toBe('invalid_json')
    const form = { headers: { 'content-type': 'application/x-www-form-urlencoded' } }
    expect((await problemIn(await app.post(links.cancel, 'a=b', form))).code).toBe('unsupported_media_type')
    expect((await problemIn(await app.post(`${links.cancel}?force=1`))).errors).toMatchObject([
      { path: 'force' },
    ])
    expect(Job.parse(await (await app.fetch(links.self)).json()).status).toBe('queued')
  })

  test('gives out a token to any caller where none is asked for', async () => {
    const { links } = await app.submit()
    const response = await app.post(`${links.self}/token`)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ token: expect.stringMatching(/./) })
  })
})

describe('GET /api/jobs', () => {
  const listOf = async (query: string) =>
    ListAnswer.parse(await (await app.fetch(`/api/jobs?${query}`)).json())

  test('pages from the newest, without payload and result unless asked for', async () => {
    const tag = 'listed'
    const ids: string[] = []
    for (let n = 0; n < 25; n++) ids.unshift((await app.submit({ tags: [tag, `n${n % 2}`] })).jobId)
    const seen: string[] = []
    for (let page: string | null = ''; page !== null; ) {
      const answer = await listOf(`tag=${tag}&limit=10${page && `&page=${encodeURIComponent(page)}`}`)
      expect(answer.jobs.length).toBeLessThanOrEqual(10)
      for (const job of answer.jobs) {
        JobSummary.strict().parse(job)
        seen.push(job.jobId)
      }
      page = answer.nextPage
    }
    expect(seen).toEqual(ids)
    const full = await listOf(`tag=${tag}&full=1`)
    expect(full.jobs).toHaveLength(20)
    expect(full.jobs[0]).toMatchObject({ payload: { n: 1 }, result: null })
    expect((await listOf(`tag=${tag}&tag=n0`)).jobs).toHaveLength(13)
    expect(
      (await listOf(`tag=${tag}&type=anything&type=resize&status=queued&status=failed`)).jobs,
    ).toHaveLength(25)
    expect((await listOf(`tag=${tag}&type=resize`)).jobs).toEqual([])
    expect((await listOf(`tag=${tag}&status=failed`)).jobs).toEqual([])
    expect((await listOf('type=&status=&tag=&page=&limit=1')).jobs).toHaveLength(1)
  })

  test.each([
    'limit=0',
    'limit=201',
    'limit=ten',
    'full=1&limit=21',
    'full=yes',
    'status=done',
    'type=A%00',
    'type=a:b',
    `tag=${'t'.repeat(65)}`,
    'page=garbage',
    'page=%7B%7D',
    'order=asc',
    'limit=1&limit=2',
  ])('with %.30s is 400', async (query) => {
    const problem = await problemIn(await app.fetch(`/api/jobs?${query}`))
    expect(problem).toMatchObject({ status: 400, code: 'invalid_request' })
    expect(query).toContain(problem.errors?.[0]?.path)
  })
})

describe('types and overview', () => {
  test('count jobs and who runs them', async () => {
    const worker = (id: string, types: string[]) => ({
      id,
      role: 'worker' as const,
      info: {
        id,
        host: 'h',
        pid: 1,
        startedAt: new Date().toISOString(),
        types,
        concurrency: 10,
        running: 0,
        ratePerSecond: 0,
        waitMs: null,
        runMs: null,
      },
      ttlMs: 60_000,
    })
    await app.engine.announce(worker('w1', ['anything', 'resize']))
    await app.engine.announce(worker('w2', ['anything']))
    await app.engine.announce({ id: 'w3', role: 'worker', info: { from: 'a later version' }, ttlMs: 60_000 })

    const { types } = TypesAnswer.parse(await (await app.fetch('/api/types')).json())
    const byName = new Map(types.map((one) => [one.type, one]))
    expect(byName.get('anything')).toMatchObject({
      workers: 2,
      concurrency: 20,
      paused: false,
      payloadSchema: null,
    })
    expect(byName.get('resize')).toMatchObject({
      workers: 1,
      concurrency: 2,
      payloadSchema: { type: 'object', properties: { width: { type: 'integer' } } },
    })

    const overview = OverviewAnswer.parse(await (await app.fetch('/api/overview')).json())
    expect(overview).toMatchObject({ engine: 'sqlite', version: '9.9.9', gateways: [] })
    expect(overview.workers.map(({ id }) => id).sort()).toEqual(['w1', 'w2'])
    const queued = types.reduce((sum, { counts }) => sum + (counts.queued ?? 0), 0)
    expect(overview.counts.queued).toBe(queued)
  })

  test('are paused and resumed by name', async () => {
    const paused = async () => {
      const { types } = TypesAnswer.parse(await (await app.fetch('/api/types')).json())
      return types.filter((one) => one.paused).map(({ type }) => type)
    }
    const pause = await app.post('/api/types/resize/pause')
    expect([pause.status, await pause.json()]).toEqual([200, { type: 'resize', paused: true }])
    expect((await app.post('/api/types/not.yet-known/pause', {})).status).toBe(200)
    expect((await paused()).sort()).toEqual(['not.yet-known', 'resize'])
    for (const type of ['resize', 'not.yet-known']) {
      const resume = await app.post(`/api/types/${type}/resume`)
      expect([resume.status, await resume.json()]).toEqual([200, { type, paused: false }])
    }
    expect(await paused()).toEqual([])
  })

  test.each(['A', 'a%00', 'a:b', '%7Ba%7D', 'a%2Fb', 'x'.repeat(10_000)])(
    'of a name like %.20s are 404',
    async (type) => {
      expect((await problemIn(await app.post(`/api/types/${type}/pause`))).code).toBe('not_found')
      expect((await problemIn(await app.post(`/api/types/${type}/resume`))).code).toBe('not_found')
    },
  )
})
