import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BatchAnswer, SubmitAnswer } from '../../shared/api.ts'
import { Job } from '../../shared/job.ts'
import { HttpApp, KEYS, problemIn } from '../helpers/http-app.ts'
import { until } from '../helpers/until.ts'

let app: HttpApp
beforeAll(async () => {
  app = await HttpApp.start({ keys: KEYS })
})
afterAll(() => app.stop())

const newKey = () => crypto.randomUUID()
const submitWith = (idempotencyKey: string, body: unknown, key = 'submit-key', path = '/api/jobs') =>
  app.post(path, body, { key, headers: { 'idempotency-key': idempotencyKey } })

describe('an Idempotency-Key', () => {
  test('brings back the first answer with a fresh token', async () => {
    const key = newKey()
    const first = await submitWith(key, { type: 'anything', payload: { a: 1, b: [2] } })
    expect(first.headers.get('idempotency-replayed')).toBeNull()
    const { token, ...answer } = SubmitAnswer.parse(await first.json())
    const again = await submitWith(key, ' {"payload":{"b":[2.0],"a":1},"type":"anything"}')
    expect(again.status).toBe(202)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(again.headers.get('location')).toBe(`/api/jobs/${answer.jobId}`)
    const { token: fresh, ...replayed } = SubmitAnswer.parse(await again.json())
    expect(replayed).toEqual(answer)
    for (const bearer of [token, fresh]) {
      expect((await app.fetch(answer.links.self, bearer === undefined ? {} : { key: bearer })).status).toBe(
        200,
      )
    }
  })

  test('answers even when the job is gone by then', async () => {
    const key = newKey()
    const body = { type: 'anything', payload: 'gone' }
    const { jobId } = SubmitAnswer.parse(await (await submitWith(key, body)).json())
    await app.fetch(`/api/jobs/${jobId}/cancel`, { method: 'POST', key: 'admin-key' })
    expect((await app.fetch(`/api/jobs/${jobId}`, { method: 'DELETE', key: 'admin-key' })).status).toBe(204)
    const again = await submitWith(key, body)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(SubmitAnswer.parse(await again.json())).toMatchObject({ jobId, status: 'queued' })
    const waited = await app.post('/api/jobs', body, {
      key: 'submit-key',
      headers: { 'idempotency-key': key, prefer: 'wait=20' },
    })
    expect(waited.status).toBe(202)
  })

  test('with another body is a mismatch', async () => {
    const key = newKey()
    await submitWith(key, { type: 'anything', payload: 1 })
    const problem = await problemIn(await submitWith(key, { type: 'anything', payload: '1' }))
    expect(problem).toMatchObject({ status: 422, code: 'idempotency_mismatch' })
    const batch = await submitWith(
      key,
      { jobs: [{ type: 'anything', payload: 1 }] },
      'submit-key',
      '/api/jobs/batch',
    )
    expect(batch.status).toBe(422)
  })

  test("is the API key's own", async () => {
    const key = newKey()
    const body = { type: 'anything', payload: 1 }
    const mine = SubmitAnswer.parse(await (await submitWith(key, body)).json())
    const theirs = await submitWith(key, body, 'submit-key-two')
    expect(theirs.headers.get('idempotency-replayed')).toBeNull()
    expect(SubmitAnswer.parse(await theirs.json()).jobId).not.toBe(mine.jobId)
  })

  test('is not used up by a refused submission', async () => {
    const key = newKey()
    expect((await submitWith(key, { type: 'anything' })).status).toBe(400)
    expect((await submitWith(key, { type: 'anything', payload: 1 })).status).toBe(202)
  })

  test.each(['', 'k'.repeat(256), 'caf\u00e9', 'tab\there'])('%j is refused', async (key) => {
    const problem = await problemIn(await submitWith(key, { type: 'anything', payload: 1 }))
    expect(problem).toMatchObject({ status: 400, code: 'invalid_idempotency_key' })
  })

  test('covers a batch', async () => {
    const key = newKey()
    const body = {
      jobs: [
        { type: 'anything', payload: 1 },
        { type: 'anything', payload: 2 },
      ],
    }
    const ids = async (response: Response) =>
      BatchAnswer.parse(await response.json()).jobs.map(({ jobId }) => jobId)
    const first = await ids(await submitWith(key, body, 'submit-key', '/api/jobs/batch'))
    const again = await submitWith(key, body, 'submit-key', '/api/jobs/batch')
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(await ids(again)).toEqual(first)
    const turned = await submitWith(key, { jobs: [...body.jobs].reverse() }, 'submit-key', '/api/jobs/batch')
    expect(turned.status).toBe(422)
  })

  test('of 100 submissions at once stores one job', async () => {
    const key = newKey()
    const body = { type: 'anything', payload: 'once', options: { tags: [key] } }
    const responses = await Promise.all(Array.from({ length: 100 }, () => submitWith(key, body)))
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 100 }, () => 202))
    expect(responses.filter(({ headers }) => headers.get('idempotency-replayed') === null)).toHaveLength(1)
    const answers = await Promise.all(responses.map(async (one) => SubmitAnswer.parse(await one.json())))
    expect(new Set(answers.map(({ jobId }) => jobId)).size).toBe(1)
    const listed = await (await app.fetch(`/api/jobs?tag=${key}`, { key: 'read-key' })).json()
    expect(listed).toMatchObject({ jobs: [{ jobId: answers[0]?.jobId }], nextPage: null })
  })
})

