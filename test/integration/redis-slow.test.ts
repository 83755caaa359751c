import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, test } from 'vitest'
import type { Claim, Engine } from '../../server/engine/engine.ts'
import { OutcomeUnknown, Unavailable } from '../../server/engine/errors.ts'
import { createRedisEngine } from '../../server/engine/redis/engine.ts'
import { newJob, present } from '../conformance/harness.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { type RedisProxy, startRedisProxy } from '../helpers/redis-proxy.ts'
import { until } from '../helpers/until.ts'

/** What 8 MiB take at 5 MB/s is more than a command has time for where nothing comes. */
const BYTES_PER_SECOND = 5_000_000
const TEXT = 'x'.repeat(8 * 1024 * 1024)
/** Answers have two seconds; a busy machine may add to that. */
const ANSWER_MS = 5000

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Setup {
  readonly server: RedisServer
  readonly proxy: RedisProxy
  readonly engine: Engine
  /** On the same store, past the slow network. */
  readonly near: Engine
  readonly told: string[]
}

async function setUp(): Promise<Setup> {
  const server = await startRedis()
  cleanups.push(() => server.stop())
  const proxy = await startRedisProxy(() => server.port)
  cleanups.push(() => proxy.close())
  const told: string[] = []
  const prefix = `test-${randomUUID()}`
  const engine = createRedisEngine({ url: proxy.url, prefix, onDown: (reason) => told.push(reason) })
  const near = createRedisEngine({ url: server.url, prefix })
  for (const one of [engine, near]) {
    cleanups.push(() => one.stop())
    await one.start()
  }
  proxy.bytesPerSecond = BYTES_PER_SECOND
  return { server, proxy, engine, near, told }
}

const submit = async (engine: Engine, payload: string | null, type = 'work') =>
  present((await engine.submit({ jobs: [newJob({ type, payload })] })).jobs[0], 'a job').jobId

const claim = (engine: Engine, type = 'work', leaseMs = 60_000): Promise<Claim[]> =>
  engine.claim({
    claimId: randomUUID(),
    workerId: 'w',
    limit: 1,
    types: [{ type, limit: 1 }],
    leaseMs,
  })

async function timed<T>(call: Promise<T>): Promise<{ ms: number; answer: T }> {
  const began = performance.now()
  const answer = await call
  return { ms: performance.now() - began, answer }
}

/** Small calls of every kind again and again, until the large one is through; what four of them take, the median in ms. */
async function smallCallsBeside(engine: Engine, large: Promise<unknown>): Promise<number> {
  let isOver = false
  const times: number[] = []
  const over = large.finally(() => {
    isOver = true
  })
  while (!isOver) {
    const { ms } = await timed(
      submit(engine, null, 'small').then(async (jobId) => {
        expect(await engine.get(jobId)).toMatchObject({ status: 'queued' })
        const [run] = await claim(engine, 'small')
        const outcome = { kind: 'completed', result: null } as const
        await engine.settle({ settlements: [{ ...present(run, 'a run'), outcome, events: [] }] })
      }),
    )
    times.push(ms)
  }
  await over
  return times.sort((one, other) => one - other)[times.length >> 1] ?? Number.POSITIVE_INFINITY
}

