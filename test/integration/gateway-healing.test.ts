import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { FeedMessage } from '../../server/engine/engine.ts'
import { type Gateway, openGateway } from '../helpers/gateway.ts'
import { until } from '../helpers/until.ts'
import { gate } from '../helpers/workbench.ts'

let gateway: Gateway
beforeEach(async () => {
  gateway = await openGateway({
    hub: { lingerMs: 50, check: { checkMs: 300, retryMs: 50, graceMs: 50 } },
  })
})
afterEach(async () => {
  await gateway.close()
  expect(gateway.feed.watching).toBe(0)
  expect(gateway.feed.resetListeners).toBe(0)
  expect(gateway.seen('failure')).toEqual([])
})

const line = (text: string) => ({ kind: 'log', data: { level: 'info', line: text } }) as const
const lose = () => {}
const deliverAll = (message: FeedMessage, deliver: (message: FeedMessage) => void) => deliver(message)

async function watched() {
  const run = await gateway.run()
  const client = await gateway.connect(`?job=${run.jobId}`).opened()
  await client.next('subscribed')
  return { run, client }
}

describe('what the feed loses', () => {
  test('a lost message is a gap that is read, in order and unseen by the subscriber', async () => {
    const { run, client } = await watched()
    gateway.feed.disturb = lose
    await run.report(line('lost'))
    gateway.feed.disturb = deliverAll
    await run.report(line('shows the gap'))
    await client.next('event', 2)
    expect(client.all('event').map(({ prev, seq }) => [prev, seq])).toEqual([
      [2, 3],
      [3, 4],
    ])
    expect(client.all('subscribed')).toHaveLength(1)
    expect(gateway.seen('feed.gap')).toEqual([{ jobId: run.jobId }])
  })

  test('the last message of all, the end of the job, is found by the check', async () => {
    const { run, client } = await watched()
    gateway.feed.disturb = lose
    await run.settle({ kind: 'completed', result: 7 })
    const end = await client.next('end')
    expect(end.status).toBe('completed')
    expect(client.all('event')).toMatchObject([{ prev: 2, seq: 3, data: { result: 7 } }])
    expect(gateway.seen('feed.missed')).toEqual([{ jobId: run.jobId }])
  })

  test('a message that is only late is no miss, and is not delivered twice', async () => {
    const { run, client } = await watched()
    const late: (() => void)[] = []
    gateway.feed.disturb = (message, deliver) => late.push(() => deliver(message))
    await run.report(line('late'))
    gateway.feed.disturb = deliverAll
    await run.report(line('on time'))
    await client.next('event', 2)
    for (const deliver of late) deliver()
    await run.report(line('after'))
    await client.next('event', 3)
    expect(client.all('event').map(({ seq }) => seq)).toEqual([3, 4, 5])
  })

  test('repeated messages are delivered once', async () => {
    const { run, client } = await watched()
    gateway.feed.disturb = (message, deliver) => {
      deliver(message)
      deliver(message)
    }
    await run.report(line('one'), line('two'))
    await run.settle({ kind: 'completed', result: null })
    await client.next('end')
    expect(client.all('event').map(({ seq }) => seq)).toEqual([3, 4, 5])
    expect(client.all('end')).toHaveLength(1)
    expect(gateway.feed.reads).toHaveLength(1)
  })

  test('the gap of a long burst goes on where the subscriber was, with merged progress left out', async () => {
    const { run, client } = await watched()
    gateway.feed.disturb = lose
    for (let percent = 1; percent <= 20; percent++) {
      await run.report({ kind: 'progress', data: { percent, note: null } })
    }
    gateway.feed.disturb = deliverAll
    await run.report(line('after'))
    await client.next('event', 2)
    expect(client.all('event')).toMatchObject([
      { seq: 22, prev: 2, kind: 'progress', data: { percent: 20 } },
      { seq: 23, prev: 22, kind: 'log' },
    ])
  })

  test('a gap beyond what is retained is a snapshot, unasked, that says so', async () => {
    const { run, client } = await watched()
    gateway.feed.disturb = lose
    for (let burst = 0; burst < 11; burst++) {
      await run.report(...Array.from({ length: 100 }, (_, number) => line(`${burst}.${number}`)))
    }
    gateway.feed.disturb = deliverAll
    await run.report(line('after'))
    expect(await client.next('subscribed', 2)).toMatchObject({ mode: 'snapshot', reason: 'trimmed' })
    await run.settle({ kind: 'completed', result: null })
    await client.next('end')
    const last = client.all('event').at(-1)
    expect(last?.seq).toBe((last?.prev ?? 0) + 1)
  })

  test('events between the subscription and its read come once', async () => {
    const run = await gateway.run()
    let open = () => {}
    gateway.feed.gate = new Promise((resolve) => {
      open = resolve
    })
    const client = await gateway.connect(`?job=${run.jobId}`).opened()
    await until(() => gateway.feed.reads.length === 1)
    await run.report(line('in the read and in the buffer'))
    open()
    const subscribed = await client.next('subscribed')
    expect(subscribed.cursor.endsWith('.3')).toBe(true)
    await run.report(line('live'))
    await client.next('event')
    expect(client.all('event')).toMatchObject([{ seq: 4, prev: 3 }])
    expect(gateway.feed.reads).toHaveLength(1)
  })
})

