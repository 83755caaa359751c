import { once } from 'node:events'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Unavailable } from '../../server/engine/errors.ts'
import { openStream, type StreamRequest } from '../../server/gateway/transports/sse.ts'
import { PLANNED_RETRY_MS } from '../../shared/limits.ts'
import { type Gateway, openGateway } from '../helpers/gateway.ts'
import { StreamReader } from '../helpers/stream-reader.ts'
import { startTcpLine } from '../helpers/tcp-line.ts'
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
  test('where there is nothing yet, a ping comes at once, and pings go on', async () => {
    const run = await gateway.run()
    const reader = await stream(run.jobId, { after: await cursorOf(run.jobId), pingMs: 50 })
    expect(await reader.first()).toEqual({ event: 'ping', data: {} })
    await reader.next('ping', 4)
    await reader.cancel()
  })

  test('a ping follows soon, which shows whether anything holds back what comes after the first event', async () => {
    const run = await gateway.run()
    const reader = await stream(run.jobId)
    await reader.next('snapshot')
    const since = performance.now()
    await reader.next('ping')
    expect(performance.now() - since).toBeGreaterThan(500)
    await reader.cancel()
  })

  test('a stream begins with when to come back after a break, whatever a draining process said before', async () => {
    const run = await gateway.run()
    const reader = await stream(run.jobId)
    await reader.next('snapshot')
    expect(reader.retryMs).toBeGreaterThanOrEqual(1000)
    expect(reader.retryMs).toBeLessThanOrEqual(3000)
    await reader.cancel()
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
    const reader = await stream(run.jobId, { expiresAt: Date.now() + 1500 })
    await run.report(line('in time'))
    expect(await reader.next('log')).toMatchObject({ data: { data: { line: 'in time' } } })
    await reader.ended
    expect(reader.events.at(-1)).toEqual({
      event: 'unsubscribed',
      data: { code: 'token_expired', retry: true },
    })
    expect(gateway.hub.info()).toMatchObject({ streams: 0, subscriptions: 0 })
    expect(gateway.seen('gateway.closed')).toEqual([{ transport: 'sse', code: 1000 }])
    const lasting = await stream(run.jobId, { expiresAt: Date.now() + 2 ** 40 })
    await lasting.first()
    await run.settle({ kind: 'completed', result: null })
    await lasting.next('end')
  })

  test('who can come back is asked to, soon, with all that was stored by then; others are left alone', async () => {
    const hub = { lingerMs: 20, streamLifeMs: 400 }
    const short = await openGateway({ hub })
    try {
      const run = await short.run()
      const events = `http://127.0.0.1:${short.port}/api/jobs/${run.jobId}/events`
      const open = async (accept: string, headers: Record<string, string> = {}) => {
        const { body } = await fetch(events, { headers: { accept, ...headers } })
        if (body === null) throw new Error('no stream')
        return new StreamReader(body)
      }
      const [able, unable] = [await open('text/event-stream'), await open('*/*')]
      await run.report(line('one'))
      await able.ended
      expect(able.retryMs).toBeLessThan(PLANNED_RETRY_MS)
      const { id = '' } = await able.next('log')
      const back = await open('text/event-stream', { 'last-event-id': id })
      expect(await back.first()).toEqual({ event: 'ping', data: {} })
      expect(back.retryMs).toBeGreaterThanOrEqual(1000)
      await run.settle({ kind: 'completed', result: null })
      await Promise.all([back.next('end'), unable.next('end')])
      expect(unable.events.filter(({ event }) => event !== 'ping')).toHaveLength(4)
    } finally {
      await short.close()
    }
  })

  test('who was lost on a dead line, or behind a proxy that noticed nothing, is counted no longer than a stream lives', async () => {
    const short = await openGateway({ hub: { lingerMs: 20, streamLifeMs: 500 } })
    const dead = await startTcpLine(() => `http://127.0.0.1:${short.port}`)
    try {
      const run = await short.run()
      const headers = { accept: 'text/event-stream' }
      const bodies = await Promise.all(
        Array.from({ length: 20 }, () => fetch(`${dead.url}/api/jobs/${run.jobId}/events`, { headers })),
      )
      expect(short.hub.info().streams).toBe(20)
      dead.swallow()
      await until(() => short.hub.info().streams === 0)
      expect(short.hub.info().subscriptions).toBe(0)
      await Promise.all(bodies.map(({ body }) => body?.cancel()))
    } finally {
      await dead.close()
      await short.close()
    }
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
      const events = reader.events.filter(({ event }) => event !== 'ping')
      expect(events).toHaveLength(11_003)
      expect(events.at(-3)).toMatchObject({ event: 'log', id: `${gateway.feed.epoch}.11002` })
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
