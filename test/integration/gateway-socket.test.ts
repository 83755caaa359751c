import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fold } from '../../shared/fold.ts'
import type { Job } from '../../shared/job.ts'
import { type Frame, type Gateway, openGateway, type TestSocket } from '../helpers/gateway.ts'
import { until } from '../helpers/until.ts'

let gateway: Gateway
beforeEach(async () => {
  gateway = await openGateway()
})
afterEach(async () => {
  await gateway.close()
  expect(gateway.seen('failure')).toEqual([])
})

const UNKNOWN = '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11'

function jobOf(frame: Extract<Frame, { op: 'subscribed' }>): Job {
  if (frame.mode !== 'snapshot') throw new Error('the frame is no snapshot')
  return frame.job
}

/** Folds every event that a client received after its snapshot, and checks the chain of `prev` on the way. */
function foldAll(client: TestSocket): Job {
  let job: Job | null = null
  let last = -1
  for (const frame of client.frames) {
    if (frame.op === 'subscribed') {
      if (frame.mode === 'snapshot') job = frame.job
      else if (job !== null) for (const event of frame.events) job = fold(job, event)
      last = Number(frame.cursor.split('.').at(-1))
    }
    if (frame.op === 'event') {
      expect(frame.prev).toBe(last)
      if (job === null) throw new Error('an event before any snapshot')
      const { op: _op, jobId: _jobId, prev: _prev, ...event } = frame
      job = fold(job, event)
      last = frame.seq
    }
  }
  if (job === null) throw new Error('no snapshot came')
  return job
}

