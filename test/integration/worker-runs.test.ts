import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createRedisEngine } from '../../server/engine/redis/engine.ts'
import { defineJob } from '../../server/jobs/define-job.ts'
import { UnrecoverableError } from '../../server/jobs/errors.ts'
import { RETAINED_EVENTS } from '../../shared/limits.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/until.ts'
import { gate, type OpenEngine, openSqlite, openWorkbench, type Workbench } from '../helpers/workbench.ts'

const AT_ONCE = { backoff: { kind: 'fixed', delayMs: 0, maxMs: 0, jitter: 0 } } as const

describeRuns('sqlite', () => openSqlite)

describe('redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())
  describeRuns('redis', () => async () => {
    const engine = createRedisEngine({ url: redis.url, prefix: `t-${randomUUID()}` })
    await engine.start()
    return { engine, close: () => engine.stop() }
  })
})

function describeRuns(name: string, open: () => OpenEngine): void {
  describe(`runs on ${name}`, () => {
    let bench: Workbench
    beforeEach(async () => {
      bench = await openWorkbench(open())
    })
    afterEach(() => bench.close())

    test('a handler gets what the schema makes of the payload, and its result is stored', async () => {
      const payload = z.strictObject({ a: z.int(), b: z.int().default(2) })
      await bench.work([defineJob({ type: 'sum', payload, run: ({ a, b }) => ({ sum: a + b }) })])
      const job = await bench.ended(await bench.submit('sum', { a: 40 }))
      expect(job).toMatchObject({ status: 'completed', payload: { a: 40 }, result: { sum: 42 }, error: null })
    })

    test('a handler that returns nothing has null as its result', async () => {
      await bench.work([defineJob({ type: 'nothing', run: () => undefined })])
      expect(await bench.ended(await bench.submit('nothing'))).toMatchObject({
        status: 'completed',
        result: null,
      })
    })

    test('what a handler reports arrives in order, the last progress always', async () => {
      await bench.work([
        defineJob({
          type: 'talk',
          run(_payload, { log, chunk, progress }) {
            log('first')
            progress(10, 'begun')
            chunk({ piece: 1 })
            progress(50)
            log('second', 'warn')
            progress(100, 'done')
          },
        }),
      ])
      const jobId = await bench.submit('talk')
      const job = await bench.ended(jobId)
      expect(job.progress).toEqual({ percent: 100, note: 'done' })
      const reported = (await bench.history(jobId)).filter(({ kind }) => kind !== 'status')
      expect(reported.map(({ kind, data }) => ({ kind, data }))).toEqual([
        { kind: 'log', data: { level: 'info', line: 'first' } },
        { kind: 'chunk', data: { piece: 1 } },
        { kind: 'log', data: { level: 'warn', line: 'second' } },
        { kind: 'progress', data: { percent: 100, note: 'done' } },
      ])
    })

    test('reports are seen while the handler runs', async () => {
      const done = gate()
      await bench.work([
        defineJob({
          type: 'talk',
          async run(_payload, { progress, log }) {
            progress(30, 'a third')
            log('line')
            await done.opened
          },
        }),
      ])
      const jobId = await bench.submit('talk')
      await until(async () => (await bench.job(jobId)).progress?.percent === 30, { what: 'the progress' })
      expect((await bench.history(jobId)).some(({ kind }) => kind === 'log')).toBe(true)
      done.open()
      expect(await bench.ended(jobId)).toMatchObject({ status: 'completed' })
    })

    test('progress in a tight loop is merged to at most 20 a second', async () => {
      let seqBefore = 0
      await bench.work([
        defineJob({
          type: 'busy',
          async run(_payload, { jobId, progress }) {
            seqBefore = (await bench.history(jobId)).at(-1)?.seq ?? 0
            for (let step = 1; step <= 100; step += 1) {
              progress(step)
              await pause(2)
            }
          },
        }),
      ])
      const jobId = await bench.submit('busy')
      const began = performance.now()
      const job = await bench.ended(jobId)
      const seconds = (performance.now() - began) / 1000
      expect(job.progress?.percent).toBe(100)
      const seq = (await bench.history(jobId)).at(-1)?.seq ?? 0
      expect(seq - seqBefore).toBeLessThanOrEqual(Math.ceil(20 * seconds) + 3)
      expect(seq - seqBefore).toBeGreaterThan(3)
    })

    test('a million lines in one loop do not fill the memory; the newest are kept', async () => {
      await bench.work([
        defineJob({
          type: 'chatter',
          run(_payload, { log }) {
            for (let line = 1; line <= 1_000_000; line += 1) log(`line ${line}`)
          },
        }),
      ])
      const jobId = await bench.submit('chatter')
      expect(await bench.ended(jobId)).toMatchObject({ status: 'completed' })
      const lines = (await bench.history(jobId)).flatMap((event) =>
        event.kind === 'log' ? [event.data.line] : [],
      )
      expect(lines).toHaveLength(RETAINED_EVENTS)
      expect(lines.at(-1)).toBe('line 1000000')
    })

    test('a failure is tried again after its delay, and completion clears it', async () => {
      bench.maintain()
      await bench.work([
        defineJob({
          type: 'flaky',
          run(_payload, { attempt }) {
            if (attempt < 3) throw new Error(`attempt ${attempt} failed`)
            return attempt
          },
        }),
      ])
      const jobId = await bench.submit('flaky', {}, AT_ONCE)
      const job = await bench.ended(jobId)
      expect(job).toMatchObject({ status: 'completed', attempt: 3, result: 3, error: null, errorCode: null })
      const errors = (await bench.history(jobId)).flatMap((event) =>
        event.kind === 'status' && typeof event.data.error === 'string' ? [event.data.error] : [],
      )
      expect(errors).toEqual(['attempt 1 failed', 'attempt 2 failed'])
    })

    test('a job fails when no attempt is left, and at once when its error is unrecoverable', async () => {
      bench.maintain()
      await bench.work([
        defineJob({
          type: 'broken',
          run(payload) {
            throw payload === 'for good' ? new UnrecoverableError('for good') : new Error('again')
          },
        }),
      ])
      const again = await bench.submit('broken', 'again', { ...AT_ONCE, maxAttempts: 2 })
      const forGood = await bench.submit('broken', 'for good')
      expect(await bench.ended(again)).toMatchObject({
        status: 'failed',
        attempt: 2,
        error: 'again',
        errorCode: 'handler_error',
      })
      expect(await bench.ended(forGood)).toMatchObject({
        attempt: 1,
        error: 'for good',
        errorCode: 'unrecoverable',
      })
    })

    test('a timeout is settled at once, while the handler keeps its slot until it ends', async () => {
      bench.maintain()
      const stubborn = gate()
      const reasons: string[] = []
      const worker = await bench.work([
        defineJob({
          type: 'slow',
          async run(_payload, { signal }) {
            signal.addEventListener('abort', () => reasons.push(signal.reason.reason))
            await stubborn.opened
            return 'too late'
          },
        }),
      ])
      const jobId = await bench.submit('slow', {}, { timeoutMs: 50, maxAttempts: 1 })
      const job = await bench.ended(jobId)
      expect(job).toMatchObject({ status: 'failed', errorCode: 'timeout', attempt: 1 })
      expect(job.error).toContain('50 ms')
      expect(reasons).toEqual(['timeout'])
      expect(worker.info().running).toBe(1)
      await until(() => bench.emitted.some(({ name }) => name === 'run.overstayed'))
      stubborn.open()
      await until(() => worker.info().running === 0)
      expect((await bench.job(jobId)).status).toBe('failed')
    })

    test('a cancel reaches a running handler well within a second', async () => {
      const started = gate()
      await bench.work([
        defineJob({
          type: 'wait',
          async run(_payload, { signal }) {
            started.open()
            await once(signal, 'abort')
            throw signal.reason
          },
        }),
      ])
      const jobId = await bench.submit('wait')
      await started.opened
      const began = performance.now()
      await bench.engine.cancel(jobId)
      expect(await bench.ended(jobId)).toMatchObject({
        status: 'cancelled',
        error: null,
        errorCode: 'cancelled',
      })
      expect(performance.now() - began).toBeLessThan(4500)
    })

    test('a cancelled handler that returns completes its job; one that goes on is cancelled after the grace', async () => {
      const started = [gate(), gate()]
      const stubborn = gate()
      await bench.work(
        [
          defineJob({
            type: 'polite',
            async run(_payload, { signal }) {
              started[0]?.open()
              await once(signal, 'abort')
              return 'finished all the same'
            },
          }),
          defineJob({
            type: 'stubborn',
            async run() {
              started[1]?.open()
              await stubborn.opened
            },
          }),
        ],
        { cancelGraceMs: 100 },
      )
      const polite = await bench.submit('polite')
      const deaf = await bench.submit('stubborn')
      await Promise.all(started.map(({ opened }) => opened))
      await Promise.all([polite, deaf].map((jobId) => bench.engine.cancel(jobId)))
      expect(await bench.ended(polite)).toMatchObject({
        status: 'completed',
        result: 'finished all the same',
      })
      expect(await bench.ended(deaf)).toMatchObject({ status: 'cancelled' })
      stubborn.open()
    })

    test('limits hold: of the process, and of a type; and every job runs once', async () => {
      const running = { all: 0, few: 0 }
      const most = { all: 0, few: 0 }
      const runs = new Map<string, number>()
      const handler =
        (isFew: boolean) =>
        async (_payload: unknown, { jobId }: { jobId: string }) => {
          runs.set(jobId, (runs.get(jobId) ?? 0) + 1)
          running.all += 1
          if (isFew) running.few += 1
          most.all = Math.max(most.all, running.all)
          most.few = Math.max(most.few, running.few)
          await pause(3)
          running.all -= 1
          if (isFew) running.few -= 1
        }
      await bench.work(
        [
          defineJob({ type: 'few', concurrency: 2, run: handler(true) }),
          defineJob({ type: 'many', run: handler(false) }),
        ],
        { concurrency: 6 },
      )
      const jobIds = await Promise.all(
        Array.from({ length: 60 }, (_, at) => bench.submit(at % 2 === 0 ? 'few' : 'many')),
      )
      for (const jobId of jobIds) expect(await bench.ended(jobId)).toMatchObject({ status: 'completed' })
      expect(most).toEqual({ all: 6, few: 2 })
      expect([...runs.values()]).toEqual(jobIds.map(() => 1))
    })

    test('jobs do not wait behind a long one', async () => {
      const long = gate()
      await bench.work(
        [defineJob({ type: 'mixed', run: (payload) => (payload === 'long' ? long.opened : undefined) })],
        { concurrency: 2 },
      )
      const first = await bench.submit('mixed', 'long')
      const others = await Promise.all(Array.from({ length: 20 }, () => bench.submit('mixed', 'short')))
      for (const jobId of others) expect(await bench.ended(jobId)).toMatchObject({ status: 'completed' })
      expect((await bench.job(first)).status).toBe('processing')
      long.open()
      expect(await bench.ended(first)).toMatchObject({ status: 'completed' })
    })

    test('draining lets a job finish, and gives back what does not, unspent', async () => {
      const started = [gate(), gate()]
      const quick = gate()
      const reasons: string[] = []
      const definitions = [
        defineJob({
          type: 'quick',
          async run() {
            started[0]?.open()
            await quick.opened
            return 'in time'
          },
        }),
        defineJob({
          type: 'endless',
          async run(_payload, { signal }) {
            started[1]?.open()
            await once(signal, 'abort')
            reasons.push(signal.reason.reason)
            throw signal.reason
          },
        }),
      ]
      const worker = await bench.work(definitions)
      const finishes = await bench.submit('quick')
      const goesBack = await bench.submit('endless')
      await Promise.all(started.map(({ opened }) => opened))
      const drained = worker.drain(200)
      const unclaimed = await bench.submit('quick')
      quick.open()
      await drained
      expect(await bench.job(finishes)).toMatchObject({ status: 'completed', result: 'in time' })
      expect(await bench.job(goesBack)).toMatchObject({
        status: 'queued',
        attempt: 1,
        stalls: 0,
        errorCode: null,
      })
      expect(await bench.job(unclaimed)).toMatchObject({ status: 'queued' })
      expect(reasons).toEqual(['released'])
      await worker.stop()
      await worker.stop()
    })

    test('a handler hears at once that its worker drains, and what it reports and returns then counts', async () => {
      const started = [gate(), gate()]
      const heard: string[] = []
      const definitions = [
        defineJob({
          type: 'heeds',
          async run(_payload, { draining, signal, log, progress }) {
            started[0]?.open()
            await once(draining, 'abort')
            log(`told: ${draining.reason.reason}, to stop: ${signal.aborted}`)
            progress(90, 'putting away')
            await pause(20)
            return 'put away'
          },
        }),
        defineJob({
          type: 'goes-on',
          async run(_payload, ctx) {
            started[1]?.open()
            // Asked for only when it has fired.
            while (!ctx.draining.aborted) await pause(5)
            heard.push(`draining, to stop: ${ctx.signal.aborted}`)
            await once(ctx.signal, 'abort')
            heard.push(ctx.signal.reason.reason)
          },
        }),
      ]
      const worker = await bench.work(definitions)
      const heeds = await bench.submit('heeds')
      const goesOn = await bench.submit('goes-on')
      await Promise.all(started.map(({ opened }) => opened))
      await worker.drain(500)
      expect(await bench.job(heeds)).toMatchObject({
        status: 'completed',
        result: 'put away',
        progress: { percent: 90, note: 'putting away' },
      })
      expect(
        (await bench.history(heeds)).flatMap((event) => (event.kind === 'log' ? [event.data] : [])),
      ).toEqual([{ level: 'info', line: 'told: draining, to stop: false' }])
      expect(await bench.job(goesOn)).toMatchObject({ status: 'queued', attempt: 1, stalls: 0 })
      expect(heard).toEqual(['draining, to stop: false', 'released'])
    })

    test('the worker tells how busy it is', async () => {
      const worker = await bench.work([defineJob({ type: 'work', run: () => 1 })], { workerId: 'w-one' })
      expect(worker.info()).toMatchObject({
        id: 'w-one',
        types: ['work'],
        concurrency: 10,
        running: 0,
        runMs: null,
      })
      await bench.ended(await bench.submit('work'))
      await until(() => worker.info().runMs !== null)
      expect(worker.info().ratePerSecond).toBeGreaterThan(0)
      expect(worker.info().waitMs?.p50).toBeGreaterThanOrEqual(0)
    })
  })
}
