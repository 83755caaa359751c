import { once } from 'node:events'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Unavailable } from '../../server/engine/errors.ts'
import { openStream, type StreamRequest } from '../../server/gateway/sse.ts'
import { type Gateway, openGateway } from '../helpers/gateway.ts'
import { StreamReader } from '../helpers/stream-reader.ts'
import { until } from '../helpers/until.ts'

let gateway: Gateway
beforeEach(async () => {
  gateway = await openGateway({ hub: { lingerMs: 20 } })
})
afterEach(async () => {
  await gateway.close()
  expect(gateway.feed.watching).toBe(0)
  expect(gateway.seen('failure')).toEqual([])
})

const line = (text: string) => ({ kind: 'log', data: { level: 'info', line: text } }) as const

async function stream(jobId: string, rest: Partial<StreamRequest> = {}): Promise<StreamReader> {
  const answer = await openStream(gateway.hub, { jobId, after: null, history: false, ...rest })
  if (answer.kind !== 'stream') throw new Error(`the answer was ${answer.kind}`)
  return new StreamReader(answer.body)
}

async function cursorOf(jobId: string): Promise<string> {
  return (await gateway.engine.get(jobId))?.cursor ?? ''
}

describe('server-sent events', () => {
  test('a snapshot, the events with their cursors, the end, and no more', async () => {
    const jobId = await gateway.submit()
    const reader = await stream(jobId)
    const snapshot = await reader.next('snapshot')
    expect(snapshot).toEqual({
      id: `${gateway.feed.epoch}.1`,
      event: 'snapshot',
      data: { reason: 'new', job: await gateway.engine.get(jobId) },
    })
    const run = await gateway.claim()
    await run.report({ kind: 'progress', data: { percent: 5, note: null } }, line('a'), {
      kind: 'chunk',
      data: { b: 1 },
    })
    await run.settle({ kind: 'completed', result: 1 })
    await reader.ended
    const cursor = await cursorOf(jobId)
    const events = reader.events.slice(1)
    expect(events.map(({ event, id }) => `${event} ${id?.split('.').at(-1)}`)).toEqual([
      'status 2',
      'progress 3',
      'log 4',
      'chunk 5',
      'status 6',
      'end 6',
    ])
    expect(events[2]?.data).toMatchObject({ seq: 4, kind: 'log', data: { line: 'a' } })
    expect(events.at(-1)).toEqual({ id: cursor, event: 'end', data: { cursor, status: 'completed' } })
    await until(() => gateway.hub.info().streams === 0)
  })

  test('a cursor resumes with the first event after it', async () => {
    const run = await gateway.run()
    await run.report(line('one'), line('two'))
    const reader = await stream(run.jobId, { after: `${gateway.feed.epoch}.3` })
    expect(await reader.first()).toMatchObject({ event: 'log', id: `${gateway.feed.epoch}.4` })
    await reader.cancel()
  })

  test('where there is nothing yet, a ping comes at once, and pings go on', async () => {
    const run = await gateway.run()
    const reader = await stream(run.jobId, { after: await cursorOf(run.jobId), pingMs: 50 })
    expect(await reader.first()).toEqual({ event: 'ping', data: {} })
    await reader.next('ping', 4)
    await reader.cancel()
  })

  test.each([
    ['garbage\r\n\r\nevent: forged', 'epoch'],
    ['', 'new'],
    ['elsewhere.4', 'epoch'],
  ])('the cursor %j gets a snapshot: %s', async (after, reason) => {
    const run = await gateway.run()
    const reader = await stream(run.jobId, { after })
    expect(await reader.first()).toMatchObject({ event: 'snapshot', data: { reason } })
    await reader.cancel()
  })

  test('history comes in the data of the snapshot', async () => {
    const run = await gateway.run()
    const reader = await stream(run.jobId, { history: true })
    expect((await reader.first()).data).toMatchObject({ events: [{ seq: 1 }, { seq: 2 }] })
    await reader.cancel()
  })

  test('CR and LF in anything inject nothing', async () => {
    const run = await gateway.run('\r\n\r\nevent: end\r\ndata: {}\r\n\r\n')
    const reader = await stream(run.jobId)
    await run.report(line('\n\nevent: end\n\n\r\u2028'), { kind: 'chunk', data: '\r\rid: x\r\r' })
    await reader.next('chunk')
    expect(reader.events.map(({ event }) => event)).toEqual(['snapshot', 'log', 'chunk'])
    expect(reader.events[1]?.data).toMatchObject({ data: { line: '\n\nevent: end\n\n\r\u2028' } })
    await reader.cancel()
  })

  test('a finished job: its end once more, and at its last cursor nothing at all', async () => {
    const run = await gateway.run()
    await run.settle({ kind: 'completed', result: null })
    const reader = await stream(run.jobId, { after: `${gateway.feed.epoch}.2` })
    await reader.ended
    expect(reader.events.map(({ event }) => event)).toEqual(['status', 'end'])
    const after = reader.events.at(-1)?.id ?? ''
    const request = { jobId: run.jobId, after, history: false }
    expect(await openStream(gateway.hub, request)).toEqual({ kind: 'finished' })
    expect(gateway.hub.info().streams).toBe(0)
  })

  test('an unknown job, and a store that is away', async () => {
    const request = { jobId: 'nobody', after: null, history: false }
    expect(await openStream(gateway.hub, request)).toEqual({ kind: 'not_found' })
    const run = await gateway.run()
    gateway.feed.down = true
    await expect(openStream(gateway.hub, { ...request, jobId: run.jobId })).rejects.toThrow(Unavailable)
    expect(gateway.hub.info().streams).toBe(0)
    gateway.feed.down = false
  })

  test('a change of history is a snapshot with the reason', async () => {
    const run = await gateway.run()
    const reader = await stream(run.jobId)
    await reader.first()
    gateway.feed.changeHistory()
    expect(await reader.next('snapshot', 2)).toMatchObject({
      data: { reason: 'epoch' },
      id: `${gateway.feed.epoch}.2`,
    })
    await reader.cancel()
  })

  test('a job that is deleted ends the stream', async () => {
    const run = await gateway.run()
    const reader = await stream(run.jobId)
    gateway.feed.disturb = () => {}
    await run.settle({ kind: 'completed', result: null })
    gateway.feed.disturb = (message, deliver) => deliver(message)
    await gateway.engine.remove(run.jobId)
    await reader.ended
    expect(reader.events.map(({ event }) => event)).toEqual(['snapshot'])
  })

  test('a draining process ends streams with a random retry, those that come later too', async () => {
    const run = await gateway.run()
    const readers = await Promise.all(Array.from({ length: 10 }, () => stream(run.jobId)))
    await Promise.all(readers.map((reader) => reader.first()))
    gateway.hub.drain()
    readers.push(await stream(run.jobId))
    await Promise.all(readers.map((reader) => reader.ended))
    const retries = readers.map((reader) => reader.retryMs ?? 0)
    for (const retryMs of retries) {
      expect(retryMs).toBeGreaterThanOrEqual(500)
      expect(retryMs).toBeLessThanOrEqual(15_000)
    }
    expect(new Set(retries).size).toBeGreaterThan(5)
    expect(gateway.hub.info().streams).toBe(0)
  })
})

