import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Presence } from '../../server/engine/engine.ts'
import { longPoll } from '../../server/gateway/transports/long-poll.ts'
import { openStream } from '../../server/gateway/transports/sse.ts'
import { PollAnswer } from '../../shared/api.ts'
import type { TypePace } from '../../shared/pace.ts'
import { type Gateway, openGateway, QUICK_SWEEP_MS, type TestSocket } from '../helpers/gateway.ts'
import { StreamReader } from '../helpers/stream-reader.ts'
import { until } from '../helpers/until.ts'

const EVERY_MS = 50
const LONG_MS = 15_000

let gateway: Gateway
/** What the workers announce; of no type where none lives. */
let paces: TypePace[]
let types: string[]
beforeEach(async () => {
  paces = []
  types = ['work']
  const presences = async (): Promise<Presence[]> => [
    { id: 'w-1', role: 'worker', info: { types, pace: paces } },
    { id: 'g-1', role: 'gateway', info: {} },
  ]
  gateway = await openGateway({ hub: { lingerMs: 20, placesMs: EVERY_MS, presences } })
})
afterEach(async () => {
  await gateway.close()
  expect(gateway.feed.watching).toBe(0)
  expect(gateway.seen('failure')).toEqual([])
})

const places = (client: TestSocket, jobId: string) =>
  client.all('place').flatMap((frame) => (frame.jobId === jobId ? [frame.place] : []))

async function submitted(amount: number): Promise<string[]> {
  const jobIds: string[] = []
  while (jobIds.length < amount) jobIds.push(await gateway.submit())
  return jobIds
}

/** Waits until places were asked for some more times. */
async function rounds(amount = 3): Promise<void> {
  const before = gateway.feed.placeQuestions.length
  await until(() => gateway.feed.placeQuestions.length >= before + amount, { what: 'places to be asked for' })
}

/** Waits while places would have been asked for several times. */
async function ticks(): Promise<void> {
  let seen = 0
  const offSweep = gateway.hub.onSweep(() => seen++)
  await until(() => seen > (5 * EVERY_MS) / QUICK_SWEEP_MS, { what: 'the hub to sweep' })
  offSweep()
}

