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

  test('subscribing on connect, with a cursor and history', async () => {
    const run = await gateway.run()
    const cursor = (await gateway.engine.get(run.jobId))?.cursor ?? ''
    const resumed = gateway.connect(`?job=${run.jobId}&after=${encodeURIComponent(cursor)}`)
    expect(await resumed.next('subscribed')).toMatchObject({ mode: 'resume', events: [] })
    expect(resumed.frames[0]?.op).toBe('hello')
    const whole = gateway.connect(`?job=${run.jobId}&history=1`)
    expect((await whole.next('subscribed')).events).toHaveLength(2)
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

  test('a JSON ping is answered, whoever watches nothing may send one', async () => {
    const client = await gateway.connect().opened()
    client.send({ op: 'ping' })
    client.send({ op: 'pong' })
    expect(await client.next('pong')).toEqual({ op: 'pong' })
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
})