describe('watching a job', () => {
  test('hello comes first, then a snapshot, every event in order, and the end', async () => {
    const jobId = await gateway.submit()
    const client = gateway.connect()
    await client.opened()
    expect(client.frames[0]).toEqual({
      op: 'hello',
      protocol: 1,
      heartbeatMs: 20_000,
      maxSubscriptions: 256,
      maxFrameBytes: 16_384,
    })
    const subscribed = await client.subscribe(jobId)
    expect(subscribed).toMatchObject({ mode: 'snapshot', reason: 'new', jobId })
    expect(jobOf(subscribed)).toEqual(await gateway.engine.get(jobId))
    expect(subscribed).not.toHaveProperty('events')

    const run = await gateway.claim()
    await run.report(
      { kind: 'progress', data: { percent: 10, note: null } },
      { kind: 'log', data: { level: 'info', line: 'halfway' } },
      { kind: 'chunk', data: { piece: '<script>\u001b[31m' } },
    )
    await run.settle({ kind: 'completed', result: { ok: true } })
    const end = await client.next('end')
    const job = await gateway.engine.get(jobId)
    expect(end).toEqual({ op: 'end', jobId, cursor: job?.cursor, status: 'completed' })
    expect(client.all('event').map((event) => event.kind)).toEqual([
      'status',
      'progress',
      'log',
      'chunk',
      'status',
    ])
    expect(foldAll(client)).toEqual(job)
    expect(client.frames.at(-1)).toEqual(end)
  })

  test('a cursor resumes with exactly the events after it', async () => {
    const run = await gateway.run()
    await run.report({ kind: 'log', data: { level: 'info', line: 'one' } })
    const cursor = (await gateway.engine.get(run.jobId))?.cursor ?? ''
    await run.report({ kind: 'log', data: { level: 'info', line: 'two' } })
    const client = await gateway.connect().opened()
    const subscribed = await client.subscribe(run.jobId, { after: cursor })
    expect(subscribed).toMatchObject({
      mode: 'resume',
      events: [{ kind: 'log', data: { level: 'info', line: 'two' } }],
      cursor: (await gateway.engine.get(run.jobId))?.cursor,
    })
    await run.report({ kind: 'log', data: { level: 'info', line: 'three' } })
    const event = await client.next('event')
    expect(event.prev).toBe(event.seq - 1)
  })

  test.each([
    ['an empty cursor', () => '', 'new'],
    ['an unreadable cursor', () => 'garbage \n', 'epoch'],
    ['a cursor of another history', () => 'elsewhere.1', 'epoch'],
    ['a cursor beyond this history', (epoch: string) => `${epoch}.999`, 'ahead'],
  ])('%s gets a snapshot that says why', async (_name, cursor, reason) => {
    const jobId = await gateway.submit()
    const client = await gateway.connect().opened()
    const subscribed = await client.subscribe(jobId, { after: cursor(gateway.feed.epoch) })
    expect(subscribed).toMatchObject({ mode: 'snapshot', reason })
  })

  test('a finished job gives subscribed and end at once, also at its last cursor', async () => {
    const run = await gateway.run()
    await run.settle({ kind: 'failed', error: 'broken', errorCode: 'unrecoverable' })
    const client = await gateway.connect().opened()
    await client.subscribe(run.jobId)
    const end = await client.next('end')
    expect(end.status).toBe('failed')
    expect(await client.subscribe(run.jobId, { after: end.cursor })).toMatchObject({
      mode: 'resume',
      events: [],
    })
    expect(await client.next('end', 2)).toEqual(end)
    await until(() => gateway.feed.watching <= 1 && gateway.hub.info().subscriptions === 0)
  })

  test('with history a snapshot carries the retained events, which are in the job already', async () => {
    const run = await gateway.run()
    await run.report({ kind: 'log', data: { level: 'warn', line: 'early' } })
    const client = await gateway.connect().opened()
    const subscribed = await client.subscribe(run.jobId, { history: true })
    expect(subscribed.events?.map((event) => event.kind)).toEqual(['status', 'status', 'log'])
    expect(subscribed.events?.at(-1)?.seq).toBe(Number(subscribed.cursor.split('.').at(-1)))
  })

  test('subscribing on connect, with a cursor and history', async () => {
    const run = await gateway.run()
    const cursor = (await gateway.engine.get(run.jobId))?.cursor ?? ''
    const resumed = gateway.connect(`?job=${run.jobId}&after=${encodeURIComponent(cursor)}`)
    expect(await resumed.next('subscribed')).toMatchObject({ mode: 'resume', events: [] })
    expect(resumed.frames[0]?.op).toBe('hello')
    const whole = gateway.connect(`?job=${run.jobId}&history=1`)
    expect((await whole.next('subscribed')).events).toHaveLength(2)
  })

  test('an unknown job, or what is no job id at all, is not found', async () => {
    const client = await gateway.connect(`?job=${UNKNOWN}`).opened()
    expect(await client.next('error')).toMatchObject({ code: 'not_found', jobId: UNKNOWN, retry: false })
    for (const jobId of ['nobody', '{x}:y', 'a\u0000b', '../..', UNKNOWN.toUpperCase()]) {
      const before = client.all('error').length
      client.send({ op: 'subscribe', jobId })
      expect(await client.next('error', before + 1)).toMatchObject({ code: 'not_found', jobId })
    }
    expect(gateway.feed.reads).toHaveLength(1)
  })

  test('a second subscribe starts afresh and both are answered', async () => {
    const run = await gateway.run()
    const client = await gateway.connect().opened()
    client.send({ op: 'subscribe', jobId: run.jobId })
    client.send({ op: 'subscribe', jobId: run.jobId, after: `${gateway.feed.epoch}.1` })
    await client.next('subscribed', 2)
    expect(client.all('subscribed').map((frame) => frame.mode)).toEqual(['snapshot', 'resume'])
    await run.report({ kind: 'log', data: { level: 'info', line: 'once' } })
    await run.settle({ kind: 'completed', result: null })
    await client.next('end')
    expect(client.all('event').map((event) => event.seq)).toEqual([3, 4])
  })

  test('unsubscribe is answered, and nothing follows it', async () => {
    const run = await gateway.run()
    const client = await gateway.connect().opened()
    await client.subscribe(run.jobId)
    client.send({ op: 'unsubscribe', jobId: run.jobId })
    expect(await client.next('unsubscribed')).toEqual({
      op: 'unsubscribed',
      jobId: run.jobId,
      code: 'requested',
      retry: false,
    })
    await run.report({ kind: 'log', data: { level: 'info', line: 'unheard' } })
    client.send({ op: 'ping' })
    await client.next('pong')
    expect(client.all('event')).toEqual([])
    expect(gateway.hub.info().subscriptions).toBe(0)
  })

  test('a retried job is watched again from its last cursor', async () => {
    const run = await gateway.run()
    const client = await gateway.connect().opened()
    await client.subscribe(run.jobId)
    await run.settle({ kind: 'failed', error: 'no', errorCode: 'handler_error' })
    const end = await client.next('end')
    await gateway.engine.retry(run.jobId)
    const again = await client.subscribe(run.jobId, { after: end.cursor })
    expect(again).toMatchObject({ mode: 'resume', events: [{ kind: 'status', data: { status: 'queued' } }] })
    await gateway.engine.cancel(run.jobId)
    expect((await client.next('end', 2)).status).toBe('cancelled')
  })

  test('two jobs on one connection keep their own chains', async () => {
    const [first, second] = [await gateway.run(), await gateway.run()]
    const client = await gateway.connect().opened()
    await client.subscribe(first.jobId)
    await client.subscribe(second.jobId)
    for (const run of [first, second, first, second]) {
      await run.report({ kind: 'log', data: { level: 'info', line: 'turn' } })
    }
    await client.next('event', 4)
    for (const { jobId } of [first, second]) {
      const own = client.all('event').filter((event) => event.jobId === jobId)
      expect(own.map(({ prev, seq }) => [prev, seq])).toEqual([
        [2, 3],
        [3, 4],
      ])
    }
  })

  test('a job that is deleted while it is watched is told apart from one that is not there', async () => {
    const run = await gateway.run()
    const client = await gateway.connect().opened()
    await client.subscribe(run.jobId)
    // Only a finished job can be deleted, and its watchers have left: unless the end did not reach them.
    gateway.feed.disturb = () => {}
    await run.settle({ kind: 'completed', result: null })
    gateway.feed.disturb = (message, deliver) => deliver(message)
    await gateway.engine.remove(run.jobId)
    expect(await client.next('unsubscribed')).toMatchObject({ code: 'removed', retry: false })
  })

  test('a JSON ping is answered, whoever watches nothing may send one', async () => {
    const client = await gateway.connect().opened()
    client.send({ op: 'ping' })
    client.send({ op: 'pong' })
    expect(await client.next('pong')).toEqual({ op: 'pong' })
  })

  test('a large event, which the feed only announces, is read', async () => {
    const run = await gateway.run()
    const client = await gateway.connect().opened()
    await client.subscribe(run.jobId)
    const result = 'x'.repeat(3_000_000)
    await run.settle({ kind: 'completed', result })
    await client.next('end')
    expect(client.all('event').at(-1)).toMatchObject({
      kind: 'status',
      data: { status: 'completed', result },
    })
  })
})