describe('over WebSocket', () => {
  test('the place comes after `subscribed`, falls as others are claimed, and ends with the claim', async () => {
    const [, , jobId = ''] = await submitted(3)
    const client = await gateway.connect(`?job=${jobId}`).opened()
    for (const place of [3, 2, 1]) {
      await until(() => places(client, jobId).at(-1) === place, { what: `place ${place}` })
      await gateway.claim()
    }
    const event = await client.next('event')
    expect(event).toMatchObject({ seq: 2, prev: 1, data: { status: 'processing' } })
    const asked = gateway.feed.placeQuestions.length
    await ticks()
    expect(client.frames.map(({ op }) => op)).toEqual([
      ...['hello', 'subscribed', 'place', 'place', 'place', 'event'],
    ])
    expect(client.all('place')).toEqual(
      [3, 2, 1].map((place) => ({ op: 'place', jobId, place, startsAt: null, held: null })),
    )
    expect(gateway.feed.placeQuestions.length).toBe(asked)
  })

  test('a job that comes back to its line is told its place again', async () => {
    const [jobId = ''] = await submitted(2)
    const client = await gateway.connect(`?job=${jobId}`).opened()
    await client.next('place')
    const run = await gateway.claim()
    await client.next('event')
    await run.settle({ kind: 'released' })
    await client.next('place', 2)
    expect(client.frames.map(({ op }) => op)).toEqual([
      ...['hello', 'subscribed', 'place', 'event', 'event', 'place'],
    ])
  })

  test('whoever subscribes again, or resumes, is told at once', async () => {
    const [, jobId = ''] = await submitted(2)
    const client = await gateway.connect(`?job=${jobId}`).opened()
    await client.next('place')
    const { cursor } = await client.next('subscribed')
    await client.subscribe(jobId, { after: cursor })
    expect(await client.next('place', 2)).toMatchObject({ jobId, place: 2 })
  })

  test('one question for all jobs, however many watch each; none where nobody watches a queued one', async () => {
    const jobIds = await submitted(3)
    const run = await gateway.run()
    const clients = await Promise.all([0, 1].map(() => gateway.connect().opened()))
    for (const client of clients) {
      for (const jobId of [...jobIds, run.jobId]) await client.subscribe(jobId)
      await until(() => jobIds.every((jobId) => places(client, jobId).length === 1))
    }
    await rounds()
    const [last = []] = gateway.feed.placeQuestions.slice(-1)
    expect(last.map(({ jobId, type }) => [jobId, type])).toEqual(jobIds.map((jobId) => [jobId, 'work']))
    for (const client of clients) for (const jobId of jobIds) client.send({ op: 'unsubscribe', jobId })
    for (const client of clients) await client.next('unsubscribed', 3)
    const asked = gateway.feed.placeQuestions.length
    await clients[0]?.subscribe(run.jobId)
    await ticks()
    expect(gateway.feed.placeQuestions.length).toBe(asked)
  })

  test('a job that is claimed at once costs no question', async () => {
    const patient = await openGateway({ hub: { placesMs: 10_000 } })
    try {
      const jobId = await patient.submit()
      const client = await patient.connect(`?job=${jobId}`).opened()
      await client.next('subscribed')
      const run = await patient.claim()
      await run.settle({ kind: 'completed', result: null })
      await client.next('end')
      expect(client.all('place')).toEqual([])
      expect(patient.feed.placeQuestions).toEqual([])
    } finally {
      await patient.close()
    }
  })

  test('an unchanged place is not told again', async () => {
    const [, jobId = ''] = await submitted(2)
    const client = await gateway.connect(`?job=${jobId}`).opened()
    await client.next('place')
    await rounds(5)
    expect(places(client, jobId)).toEqual([2])
  })

  test('what holds a job is told, and that nothing does any more', async () => {
    paces = [{ type: 'work', meanMs: 10_000, slots: 1, free: 0, busyMs: [] }]
    types = ['another']
    const [, jobId = ''] = await submitted(2)
    const client = await gateway.connect(`?job=${jobId}`).opened()
    expect(await client.next('place')).toMatchObject({ place: 2, startsAt: null, held: 'no_worker' })
    await gateway.engine.pause('work')
    expect(await client.next('place', 2)).toMatchObject({ place: 2, startsAt: null, held: 'paused' })
    await gateway.engine.resume('work')
    expect(await client.next('place', 3)).toMatchObject({ held: 'no_worker' })
    types = ['another', 'work']
    const { startsAt, held } = await client.next('place', 4)
    expect(held).toBeNull()
    expect(startsAt).not.toBeNull()
    types = []
    expect(await client.next('place', 5)).toMatchObject({ place: 2, startsAt: null, held: 'no_worker' })
  })

  test('an estimate comes from what workers announce, and is null while the type is paused', async () => {
    paces = [{ type: 'work', meanMs: 10_000, slots: 1, free: 0, busyMs: [4000] }]
    const [, jobId = ''] = await submitted(2)
    const client = await gateway.connect(`?job=${jobId}`).opened()
    const { startsAt } = await client.next('place')
    expect(Date.parse(startsAt ?? '') - Date.now()).toBeGreaterThan(14_000)
    expect(Date.parse(startsAt ?? '') - Date.now()).toBeLessThan(16_100)
    await gateway.engine.pause('work')
    expect(await client.next('place', 2)).toMatchObject({ place: 2, startsAt: null })
    await gateway.engine.resume('work')
    expect((await client.next('place', 3)).startsAt).not.toBeNull()
  })

  test('a store that is away costs a place, and no subscription', async () => {
    const [, jobId = ''] = await submitted(2)
    const client = await gateway.connect(`?job=${jobId}`).opened()
    await client.next('place')
    gateway.feed.down = true
    await rounds()
    gateway.feed.down = false
    await gateway.claim()
    expect(await client.next('place', 2)).toMatchObject({ place: 1 })
  })

  test('where too much is unsent a place is left out, and the latest follows', async () => {
    const [, , jobId = ''] = await submitted(3)
    const client = await gateway.connect(`?job=${jobId}`).opened()
    await client.next('place')
    // More than the system keeps for a reader that stands still.
    const large = await gateway.run('x'.repeat(8_000_000))
    client.socket.pause()
    client.send({ op: 'subscribe', jobId: large.jobId })
    await until(() => gateway.hub.info().subscriptions === 2)
    await gateway.claim()
    await rounds()
    await gateway.claim()
    await rounds()
    client.socket.resume()
    await until(() => places(client, jobId).at(-1) === 1, { what: 'the latest place' })
    expect(places(client, jobId)).toEqual([3, 1])
  })
})

