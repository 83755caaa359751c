import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openStream } from '../../server/gateway/transports/sse.ts'
import { type Gateway, openGateway } from '../helpers/gateway.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { StreamReader } from '../helpers/stream-reader.ts'
import { until } from '../helpers/until.ts'

const cli = promisify(execFile)
let redis: RedisServer
let gateway: Gateway
beforeAll(async () => {
  redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
})
afterAll(() => redis.stop())
beforeEach(async () => {
  gateway = await openGateway({ redisUrl: redis.url, hub: { lingerMs: 50, check: { checkMs: 1000 } } })
})
afterEach(async () => {
  await gateway.close()
  expect(gateway.seen('failure')).toEqual([])
})

const line = (text: string) => ({ kind: 'log', data: { level: 'info', line: text } }) as const

async function redisCommand(...words: string[]): Promise<void> {
  await cli('redis-cli', ['-p', String(redis.port), ...words])
}

test('subscriber connections that are killed again and again lose nothing', async () => {
  const run = await gateway.run()
  const client = await gateway.connect(`?job=${run.jobId}`).opened()
  await client.next('subscribed')
  for (let round = 0; round < 10; round++) {
    await redisCommand('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await run.report(line(`${round}`), line(`${round} again`))
  }
  await run.settle({ kind: 'completed', result: null })
  await client.next('end')
  expect(client.all('subscribed')).toHaveLength(1)
  expect(client.all('event').map(({ prev, seq }) => [prev, seq])).toEqual(
    Array.from({ length: 21 }, (_, index) => [index + 2, index + 3]),
  )
})

test('a restart of the store is a snapshot with the reason, and goes on', async () => {
  const run = await gateway.run()
  const client = await gateway.connect(`?job=${run.jobId}`).opened()
  const first = await client.next('subscribed')
  await redis.kill()
  await redis.restart()
  const second = await until(() => client.all('subscribed')[1], { what: 'a snapshot' })
  expect(second).toMatchObject({ mode: 'snapshot', reason: 'epoch' })
  expect(second.cursor).not.toBe(first.cursor)
  await run.report(line('after the restart'))
  expect(await client.next('event')).toMatchObject({ kind: 'log', seq: 3, prev: 2 })
})

test('one that stops reading large events is closed with 4001 and resumes by cursor', async () => {
  const run = await gateway.run()
  const slow = await gateway.connect(`?job=${run.jobId}`).opened()
  const fast = await gateway.connect(`?job=${run.jobId}`).opened()
  await slow.next('subscribed')
  await fast.next('subscribed')
  slow.socket.pause()
  const stream = await openStream(gateway.hub, { jobId: run.jobId, after: null, history: false })
  if (stream.kind !== 'stream') throw new Error('no stream')
  let sent = 0
  while (gateway.hub.info().subscriptions > 1) {
    // Slowly enough for what is missed until the verdict to be retained.
    const nextAt = performance.now() + 40
    await run.report({ kind: 'chunk', data: 'x'.repeat(100_000) })
    await fast.next('event', ++sent)
    expect(sent).toBeLessThan(400)
    await until(() => performance.now() >= nextAt)
  }
  slow.socket.resume()
  expect(await slow.closed).toEqual({ code: 4001, reason: 'slow_consumer' })
  expect(slow.all('subscribed')).toHaveLength(1)
  await expect(new StreamReader(stream.body).ended).rejects.toThrow('too slow')
  const last = slow.all('event').at(-1)?.seq ?? 2
  expect(last).toBeLessThan(sent + 2)
  const again = await gateway.connect(`?job=${run.jobId}&after=${gateway.feed.epoch}.${last}`).opened()
  const { mode, events } = await again.next('subscribed')
  expect([mode, events?.at(0)?.seq, events?.at(-1)?.seq]).toEqual(['resume', last + 1, sent + 2])
  expect(fast.all('subscribed')).toHaveLength(1)
})

test('a burst of large events reaches whoever reads', async () => {
  const run = await gateway.run()
  const client = await gateway.connect(`?job=${run.jobId}`).opened()
  await client.next('subscribed')
  const chunks = Array.from({ length: 20 }, () => ({ kind: 'chunk', data: 'x'.repeat(200_000) }) as const)
  await run.report(...chunks)
  await run.settle({ kind: 'completed', result: null })
  await client.next('end')
  expect(client.all('event').map(({ seq }) => seq)).toEqual(
    Array.from({ length: 21 }, (_, index) => index + 3),
  )
  expect(client.all('subscribed')).toHaveLength(1)
})

test('a store that was wiped ends its watchers with not_found', async () => {
  const run = await gateway.run()
  const client = await gateway.connect(`?job=${run.jobId}`).opened()
  await client.next('subscribed')
  await redisCommand('FLUSHALL')
  expect(await client.next('unsubscribed')).toMatchObject({
    jobId: run.jobId,
    code: 'not_found',
    retry: false,
  })
})