test('events after the read and before its answer are kept, and not read again', async () => {
  const run = await gateway.run()
  let open = () => {}
  gateway.feed.answerGate = new Promise((resolve) => {
    open = resolve
  })
  const client = await gateway.connect(`?job=${run.jobId}`).opened()
  await until(() => gateway.feed.reads.length === 1)
  await run.report(line('kept'))
  await run.settle({ kind: 'completed', result: null })
  open()
  await client.next('end')
  expect((await client.next('subscribed')).cursor.endsWith('.2')).toBe(true)
  expect(client.all('event').map(({ prev, seq }) => [prev, seq])).toEqual([
    [2, 3],
    [3, 4],
  ])
  expect(gateway.feed.reads).toHaveLength(1)
})

test('what is too much to be kept meanwhile is read, though nothing more happens', async () => {
  const never = 3_600_000
  const patient = await openGateway({ hub: { check: { checkMs: never, retryMs: never, graceMs: never } } })
  onTestFinished(() => patient.close())
  const run = await patient.run()
  const answer = gate()
  patient.feed.answerGate = answer.opened
  const client = await patient.connect(`?job=${run.jobId}`).opened()
  await until(() => patient.feed.reads.length === 1)
  for (let n = 0; n < 6; n++)
    await run.report(...Array.from({ length: 50 }, (_, index) => line(`${n}.${index}`)))
  answer.open()
  await client.next('event', 300)
  expect(client.all('event').map(({ seq }) => seq)).toEqual(Array.from({ length: 300 }, (_, n) => 3 + n))
  expect(patient.feed.reads).toHaveLength(2)
})

describe('what happens to the store', () => {
  test('after a reset everything watched is compared, and only what lags is read', async () => {
    const [first, second] = [await watched(), await watched()]
    gateway.feed.disturb = lose
    await first.run.report(line('lost'))
    gateway.feed.disturb = deliverAll
    const reads = gateway.feed.reads.length
    gateway.feed.reset()
    await first.client.next('event')
    expect(gateway.feed.reads).toHaveLength(reads + 1)
    expect(gateway.seen('feed.missed')).toEqual([])
    await second.run.report(line('fine'))
    await second.client.next('event')
  })

  test('a change of history is a snapshot, unasked, with the reason', async () => {
    const { run, client } = await watched()
    gateway.feed.changeHistory()
    const subscribed = await client.next('subscribed', 2)
    expect(subscribed).toMatchObject({ mode: 'snapshot', reason: 'epoch' })
    expect(subscribed.cursor).toBe(`${gateway.feed.epoch}.2`)
    await run.report(line('in the new history'))
    expect(await client.next('event')).toMatchObject({ seq: 3, prev: 2 })
  })

  test('an event of another history is not taken for the next one of this', async () => {
    const { run, client } = await watched()
    // The reset is late: the next message comes first.
    gateway.feed.disturb = (message, deliver) => {
      gateway.feed.disturb = deliverAll
      deliver(message)
    }
    const reset = gateway.feed.reset.bind(gateway.feed)
    gateway.feed.reset = () => {}
    gateway.feed.changeHistory()
    await run.report(line('foreign'))
    expect(await client.next('subscribed', 2)).toMatchObject({ reason: 'epoch' })
    expect(client.all('event')).toEqual([])
    gateway.feed.reset = reset
    gateway.feed.reset()
    await run.report(line('known'))
    await client.next('event')
    expect(client.all('subscribed')).toHaveLength(2)
  })

  test('with history asked for, a snapshot of a new history brings it', async () => {
    const run = await gateway.run()
    const client = await gateway.connect(`?job=${run.jobId}&history=1`).opened()
    await client.next('subscribed')
    await run.report(line('before'))
    gateway.feed.changeHistory()
    const subscribed = await client.next('subscribed', 2)
    expect(subscribed.events?.map(({ kind }) => kind)).toEqual(['status', 'status', 'log'])
  })

  test('a job that vanished without a word ends as not found', async () => {
    const { run, client } = await watched()
    gateway.feed.disturb = lose
    await run.settle({ kind: 'completed', result: null })
    const other = await watched()
    await gateway.engine.remove(run.jobId)
    expect(await client.next('unsubscribed')).toEqual({
      op: 'unsubscribed',
      jobId: run.jobId,
      code: 'not_found',
      retry: false,
    })
    expect(other.client.all('unsubscribed')).toEqual([])
  })

  test('while the store is away a new subscription is told so, and an old one heals', async () => {
    const { run, client } = await watched()
    gateway.feed.disturb = lose
    await run.report(line('lost'))
    gateway.feed.down = true
    gateway.feed.disturb = deliverAll
    await run.report(line('shows the gap, which cannot be read'))
    const late = await gateway.connect().opened()
    const second = await gateway.run()
    for (const jobId of [run.jobId, second.jobId]) late.send({ op: 'subscribe', jobId })
    await late.next('error', 2)
    for (const error of late.all('error')) expect(error).toMatchObject({ code: 'unavailable', retry: true })
    expect(client.all('event')).toEqual([])
    gateway.feed.down = false
    await client.next('event', 2)
    expect(client.all('event').map(({ seq }) => seq)).toEqual([3, 4])
    await late.subscribe(run.jobId)
  })
})