describe('over server-sent events', () => {
  test('`place` events without an id, until the job is claimed', async () => {
    const [, jobId = ''] = await submitted(2)
    const answer = await openStream(gateway.hub, { jobId, after: null, history: false, places: true })
    if (answer.kind !== 'stream') throw new Error(`the answer was ${answer.kind}`)
    const reader = new StreamReader(answer.body)
    await until(() => reader.places.length === 1)
    await gateway.claim()
    await until(() => reader.places.length === 2)
    await gateway.claim()
    await reader.next('status')
    expect(reader.places).toEqual([
      { place: 2, startsAt: null, held: null },
      { place: 1, startsAt: null, held: null },
    ])
    await reader.cancel()
  })
})

describe('long-poll', () => {
  async function poll(jobId: string, rest: { after?: string; waitMs?: number; place?: number } = {}) {
    const answer = await longPoll(gateway.hub, { jobId, after: null, waitMs: 0, history: false, ...rest })
    return PollAnswer.parse(answer)
  }

  test('carries the place of a queued job where it is asked for, and of no other', async () => {
    const [, jobId = ''] = await submitted(2)
    expect(Object.keys(await poll(jobId))).not.toContain('queue')
    expect(await poll(jobId, { place: 0 })).toEqual({
      ...(await gateway.engine.get(jobId)),
      ...{ mode: 'snapshot', reason: 'new', events: [], queue: { place: 2, startsAt: null, held: null } },
    })
    const run = await gateway.run()
    expect(Object.keys(await poll(run.jobId, { place: 0 }))).not.toContain('queue')
  })

  test('is answered when the place is another than the caller has', async () => {
    const [, , jobId = ''] = await submitted(3)
    const { cursor: after } = await poll(jobId)
    expect(await poll(jobId, { after, waitMs: LONG_MS, place: 0 })).toMatchObject({ queue: { place: 3 } })
    expect(await poll(jobId, { after, waitMs: LONG_MS, place: 7 })).toMatchObject({ queue: { place: 3 } })
    const held = poll(jobId, { after, waitMs: LONG_MS, place: 3 })
    await until(() => gateway.hub.info().polls === 1)
    await rounds()
    await gateway.claim()
    expect(await held).toMatchObject({ events: [], status: 'queued', queue: { place: 2 } })
    await gateway.claim()
    const claimed = poll(jobId, { after, waitMs: LONG_MS, place: 1 })
    await until(() => gateway.hub.info().polls === 1)
    await gateway.claim()
    const answer = await claimed
    expect(answer).toMatchObject({ status: 'processing', events: [{ kind: 'status' }] })
    expect(Object.keys(answer)).not.toContain('queue')
  })

  test('is answered when what holds the job is another reason than before', async () => {
    const [jobId = ''] = await submitted(1)
    const { cursor: after } = await poll(jobId)
    const waiting = poll(jobId, { after, waitMs: LONG_MS, place: 1 })
    await until(() => gateway.hub.info().polls === 1)
    await rounds()
    await gateway.engine.pause('work')
    expect(await waiting).toMatchObject({ events: [], queue: { place: 1, held: 'paused' } })
  })

  test('waits for events alone where no place was named', async () => {
    const [, , jobId = ''] = await submitted(3)
    const { cursor: after } = await poll(jobId)
    const held = poll(jobId, { after, waitMs: 400 })
    await until(() => gateway.hub.info().polls === 1)
    await gateway.claim()
    const answer = await held
    expect(answer).toMatchObject({ events: [], status: 'queued' })
    expect(Object.keys(answer)).not.toContain('queue')
    expect(gateway.feed.placeQuestions).toEqual([])
  })

  test('has null where the store cannot tell', async () => {
    const [jobId = ''] = await submitted(1)
    const gate = gateway.feed.places
    gateway.feed.places = async () => ({ now: Date.now(), places: [null] })
    expect(await poll(jobId, { place: 0 })).toMatchObject({ status: 'queued', queue: null })
    gateway.feed.places = gate
  })
})
