import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, test } from 'vitest'
import type { Engine, NewJob } from '../../server/engine/engine.ts'
import { OutcomeUnknown, Unavailable } from '../../server/engine/errors.ts'
import { createRedisEngine } from '../../server/engine/redis/engine.ts'
import { DEFAULT_OPTIONS } from '../../shared/options.ts'
import { callOf } from '../fault/harness/script-calls.ts'
import { type RedisOptions, type RedisServer, startRedis } from '../helpers/redis.ts'
import { startRedisProxy } from '../helpers/redis-proxy.ts'
import { until } from '../helpers/until.ts'

/** Answers have two seconds; a busy machine may add to that. */
const ANSWER_MS = 5000
/** For a connection to come back. */
const HEAL_MS = 30_000

interface Setup {
  readonly server: RedisServer
  readonly engine: Engine
  /** `down <reason>` and `up <epoch>`, as they were told. */
  readonly told: string[]
  /** Another client, to do things to the server. */
  operator(): Redis
}

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function serve(options: RedisOptions = {}): Promise<RedisServer> {
  const server = await startRedis(options)
  cleanups.push(() => server.stop())
  return server
}

function engineOn(url: string, told: string[] = []): Engine {
  const engine = createRedisEngine({
    url,
    prefix: `test-${randomUUID()}`,
    onDown: (reason) => told.push(`down ${reason}`),
    onUp: (epoch) => told.push(`up ${epoch}`),
  })
  cleanups.push(() => engine.stop())
  return engine
}

async function setUp(
  options: RedisOptions = {},
  address = (server: RedisServer) => server.url,
): Promise<Setup> {
  const server = await serve(options)
  const told: string[] = []
  const engine = engineOn(address(server), told)
  await engine.start()
  return { server, engine, told, operator: () => operatorOf(server) }
}

function operatorOf(server: RedisServer): Redis {
  const operator = new Redis(server.url)
  cleanups.push(() => operator.disconnect())
  return operator
}

const job: NewJob = {
  type: 'work',
  payload: { n: 1 },
  policy: DEFAULT_OPTIONS,
  when: { delayMs: 0 },
}

async function submitOne(engine: Engine): Promise<string> {
  const { jobs } = await engine.submit({ jobs: [job] })
  if (jobs[0] === undefined) throw new Error('there is no receipt')
  return jobs[0].jobId
}

function claimOne(engine: Engine, claimId: string = randomUUID(), waitMs = 0) {
  return engine.claim({
    claimId,
    workerId: 'w',
    limit: 1,
    types: [{ type: 'work', limit: 1 }],
    leaseMs: 60_000,
    waitMs,
  })
}

async function timed(call: () => Promise<unknown>): Promise<{ ms: number; error: unknown }> {
  const started = performance.now()
  const error = await call().then(
    () => null,
    (reason: unknown) => reason,
  )
  return { ms: performance.now() - started, error }
}

const recovered = (engine: Engine) =>
  until(() => engine.check().then(() => true), { timeoutMs: HEAL_MS, what: 'the engine to recover' })