describe('nothing is leaked', () => {
  test('the feed is left a while after the last watcher, and found again within it', async () => {
    const { run, client } = await watched()
    client.ws.close()
    await until(() => gateway.hub.info().sockets === 0)
    expect(gateway.feed.watching).toBe(1)
    const again = await gateway.connect(`?job=${run.jobId}`).opened()
    await again.next('subscribed')
    expect(gateway.feed.watching).toBe(1)
    again.ws.terminate()
    await until(() => gateway.feed.watching === 0)
  })

  test('subscriptions that fail, end, expire or are cut leave nothing behind', async () => {
    const runs = await Promise.all(Array.from({ length: 20 }, () => gateway.run()))
    const clients = runs.map((run) => gateway.connect(`?job=${run.jobId}`))
    await Promise.all(clients.map((client) => client.opened()))
    for (const client of clients)
      client.send({ op: 'subscribe', jobId: '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11' })
    await Promise.all(clients.slice(0, 10).map((client) => client.next('subscribed')))
    for (const run of runs.slice(0, 10)) await run.settle({ kind: 'completed', result: null })
    for (const client of clients.slice(5)) client.ws.terminate()
    await until(() => gateway.hub.info().sockets === 5)
    await until(() => gateway.hub.info().subscriptions === 0 && gateway.feed.watching === 0)
    expect(gateway.seen('gateway.subscribed')).toHaveLength(gateway.seen('gateway.unsubscribed').length)
  })

  test('a connection that is cut while its job is being read', async () => {
    const run = await gateway.run()
    let open = () => {}
    gateway.feed.gate = new Promise((resolve) => {
      open = resolve
    })
    const client = await gateway.connect(`?job=${run.jobId}`).opened()
    await until(() => gateway.feed.reads.length === 1)
    client.ws.terminate()
    await until(() => gateway.hub.info().sockets === 0)
    open()
    await until(() => gateway.feed.watching === 0)
    expect(gateway.hub.info().subscriptions).toBe(0)
  })
})

test('reads of one tick are one call of the store, equal ones one read', async () => {
  const runs = [await gateway.run(), await gateway.run()]
  const requests = runs.flatMap(({ jobId }) =>
    Array.from({ length: 10 }, () => ({ jobId, after: null, history: false, withJob: true })),
  )
  const results = await Promise.all(requests.map((request) => gateway.hub.read(request)))
  expect(results.every((result) => result?.job !== null)).toBe(true)
  expect(gateway.feed.calls).toBe(1)
  expect(gateway.feed.reads).toHaveLength(2)
})

test('a hub may be stopped twice; stopped, it watches nothing', async () => {
  await gateway.hub.stop()
  await gateway.hub.stop()
  const watcher = { message() {}, lags: () => false, refresh() {}, vanish() {} }
  await expect(gateway.hub.watch('any', watcher)).rejects.toThrow('does not run')
})