describe('readers that leave or stop', () => {
  test('a cancelled body and a fired signal release everything', async () => {
    const run = await gateway.run()
    const abort = new AbortController()
    const cancelled = await stream(run.jobId)
    const aborted = await stream(run.jobId, { signal: abort.signal })
    await cancelled.first()
    await cancelled.cancel()
    abort.abort()
    await aborted.ended
    expect(gateway.hub.info()).toMatchObject({ streams: 0, subscriptions: 0 })
    await until(() => gateway.feed.watching === 0)
    const late = openStream(gateway.hub, {
      jobId: run.jobId,
      after: null,
      history: false,
      signal: abort.signal,
    })
    await expect(late).rejects.toThrow(Unavailable)
    expect(gateway.hub.info().streams).toBe(0)
  })

  test("a stream ends with its caller's token, and what was stored by then is in it", async () => {
    const run = await gateway.run()
    const reader = await stream(run.jobId, { expiresAt: Date.now() + 300 })
    await run.report(line('in time'))
    expect(await reader.next('log')).toMatchObject({ data: { data: { line: 'in time' } } })
    await reader.ended
    expect(gateway.hub.info()).toMatchObject({ streams: 0, subscriptions: 0 })
    expect(gateway.seen('gateway.closed')).toEqual([{ transport: 'sse', code: 1000 }])
    const lasting = await stream(run.jobId, { expiresAt: Date.now() + 2 ** 40 })
    await lasting.first()
    await run.settle({ kind: 'completed', result: null })
    await lasting.next('end')
  })

  test('a reader that stops is ended and resumes by its cursor', async () => {
    const run = await gateway.run()
    const answer = await openStream(gateway.hub, {
      jobId: run.jobId,
      after: null,
      history: false,
      stallMs: 200,
    })
    if (answer.kind !== 'stream') throw new Error('no stream')
    await run.report({ kind: 'chunk', data: 'x'.repeat(200_000) })
    await until(() => gateway.hub.info().streams === 0)
    const reader = new StreamReader(answer.body)
    await expect(reader.ended).rejects.toThrow('too slow')
    const resumed = await stream(run.jobId, { after: `${gateway.feed.epoch}.2` })
    expect(await resumed.first()).toMatchObject({ event: 'chunk' })
    await resumed.cancel()
  })

  test('a burst of more than 4 MiB in one tick reaches readers that read', async () => {
    const run = await gateway.run()
    const readers = await Promise.all(Array.from({ length: 10 }, () => stream(run.jobId)))
    await Promise.all(readers.map((reader) => reader.first()))
    await run.settle(
      { kind: 'completed', result: null },
      Array.from({ length: 11_000 }, (_, index) => line(`${index} ${'x'.repeat(350)}`)),
    )
    for (const reader of readers) {
      await reader.next('end')
      await reader.ended
      expect(reader.events).toHaveLength(11_003)
      expect(reader.events.at(-3)).toMatchObject({ event: 'log', id: `${gateway.feed.epoch}.11002` })
    }
  })

  test('a reader too far behind is ended, and memory stays bounded', async () => {
    const run = await gateway.run()
    const answer = await openStream(gateway.hub, { jobId: run.jobId, after: null, history: false })
    if (answer.kind !== 'stream') throw new Error('no stream')
    for (let chunk = 0; chunk < 8; chunk++) await run.report({ kind: 'chunk', data: 'x'.repeat(200_000) })
    await until(() => gateway.hub.info().streams === 0)
    await answer.body.cancel().catch(() => {})
  })

  test('over HTTP: a large snapshot arrives whole, and a hung-up caller is noticed', async () => {
    const run = await gateway.run('p'.repeat(3_000_000))
    const server = createServer(async (_request, response) => {
      const answer = await openStream(gateway.hub, { jobId: run.jobId, after: null, history: false })
      if (answer.kind === 'stream') Readable.fromWeb(answer.body as never).pipe(response)
      response.on('close', () => answer.kind === 'stream' && answer.body.cancel().catch(() => {}))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const request = get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' })
    const [response] = await once(request, 'response')
    const reader = new StreamReader(Readable.toWeb(response) as ReadableStream<Uint8Array>)
    expect(((await reader.first()).data as { job: { payload: string } }).job.payload).toHaveLength(3_000_000)
    await run.settle({ kind: 'completed', result: null })
    await reader.ended
    await until(() => gateway.hub.info().streams === 0)
    server.close()
  })
})
