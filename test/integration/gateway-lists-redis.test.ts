import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Gateway, openGateway, type TestSocket } from '../helpers/gateway.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/until.ts'

const cli = promisify(execFile)
const PREFIX = 'shared'
let redis: RedisServer
let gateways: Gateway[]
beforeAll(async () => {
  redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
})
afterAll(() => redis.stop())
beforeEach(async () => {
  await redisCommand('FLUSHALL')
  gateways = [await open(), await open()]
})
afterEach(async () => {
  for (const gateway of gateways) {
    await gateway.close()
    expect(gateway.seen('failure')).toEqual([])
  }
})

const open = () =>
  openGateway({
    redisUrl: redis.url,
    prefix: PREFIX,
    hub: { lingerMs: 50, check: { checkMs: 500 } },
    sockets: { listTimes: { everyMs: 50, healMs: 2000 } },
  })

async function redisCommand(...words: string[]): Promise<string> {
  const { stdout } = await cli('redis-cli', ['-p', String(redis.port), ...words])
  return stdout.trim()
}

function pair(): [Gateway, Gateway] {
  const [one, other] = gateways
  if (one === undefined || other === undefined) throw new Error('there are two gateways')
  return [one, other]
}

/** Waits until the client's list has these jobs in this order. */
async function lists(client: TestSocket, jobIds: readonly string[]): Promise<void> {
  const now = () => client.listed().map(({ jobId }) => jobId)
  await until(() => JSON.stringify(now()) === JSON.stringify(jobIds), {
    what: 'the list to have these jobs',
  })
}

async function statusOf(client: TestSocket, status: string): Promise<void> {
  await until(() => client.listed()[0]?.status === status, { what: status })
}

test('what one gateway stores is in the lists of the other', async () => {
  const [here, there] = pair()
  const client = await there.connect().opened()
  await client.watch({ type: 'work', tag: 'red' })
  await here.submit({ tags: ['blue'] })
  const jobId = await here.submit({ tags: ['red', 'large'] })
  await lists(client, [jobId])
  await here.engine.cancel(jobId)
  await statusOf(client, 'cancelled')
  await here.engine.remove(jobId)
  await lists(client, [])
})

test('a job that is handed to an idle worker at once is in the list, and so is its end', async () => {
  const [here, there] = pair()
  const client = await there.connect().opened()
  await client.watch()
  const wait = here.engine.claim({
    claimId: 'claim-1',
    workerId: 'idle',
    limit: 1,
    types: [{ type: 'work', limit: 1 }],
    leaseMs: 60_000,
    waitMs: 5000,
  })
  await until(async () => (await redisCommand('EXISTS', `{${PREFIX}:0}:waiting`)) === '1')
  const jobId = await there.submit()
  await statusOf(client, 'processing')
  const [claim] = await wait
  if (claim === undefined) throw new Error('no job was handed over')
  const { lease } = claim
  const outcome = { kind: 'completed', result: null } as const
  await here.engine.settle({ settlements: [{ jobId, lease, outcome, events: [] }] })
  await statusOf(client, 'completed')
})

test('killed subscriber connections lose nothing for long', async () => {
  const [here, there] = pair()
  const client = await there.connect().opened()
  await client.watch()
  const jobIds: string[] = []
  for (let round = 0; round < 5; round++) {
    await redisCommand('CLIENT', 'KILL', 'TYPE', 'pubsub')
    jobIds.unshift(await here.submit())
  }
  await lists(client, jobIds)
  for (const jobId of jobIds) {
    await redisCommand('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await here.engine.cancel(jobId)
  }
  await until(() => client.listed().every(({ status }) => status === 'cancelled'))
  expect(client.all('list')).toHaveLength(1)
})

test('a wiped store leaves an empty list, which then has what is new', async () => {
  const [here, there] = pair()
  await here.submit()
  const client = await there.connect().opened()
  expect((await client.watch()).jobs).toHaveLength(1)
  await redisCommand('FLUSHALL')
  await lists(client, [])
  const jobId = await here.submit()
  await lists(client, [jobId])
})

test('a restart of the store is a new list with the reason', async () => {
  const [here, there] = pair()
  const jobId = await here.submit()
  const client = await there.connect().opened()
  const before = await client.watch()
  await redis.kill()
  await redis.restart()
  const after = await until(() => client.all('list')[1], { what: 'another list' })
  expect(after).toMatchObject({ reason: 'epoch', jobs: [{ jobId, status: 'queued' }] })
  expect(after.jobs[0]?.cursor).not.toBe(before.jobs[0]?.cursor)
  const newer = await until(() => here.submit())
  await lists(client, [newer, jobId])
})

test('nothing is published of new jobs while nobody watches a list of them', async () => {
  const [here, there] = pair()
  const published = async () => {
    const statistics = await redisCommand('INFO', 'commandstats')
    return Number(/cmdstat_publish:calls=(\d+)/.exec(statistics)?.[1] ?? 0)
  }
  const jobId = await here.submit()
  const client = await there.connect().opened()
  await client.watch({ jobIds: [jobId] })
  const before = await published()
  await here.submit()
  expect(await published()).toBe(before)
  await client.watch()
  await here.submit()
  expect(await published()).toBe(before + 1)
})