describe('a slow network before Redis', () => {
  test('large jobs are stored, read, listed, claimed and settled, late, and nothing waits for them', async () => {
    const { engine, told } = await setUp()
    await submit(engine, null, 'small')
    const large: [string, () => Promise<unknown>][] = [
      ['a submission', () => submit(engine, TEXT)],
      [
        'a reading',
        async () => {
          const { jobs } = await engine.list({
            types: ['work'],
            statuses: [],
            tags: [],
            limit: 1,
            page: null,
          })
          expect(jobs[0]?.payload).toBe(TEXT)
        },
      ],
      [
        'a claim',
        async () => {
          const [run] = await claim(engine)
          expect(run?.payload).toBe(TEXT)
          const outcome = { kind: 'completed', result: TEXT } as const
          const settled = engine.settle({ settlements: [{ ...present(run, 'a run'), outcome, events: [] }] })
          expect((await timed(settled)).ms).toBeGreaterThan(1500)
          expect((await settled).verdicts).toEqual(['completed'])
        },
      ],
    ]
    for (const [what, call] of large) {
      const { ms, answer } = await timed(smallCallsBeside(engine, call()))
      expect(ms, what).toBeGreaterThan(1500)
      // On its connection each of the four would wait for it.
      expect(answer, `calls beside ${what}`).toBeLessThan(ms / 2)
    }
    expect(told).toEqual([])
  })

  test.each(['reading', 'submitting'])(
    'a server that stands still while %s is away within two seconds',
    async (what) => {
      const { engine, near, server, told, proxy } = await setUp()
      const jobId = await submit(near, TEXT)
      const before = proxy.paced
      const call = timed(
        (what === 'reading' ? engine.get(jobId) : submit(engine, TEXT)).catch((error: unknown) => error),
      )
      // Once part of it is through, and the rest will not come.
      await until(() => proxy.paced - before > TEXT.length / 4, { what: 'a quarter of it', intervalMs: 5 })
      process.kill(server.pid, 'SIGSTOP')
      const operator = new Redis(server.url, { lazyConnect: true })
      cleanups.push(() => operator.disconnect())
      const stoppedAt = performance.now()
      const [{ answer }, small] = await Promise.all([
        call,
        timed(submit(engine, null).catch((error: unknown) => error)),
      ])
      // What the server has sent before is on its way through the proxy for a while.
      if (what === 'submitting')
        expect(answer instanceof Unavailable || answer instanceof OutcomeUnknown).toBe(true)
      expect(small.answer instanceof Unavailable || small.answer instanceof OutcomeUnknown).toBe(true)
      expect(small.ms).toBeLessThan(ANSWER_MS)
      expect(performance.now() - stoppedAt).toBeLessThan(ANSWER_MS)
      expect(told).toHaveLength(1)
      process.kill(server.pid, 'SIGCONT')
      await until(() => engine.check().then(() => true), { what: 'the engine to recover' })
      expect(await engine.get(jobId)).toMatchObject({ payload: TEXT })
    },
  )

  test('a lease is kept while the payload is on its way, for longer than it lasts', async () => {
    const { engine, near, proxy } = await setUp()
    const jobId = await submit(near, TEXT)
    proxy.bytesPerSecond = 2_400_000
    const leaseMs = 3000
    const { ms, answer } = await timed(claim(engine, 'work', leaseMs))
    const run = present(answer[0], 'a run')
    expect(run).toMatchObject({ jobId, attempt: 1, stalls: 0 })
    expect(ms).toBeGreaterThan(leaseMs)
    // Whoever keeps it from now on knows from when it counts.
    expect(present(run.leasedAt, 'a time')).toBeGreaterThan(performance.now() - leaseMs)
    expect(await engine.rescue({ limit: 10 })).toMatchObject({ rescued: 0 })
    expect(await engine.extend({ leases: [run], leaseMs: 60_000 })).toEqual(['held'])
    expect(await engine.get(jobId)).toMatchObject({ status: 'processing', stalls: 0 })
  })

  test('bytes that come keep an answer waited for, on the connection for everything, too', async () => {
    const { engine, near, told } = await setUp()
    const jobIds = await Promise.all(Array.from({ length: 40 }, () => submit(near, 'y'.repeat(250_000))))
    const { ms, answer } = await timed(
      engine.feed.read(jobIds.map((jobId) => ({ jobId, after: null, history: false, withJob: true }))),
    )
    expect(ms).toBeGreaterThan(1600)
    expect(answer.every((read) => read?.job !== null)).toBe(true)
    expect(told).toEqual([])
  })
})
