import { Redis } from 'ioredis'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Unavailable } from '../../server/engine/errors.ts'
import { createRedisEngine } from '../../server/engine/redis/engine.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/until.ts'
import { createKit, DEFAULT_POLICY, newJob, present } from './harness.ts'
import { openRedis } from './open-redis.ts'
import { roundOfJobs } from './round-of-jobs.ts'

describe('the redis engine, of its own', () => {
  const cleanups: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })

  async function ownServer(args: string[] = []): Promise<RedisServer> {
    const server = await startRedis({ args })
    cleanups.push(() => server.stop())
    return server
  }

  async function open(url: string, prefix?: string) {
    const store = await openRedis(url, prefix)
    cleanups.push(() => store.close())
    return createKit(store, new Set())
  }

  function operator(url: string): Redis {
    const client = new Redis(url)
    cleanups.push(async () => client.disconnect())
    return client
  }

  test('leaves no key and no entry behind of jobs that were forgotten', async () => {
    const server = await ownServer()
    const kit = await open(server.url)
    const client = operator(server.url)
    await roundOfJobs(kit, 3)
    const before = await lastingKeys(client)
    await roundOfJobs(kit, 12)
    expect(await lastingKeys(client)).toEqual(before)
    // A claim is remembered for as long as it may be sent again; then that goes too.
    await until(async () => (await client.dbsize()) === Object.keys(before).length, {
      what: 'the last keys to expire',
      intervalMs: 50,
    })
    expect(await lastingKeys(client)).toEqual(before)
  })

  test('believes a registration for 30 days, and then again once it is said again', async () => {
    const server = await ownServer()
    const kit = await open(server.url, 'old')
    const client = operator(server.url)
    const registrations = ['away', 'here'].map((type) => ({
      type,
      policy: DEFAULT_POLICY,
      payloadSchema: null,
    }))
    await kit.raw.registerTypes(registrations)
    const known = async () =>
      (await kit.raw.types()).flatMap(({ type, registration }) => (registration === null ? [] : type))
    const age = (type: string, days: number) =>
      client.hset('{old:0}:registered', type, Date.now() - days * 24 * 3_600_000)
    await age('away', 29)
    expect(await known()).toEqual(['away', 'here'])
    await age('away', 31)
    await age('here', 31)
    expect(await known()).toEqual([])
    expect((await kit.raw.types()).map(({ isOutdated }) => isOutdated)).toEqual([true, true])
    await kit.raw.registerTypes(registrations.filter(({ type }) => type === 'here'))
    expect(await known()).toEqual(['here'])
    // As of an older version, which noted no times.
    await client.hdel('{old:0}:registered', 'away')
    expect(await known()).toEqual(['away', 'here'])
    await kit.raw.registerTypes(registrations.filter(({ type }) => type === 'here'))
    expect(Number(await client.hget('{old:0}:registered', 'away'))).toBeGreaterThan(Date.now() - 60_000)
  })

  test('forgets the workers that ran the same types once none of them has been heard of for ten minutes', async () => {
    const server = await ownServer()
    const kit = await open(server.url, 'old')
    const client = operator(server.url)
    const pools = '{old:0}:pools'
    await kit.claim({ workerId: 'gone', types: { rare: 1, work: 1 } })
    const [pool] = await client.hkeys(pools)
    await kit.claim({ workerId: 'here', types: { work: 1 } })
    const age = (seconds: number) => client.hset(pools, pool ?? '', Date.now() - seconds * 1000)
    await age(590)
    await kit.raw.prune({ limit: 1 })
    expect(await client.hkeys(pools)).toContain(pool)
    await age(610)
    await kit.raw.prune({ limit: 1 })
    expect(await client.hkeys(pools)).toHaveLength(1)
    const keys = await client.keys(`*:${pool}`)
    expect(keys).toEqual([])
    const routes = Object.values(await client.hgetall('{old:0}:routes'))
    expect(routes.some((route) => route.includes(pool ?? '?'))).toBe(false)
    // Whoever comes back is known again, and a job finds it.
    const jobId = await kit.submit({ type: 'rare' })
    const [claim] = await kit.claim({ workerId: 'gone', types: { rare: 1, work: 1 } })
    expect(claim?.jobId).toBe(jobId)
  })

  test('touches no key for ids that are none', async () => {
    const server = await ownServer()
    const kit = await open(server.url)
    const client = operator(server.url)
    const before = await client.dbsize()
    for (const jobId of ['', '*', '{jobcast:0}', `${'a'.repeat(64)}`, '\u0000', '../x']) {
      await kit.raw.get(jobId)
      await kit.raw.cancel(jobId)
      await kit.raw.retry(jobId)
      await kit.raw.remove(jobId)
      await kit.raw.report([{ jobId, lease: 'x', events: [{ kind: 'chunk', data: 1 }] }])
      await kit.raw.feed.positions([jobId])
    }
    expect(await client.dbsize()).toBe(before)
  })

  test('keeps prefixes apart', async () => {
    const { url } = await ownServer()
    const [one, two] = [await open(url, 'p'), await open(url, 'p:q')]
    const jobId = await one.submit()
    expect(await two.raw.get(jobId)).toBeNull()
    expect(await two.claim()).toEqual([])
    expect(await two.raw.types()).toEqual([])
    expect(await two.raw.secret('s', 'two')).toBe('two')
    expect(await one.raw.secret('s', 'one')).toBe('one')
  })

  test('goes on when the scripts are flushed', async () => {
    const server = await ownServer()
    const kit = await open(server.url)
    const client = operator(server.url)
    for (let round = 0; round < 5; round++) {
      await client.script('FLUSH')
      await kit.submit()
      await client.script('FLUSH')
      expect(await kit.settle(await kit.claimOne(), { kind: 'completed', result: 1 })).toBe('completed')
    }
  })

  test('says that messages may be lost when the subscriber connection breaks, and listens again', async () => {
    const server = await ownServer()
    const kit = await open(server.url)
    const client = operator(server.url)
    const jobId = await kit.submit()
    const seqs: number[] = []
    let resets = 0
    kit.raw.feed.onReset(() => {
      resets += 1
    })
    await kit.raw.feed.watch(jobId, (message) => {
      if (message.kind === 'event') seqs.push(message.event.seq)
    })
    await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await until(() => resets > 0, { what: 'the reset' })
    await kit.engine.cancel(jobId)
    await until(() => seqs.length > 0, { what: 'an event over the new connection' })
    expect(seqs).toEqual([2])
  })

  test('goes on listening where somebody comes back in the moment in which nobody would have been waited for any more', async () => {
    const server = await ownServer()
    const kit = await open(server.url)
    const jobId = await kit.submit()
    const seqs: number[] = []
    const watch = () =>
      kit.raw.feed.watch(jobId, (message) => {
        if (message.kind === 'event') seqs.push(message.event.seq)
      })
    const stop = await watch()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    stop()
    vi.advanceTimersByTime(2000)
    const back = watch()
    vi.useRealTimers()
    await back
    await kit.raw.check()
    await kit.engine.cancel(jobId)
    await until(() => seqs.length > 0, { what: 'the event' })
    expect(seqs).toEqual([2])
  })

  test('rejects within two seconds while the store is away, and recovers with another epoch', async () => {
    const server = await ownServer()
    const kit = await open(server.url)
    const { raw } = kit
    const jobId = await kit.submit()
    const before = raw.feed.epoch
    let resets = 0
    raw.feed.onReset(() => {
      resets += 1
    })
    await server.kill()
    const calls: (() => Promise<unknown>)[] = [
      () => raw.check(),
      () => raw.submit({ jobs: [newJob()] }),
      () => raw.get(jobId),
      () => raw.cancel(jobId),
      () => raw.types(),
      () => raw.feed.read([{ jobId, after: null, history: false, withJob: false }]),
    ]
    // Whoever calls while the connection breaks may not know what became of it; after that it is known.
    await until(async () => (await raw.check().catch((error: unknown) => error)) instanceof Unavailable)
    for (const call of calls) {
      const started = performance.now()
      await expect(call()).rejects.toBeInstanceOf(Unavailable)
      expect(performance.now() - started).toBeLessThan(8000)
    }
    await server.restart()
    await until(() => raw.check().then(() => true), { what: 'the engine to recover' })
    await until(() => resets > 0, { what: 'the reset' })
    expect(raw.feed.epoch).not.toBe(before)
    const again = present((await raw.submit({ jobs: [newJob()] })).jobs[0], 'receipt').jobId
    const [read] = await raw.feed.read([
      { jobId: again, after: { epoch: before, seq: 1 }, history: false, withJob: false },
    ])
    expect(read).toMatchObject({ mode: 'snapshot', reason: 'epoch', epoch: raw.feed.epoch })
    expect(await raw.get(jobId)).toBeNull()
  })

  test('refuses a store that may evict jobs', async () => {
    const server = await ownServer(['--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru'])
    const engine = createRedisEngine({ url: server.url, prefix: 'p' })
    cleanups.push(() => engine.stop())
    await expect(engine.start()).rejects.toThrow(/noeviction/)
  })

  test('says in one line, without the password, that it cannot reach the store', async () => {
    const server = await ownServer()
    await server.kill()
    const engine = createRedisEngine({ url: `redis://:s3cret-word@127.0.0.1:${server.port}`, prefix: 'p' })
    cleanups.push(() => engine.stop())
    const started = performance.now()
    const refusal = await engine.start().catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(Unavailable)
    expect(performance.now() - started).toBeLessThan(30_000)
    expect(String(refusal)).not.toMatch(/\n|s3cret-word/)
  })
})

/** Every key that does not go away by itself within seconds, with the number of its entries. */
async function lastingKeys(client: Redis): Promise<Record<string, number>> {
  const keys: Record<string, number> = {}
  for (const key of (await client.keys('*')).sort()) {
    const type = await client.type(key)
    const ttl = await client.pttl(key)
    if (type !== 'none' && (ttl === -1 || ttl > 5000)) keys[key] = await entriesOf(client, key, type)
  }
  return keys
}

function entriesOf(client: Redis, key: string, type: string): Promise<number> {
  if (type === 'hash') return client.hlen(key)
  if (type === 'zset') return client.zcard(key)
  if (type === 'set') return client.scard(key)
  if (type === 'stream') return client.xlen(key)
  // Tokens of a wake-up list outlive the jobs that they told of; that they are bounded is what counts.
  if (type === 'list') return Promise.resolve(0)
  return client.strlen(key)
}