describe('Prefer: wait', () => {
  const waitFor = (seconds: string, type: string, signal?: AbortSignal) =>
    app.post(
      '/api/jobs',
      { type, payload: type === 'resize' ? { width: 99 } : 'waited' },
      { key: 'submit-key', headers: { prefer: `wait=${seconds}` }, ...(signal && { signal }) },
    )
  const claimWaited = () => until(() => app.claim('resize').catch(() => null), { what: 'the job to claim' })

  test('holds until the job is terminal', async () => {
    const answering = waitFor('30', 'resize')
    await app.settle(await claimWaited(), { kind: 'completed', result: { ok: true } })
    const response = await answering
    expect(response.status).toBe(200)
    expect(response.headers.get('preference-applied')).toBe('wait=30')
    const job = Job.strict().parse(await response.json())
    expect(job).toMatchObject({ status: 'completed', result: { ok: true }, payload: { width: 99 } })
    expect(response.headers.get('location')).toBe(`/api/jobs/${job.jobId}`)
  })

  test('answers as usual when the time is over first, or the preference is none', async () => {
    const started = performance.now()
    const late = await waitFor('1', 'anything')
    expect(performance.now() - started).toBeGreaterThan(900)
    expect(late.status).toBe(202)
    expect(late.headers.get('preference-applied')).toBeNull()
    expect(SubmitAnswer.parse(await late.json()).status).toBe('queued')
    expect((await waitFor('soon', 'anything')).status).toBe(202)
  })

  test('nothing is held for longer than proxies allow, and the caller is told so, with the id', async () => {
    expect(app.hub.holdMs).toBeLessThan(30_000)
    const hasty = await HttpApp.start({ holdMs: 1000 })
    try {
      const started = performance.now()
      const body = { type: 'anything', payload: 1 }
      const late = await hasty.post('/api/jobs', body, { headers: { prefer: 'wait=60' } })
      expect(late.status).toBe(202)
      expect(late.headers.get('preference-applied')).toBe('wait=1')
      const { links, cursor } = SubmitAnswer.parse(await late.json())
      const poll = await hasty.fetch(`${links.self}?after=${cursor}&wait=60`)
      expect(await poll.json()).toMatchObject({ mode: 'resume', events: [], status: 'queued' })
      expect(performance.now() - started).toBeGreaterThan(1900)
      expect(performance.now() - started).toBeLessThan(20_000)
    } finally {
      await hasty.stop()
    }
  })

  test('of a batch is ignored', async () => {
    const response = await app.post(
      '/api/jobs/batch',
      { jobs: [{ type: 'anything', payload: 1 }] },
      { key: 'submit-key', headers: { prefer: 'wait=60' } },
    )
    expect(response.status).toBe(202)
  })

  test('together with a replay answers with the finished job', async () => {
    const headers = { 'idempotency-key': newKey(), prefer: 'wait=30' }
    const body = { type: 'resize', payload: { width: 77 } }
    const answering = app.post('/api/jobs', body, { key: 'submit-key', headers })
    await app.settle(await claimWaited())
    expect((await answering).headers.get('idempotency-replayed')).toBeNull()
    const again = await app.post('/api/jobs', body, { key: 'submit-key', headers })
    expect(again.status).toBe(200)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(Job.parse(await again.json()).status).toBe('completed')
  })

  test('lets go of everything when the caller leaves', async () => {
    const abort = new AbortController()
    const answering = waitFor('60', 'resize', abort.signal)
    const claim = await claimWaited()
    await until(() => app.hub.info().polls === 1, { what: 'the call to be held' })
    abort.abort()
    await expect(answering).rejects.toThrow()
    await until(() => app.hub.info().polls === 0, { what: 'the held call to be released' })
    await app.settle(claim)
  })
})