describe('the connection to Redis', () => {
  test('survives kill -9 and restart of the server, says both once, and has another epoch', async () => {
    const { server, engine, told } = await setUp({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
    const jobId = await submitOne(engine)
    const before = engine.feed.epoch
    let resets = 0
    engine.feed.onReset(() => {
      resets += 1
    })
    await server.kill()
    await until(() => told.length === 2, { what: 'the outage to be told' })
    expect(told[1]).toMatch(/^down Redis at 127\.0\.0\.1:\d+ /)
    const { ms, error } = await timed(() => submitOne(engine))
    expect(error).toBeInstanceOf(Unavailable)
    expect(ms).toBeLessThan(ANSWER_MS)
    expect((await timed(() => engine.feed.watch(jobId, () => undefined))).error).toBeInstanceOf(Unavailable)

    await server.restart()
    await recovered(engine)
    expect(engine.feed.epoch).not.toBe(before)
    expect(told).toEqual([`up ${before}`, told[1], `up ${engine.feed.epoch}`])
    await until(() => resets > 0, { timeoutMs: HEAL_MS, what: 'the reset' })
    expect((await claimOne(engine)).map((claim) => claim.jobId)).toEqual([jobId])
    const [read] = await engine.feed.read([
      { jobId, after: { epoch: before, seq: 1 }, history: false, withJob: false },
    ])
    expect(read).toMatchObject({ mode: 'snapshot', reason: 'epoch', epoch: engine.feed.epoch, seq: 2 })
  })

  test('keeps its epoch over a broken connection, and makes progress while connections are killed', async () => {
    const { engine, operator } = await setUp()
    const before = engine.feed.epoch
    const client = operator()
    const kill = async () => {
      // The operator's own connection is one of them.
      await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    }
    const killer = setInterval(() => void kill().catch(() => undefined), 200)
    let completed = 0
    try {
      const started = performance.now()
      while (performance.now() - started < 3000) {
        try {
          await submitOne(engine)
          const [run] = await claimOne(engine)
          if (run === undefined) continue
          const { verdicts } = await engine.settle({
            settlements: [{ ...run, outcome: { kind: 'completed', result: null }, events: [] }],
          })
          expect(verdicts).toEqual(['completed'])
          completed += 1
        } catch (error) {
          expect(error instanceof Unavailable || error instanceof OutcomeUnknown).toBe(true)
          await until(() => engine.check().then(() => true), { timeoutMs: HEAL_MS, what: 'a connection' })
        }
      }
    } finally {
      clearInterval(killer)
    }
    await recovered(engine)
    expect(completed).toBeGreaterThan(10)
    expect(engine.feed.epoch).toBe(before)
    const [types] = await engine.types()
    expect(types?.counts.completed).toBeGreaterThanOrEqual(completed)
  })

  test('answers within its deadline while the server is paused, and no job is stored twice', async () => {
    const { engine, told, operator } = await setUp()
    await submitOne(engine)
    await operator().call('CLIENT', 'PAUSE', '8000', 'ALL')
    const first = await timed(() => submitOne(engine))
    expect(first.error).toBeInstanceOf(OutcomeUnknown)
    expect(first.ms).toBeLessThan(ANSWER_MS)
    const jobIds = first.error instanceof OutcomeUnknown ? first.error.jobIds : []
    expect(jobIds).toHaveLength(1)
    // From now on it is known that nothing answers: nobody waits for it any more, and nothing is sent.
    const second = await timed(() => submitOne(engine))
    expect(second.error).toBeInstanceOf(Unavailable)
    expect(second.ms).toBeLessThan(first.ms / 2)
    expect(told.at(-1)).toMatch(/does not answer/)
    await recovered(engine)
    const { jobs } = await engine.list({ types: [], statuses: [], tags: [], limit: 10, page: null })
    // The submission of unknown outcome is there once or not at all.
    expect(jobs.length).toBeLessThanOrEqual(2)
    expect(new Set(jobs.map(({ jobId }) => jobId)).size).toBe(jobs.length)
    for (const { jobId } of jobs.slice(0, -1)) expect(jobIds).toContain(jobId)
  })

  test('takes an answer that came while this process stood still, and does not call the server away', async () => {
    const { engine, told } = await setUp()
    const jobId = await submitOne(engine)
    const before = told.length
    const asked = engine.get(jobId)
    // What was asked goes out first; the answer comes while nobody can take it.
    await new Promise((resolve) => setImmediate(resolve))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500)
    expect(await asked).toMatchObject({ jobId })
    expect(told).toHaveLength(before)
  })

  test('gives calls that wait for one that hangs an answer in time as well', async () => {
    const { engine, operator } = await setUp()
    await operator().call('CLIENT', 'PAUSE', '8000', 'ALL')
    const calls = await Promise.all([
      ...Array.from({ length: 5 }, () => timed(() => submitOne(engine))),
      ...Array.from({ length: 5 }, () => timed(() => engine.types())),
    ])
    for (const { ms, error } of calls) {
      expect(error instanceof Unavailable || error instanceof OutcomeUnknown).toBe(true)
      expect(ms).toBeLessThan(ANSWER_MS)
    }
  })

  test('stores a submission once that it sends again, because its answer was lost with the connection', async () => {
    let port = 0
    const proxy = await startRedisProxy(() => port)
    cleanups.push(() => proxy.close())
    const { engine } = await setUp({}, (redis) => {
      port = redis.port
      return proxy.url
    })
    // The server has the script by then: what is lost below is the answer to a submission that it has carried out.
    await submitOne(engine)
    const later: NewJob = { ...job, when: { delayMs: 3_600_000 } }
    const isAnswered = async () => {
      const lost = proxy.loseAnswerTo(callOf('submit'))
      const answered = await engine.submit({ jobs: [later] }).then(
        () => true,
        () => false,
      )
      await lost
      await recovered(engine)
      return answered
    }
    let submissions = 1
    // Where a connection takes longer than there is time for an answer, it is not sent again.
    while (!(await isAnswered())) submissions += 1
    const [type] = await engine.types()
    expect(type?.counts).toMatchObject({ scheduled: submissions, queued: 1 })
    const { jobs } = await engine.list({ types: [], statuses: [], tags: [], limit: 200, page: null })
    expect(jobs).toHaveLength(submissions + 1)
  })

  test('does not mind that scripts are flushed', async () => {
    const { engine, operator } = await setUp()
    const client = operator()
    const flusher = setInterval(() => void client.script('FLUSH').catch(() => undefined), 5)
    try {
      for (let n = 0; n < 100; n++) {
        const jobId = await submitOne(engine)
        const [run] = await claimOne(engine)
        expect(run?.jobId).toBe(jobId)
        expect((await engine.cancel(jobId)).ok).toBe(true)
        expect(await engine.get(jobId)).toMatchObject({ status: 'processing', cancelRequested: true })
        if (run === undefined) throw new Error('there is no run')
        await engine.settle({ settlements: [{ ...run, outcome: { kind: 'cancelled' }, events: [] }] })
      }
    } finally {
      clearInterval(flusher)
    }
  })

  test('goes on after FLUSHALL: no zombies, stale runs, new jobs find their workers', async () => {
    const { engine, operator } = await setUp()
    const jobId = await submitOne(engine)
    const [run] = await claimOne(engine)
    if (run === undefined) throw new Error('there is no run')
    const waiting = claimOne(engine, randomUUID(), 1000)
    await operator().flushall()
    expect(await engine.report([{ ...run, events: [{ kind: 'chunk', data: 1 }] }])).toEqual(['stale'])
    expect(await engine.extend({ leases: [run], leaseMs: 1000 })).toEqual(['stale'])
    const settlement = { ...run, outcome: { kind: 'completed', result: null }, events: [] } as const
    expect((await engine.settle({ settlements: [settlement] })).verdicts).toEqual(['stale'])
    expect(await engine.rescue({ limit: 200 })).toEqual({ rescued: 0 })
    expect(await engine.feed.positions([jobId])).toEqual([null])
    expect(await engine.types()).toEqual([])
    // A job of after the flush wakes nobody who waits since before it, and is claimed all the same.
    const next = await submitOne(engine)
    expect((await waiting).map((claim) => claim.jobId)).toEqual([next])
  })

  test('submits nothing when memory is full, and lets runs settle', async () => {
    const { engine, operator } = await setUp()
    const jobIds = [await submitOne(engine), await submitOne(engine)]
    const [run] = await claimOne(engine)
    if (run === undefined) throw new Error('there is no run')
    const client = operator()
    await client.config('SET', 'maxmemory', '1')
    const { error } = await timed(() => submitOne(engine))
    expect(error).toBeInstanceOf(Unavailable)
    expect(String(error)).toMatch(/out of memory/)
    await expect(engine.check()).rejects.toBeInstanceOf(Unavailable)
    expect(await engine.extend({ leases: [run], leaseMs: 60_000 })).toEqual(['held'])
    expect(await engine.report([{ ...run, events: [{ kind: 'chunk', data: 1 }] }])).toEqual(['ok'])
    const settlement = {
      ...run,
      outcome: { kind: 'completed', result: 'x'.repeat(100) },
      events: [],
    } as const
    expect((await engine.settle({ settlements: [settlement] })).verdicts).toEqual(['completed'])
    expect(await engine.cancel(jobIds[1] ?? '')).toMatchObject({ ok: true, job: { status: 'cancelled' } })
    await client.config('SET', 'maxmemory', '0')
    await engine.check()
    await submitOne(engine)
  })

  test('refuses a server that may evict jobs, at start and later', async () => {
    const evicting = await serve({ args: ['--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru'] })
    const { ms, error } = await timed(() => engineOn(evicting.url).start())
    expect(error).toBeInstanceOf(Unavailable)
    expect(String(error)).toMatch(/set maxmemory-policy noeviction$/)
    // No use to wait for what only a person can change.
    expect(ms).toBeLessThan(ANSWER_MS)

    const { engine, operator } = await setUp()
    await operator().config('SET', 'maxmemory-policy', 'volatile-ttl')
    await expect(engine.check()).rejects.toThrow(/noeviction/)
    await operator().config('SET', 'maxmemory-policy', 'noeviction')
    await engine.check()
  })

  test('waits at start for a server that comes up, and gives up in one line without the password', async () => {
    const server = await serve()
    await server.kill()
    const late = engineOn(server.url).start()
    await server.restart()
    await late

    await server.kill()
    const refused = engineOn(`redis://user:s3cret-word@127.0.0.1:${server.port}`)
    const { ms, error } = await timed(() => refused.start())
    expect(error).toBeInstanceOf(Unavailable)
    expect(String(error)).not.toMatch(/\n|s3cret-word/)
    expect(String(error)).toMatch(/REDIS_URL/)
    expect(ms).toBeGreaterThan(3000)
    expect(ms).toBeLessThan(30_000)
  })

  test('takes a password, and says so when it is wrong', async () => {
    const server = await serve({ args: ['--requirepass', 'right-word'] })
    await engineOn(`redis://:right-word@127.0.0.1:${server.port}`).start()
    const { error } = await timed(() => engineOn(`redis://:wrong-word@127.0.0.1:${server.port}`).start())
    expect(error).toBeInstanceOf(Unavailable)
    expect(String(error)).toMatch(/WRONGPASS.*: correct REDIS_URL$/)
    expect(String(error)).not.toMatch(/wrong-word/)
  })

  test('notices half-open connections, resubscribes and says that messages may be lost', async () => {
    let port = 0
    const proxy = await startRedisProxy(() => port)
    cleanups.push(() => proxy.close())
    const { engine } = await setUp({}, (redis) => {
      port = redis.port
      return proxy.url
    })
    const jobId = await submitOne(engine)
    const seqs: number[] = []
    await engine.feed.watch(jobId, (message) => {
      if (message.kind === 'event') seqs.push(message.event.seq)
    })
    let resets = 0
    engine.feed.onReset(() => {
      resets += 1
    })
    proxy.swallow()
    await until(() => resets > 0, { timeoutMs: HEAL_MS, what: 'the reset' })
    await recovered(engine)
    await engine.cancel(jobId)
    await until(() => seqs.length > 0, { what: 'an event over the new connection' })
    expect(seqs).toEqual([2])
  })

  test('ends a wait for work when the subscriber connection breaks, and cancels reach the worker afterwards', async () => {
    const { engine, operator } = await setUp()
    const cancelled: string[] = []
    await engine.onCancel('w', ({ jobId }) => cancelled.push(jobId))
    const started = performance.now()
    const waiting = claimOne(engine, randomUUID(), 30_000)
    const client = operator()
    await until(async () => (await client.keys('*:idle:*')).length === 1, { what: 'the worker to be idle' })
    await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    expect(await waiting).toEqual([])
    expect(performance.now() - started).toBeLessThan(HEAL_MS)
    const jobId = await submitOne(engine)
    await claimOne(engine)
    await engine.cancel(jobId)
    await until(() => cancelled.includes(jobId), { what: 'the cancel request' })
  })
})