test('a thousand watchers of one job share one feed subscription and one read a moment', async () => {
  const run = await gateway.run()
  const clients = Array.from({ length: 1000 }, () => gateway.connect(`?job=${run.jobId}`))
  await Promise.all(clients.map((client) => client.next('subscribed')))
  expect(gateway.feed.watching).toBe(1)
  expect(gateway.hub.info()).toMatchObject({ sockets: 1000, subscriptions: 1000 })
  for (let step = 1; step <= 5; step++) {
    await run.report({ kind: 'progress', data: { percent: step, note: null } })
    await run.report({ kind: 'log', data: { level: 'info', line: `step ${step}` } })
  }
  await run.settle({ kind: 'completed', result: 42 })
  const job = await gateway.engine.get(run.jobId)
  await Promise.all(clients.map((client) => client.next('end')))
  for (const client of clients) {
    expect(foldAll(client)).toEqual(job)
    expect(client.all('event')).toHaveLength(11)
  }
  expect(gateway.hub.info().ratePerSecond).toBeGreaterThan(100)
  for (const client of clients) client.ws.close()
  await until(() => gateway.hub.info().sockets === 0)
  expect(gateway.hub.info().subscriptions).toBe(0)
  expect(gateway.seen('gateway.subscribed')).toHaveLength(1000)
  expect(gateway.seen('gateway.unsubscribed')).toHaveLength(1000)
}, 60_000)
