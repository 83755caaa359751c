import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Gateway, openGateway } from '../helpers/gateway.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
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

test('a restart of the store is a snapshot with the reason, and goes on', { timeout: 60_000 }, async () => {
  const run = await gateway.run()
  const client = await gateway.connect(`?job=${run.jobId}`).opened()
  const first = await client.next('subscribed')
  await redis.kill()
  await redis.restart()
  const second = await until(() => client.all('subscribed')[1], { timeoutMs: 15_000, what: 'a snapshot' })
  expect(second).toMatchObject({ mode: 'snapshot', reason: 'epoch' })
  expect(second.cursor).not.toBe(first.cursor)
  await run.report(line('after the restart'))
  expect(await client.next('event')).toMatchObject({ kind: 'log', seq: 3, prev: 2 })
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
