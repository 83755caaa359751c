import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import type { ClaimRequest, Engine } from '../../server/engine/engine.ts'
import { OutcomeUnknown, Unavailable } from '../../server/engine/errors.ts'
import { defineJob } from '../../server/jobs/define-job.ts'
import { until } from '../helpers/until.ts'
import { gate, openSqlite, openWorkbench, type Workbench, withVerbs } from '../helpers/workbench.ts'

let bench: Workbench
afterEach(() => bench.close())

async function benchWith(faults: (engine: Engine) => Partial<Engine>): Promise<void> {
  bench = await openWorkbench(openSqlite, (engine) => withVerbs(engine, faults(engine)))
}

const AWAY = new Unavailable('the store is away')
const LOST = new OutcomeUnknown('the answer was lost', [])

const names = () => bench.emitted.map(({ name }) => name)

describe('a worker whose store fails', () => {
  test('sends a settlement again whose answer was lost, and runs what the lost answer brought exactly once', async () => {
    let losses = 3
    const claimIds: (string | undefined)[] = []
    await benchWith((engine) => ({
      async settle(request) {
        claimIds.push(request.next?.claimId)
        const answer = await engine.settle(request)
        losses -= 1
        if (losses >= 0) throw LOST
        return answer
      },
    }))
    const runs: string[] = []
    const [first, second] = [await bench.submit('work'), await bench.submit('work')]
    await bench.work([defineJob({ type: 'work', run: (_payload, { jobId }) => void runs.push(jobId) })], {
      concurrency: 1,
    })
    for (const jobId of [first, second])
      expect(await bench.ended(jobId)).toMatchObject({ status: 'completed' })
    expect(runs).toEqual([first, second])
    expect(new Set(claimIds.slice(0, 4)).size).toBe(1)
    const changes = (await bench.history(first)).filter(
      (event) => event.kind === 'status' && event.data.status === 'completed',
    )
    expect(changes).toHaveLength(1)
    expect(names()).not.toContain('run.lost')
  })

  test('settles in the order in which runs ended what it has to send again', async () => {
    const ends = { first: gate(), second: gate() }
    const sent = gate()
    const refused = gate()
    const calls: string[][] = []
    await benchWith((engine) => ({
      async settle(request) {
        calls.push(request.settlements.map(({ jobId }) => jobId))
        if (calls.length > 1) return engine.settle(request)
        sent.open()
        await refused.opened
        throw AWAY
      },
    }))
    const types = ['first', 'second'] as const
    const jobIds = await Promise.all(types.map((type) => bench.submit(type)))
    const ended = gate()
    const definitions = types.map((type) =>
      defineJob({
        type,
        async run() {
          await ends[type].opened
          if (type === 'second') setImmediate(() => ended.open())
        },
      }),
    )
    await bench.work(definitions)
    ends.first.open()
    await sent.opened
    ends.second.open()
    await ended.opened
    refused.open()
    for (const jobId of jobIds) expect(await bench.ended(jobId)).toMatchObject({ status: 'completed' })
    expect(calls.filter((call) => call.length > 0)).toEqual([jobIds.slice(0, 1), jobIds])
  })

  test('sends a claim again whose answer was lost, and loses no job', async () => {
    let losses = 2
    const requests: ClaimRequest[] = []
    await benchWith((engine) => ({
      async claim(request) {
        const claims = await engine.claim(request)
        if (claims.length > 0) requests.push(request)
        losses -= claims.length > 0 ? 1 : 0
        if (claims.length > 0 && losses >= 0) throw LOST
        return claims
      },
    }))
    const jobIds = await Promise.all([1, 2, 3].map(() => bench.submit('work')))
    await bench.work([defineJob({ type: 'work', run: () => 'done' })])
    for (const jobId of jobIds) {
      expect(await bench.ended(jobId)).toMatchObject({ status: 'completed', stalls: 0, attempt: 1 })
    }
    expect(new Set(requests.map(({ claimId }) => claimId)).size).toBe(1)
  })

  test('waits for a store that is away, and settles what ended meanwhile', async () => {
    let isAway = true
    const calls = { claim: 0 }
    await benchWith((engine) => ({
      async claim(request) {
        calls.claim += 1
        if (isAway) throw AWAY
        return engine.claim(request)
      },
      async settle(request) {
        if (isAway) throw AWAY
        return engine.settle(request)
      },
      async onCancel(workerId, listener) {
        if (isAway) throw AWAY
        return engine.onCancel(workerId, listener)
      },
    }))
    const jobId = await bench.submit('work')
    const ran = gate()
    await bench.work([
      defineJob({
        type: 'work',
        run() {
          isAway = true
          setTimeout(() => {
            isAway = false
          }, 300)
          ran.open()
          return 'kept'
        },
      }),
    ])
    await until(() => calls.claim >= 3, { what: 'some vain claims' })
    expect(calls.claim).toBeLessThan(10)
    isAway = false
    await ran.opened
    expect(await bench.ended(jobId)).toMatchObject({
      status: 'completed',
      result: 'kept',
      attempt: 1,
      stalls: 0,
    })
    expect(names()).not.toContain('failure')
  })

  test('sends reports again that the store did not take', async () => {
    let isAway = true
    await benchWith((engine) => ({
      async report(reports) {
        if (isAway) throw AWAY
        return engine.report(reports)
      },
    }))
    const done = gate()
    const jobId = await bench.submit('talk')
    await bench.work([
      defineJob({
        type: 'talk',
        async run(_payload, { log, progress }) {
          log('one')
          progress(1)
          await pause(60)
          log('two')
          progress(2)
          await done.opened
          log('three')
        },
      }),
    ])
    setTimeout(() => {
      isAway = false
    }, 200)
    const lines = async () =>
      (await bench.history(jobId)).flatMap((event) => (event.kind === 'log' ? [event.data.line] : []))
    await until(async () => (await lines()).length === 2)
    done.open()
    expect(await bench.ended(jobId)).toMatchObject({ progress: { percent: 2 } })
    expect(await lines()).toEqual(['one', 'two', 'three'])
  })

  test('tells a run whose lease cannot be kept, discards its outcome, and another worker finishes the job', async () => {
    let isAway = false
    await benchWith((engine) => ({
      async extend(request) {
        if (isAway) throw AWAY
        return engine.extend(request)
      },
      async settle(request) {
        if (isAway) throw AWAY
        return engine.settle(request)
      },
      async claim(request) {
        if (isAway) throw AWAY
        return engine.claim(request)
      },
    }))
    const started = gate()
    const reasons: string[] = []
    const jobId = await bench.submit('work')
    await bench.work(
      [
        defineJob({
          type: 'work',
          async run(_payload, { signal }) {
            started.open()
            await once(signal, 'abort')
            reasons.push(signal.reason.reason)
            return 'from the one that was cut off'
          },
        }),
      ],
      { leaseMs: 1000 },
    )
    await started.opened
    isAway = true
    await until(() => names().includes('run.lost'), { what: 'the lost lease' })
    expect(reasons).toEqual(['lost'])
    bench.maintain()
    await until(async () => (await bench.job(jobId)).stalls === 1, { what: 'the rescue' })
    const [claim] = await bench.engine.claim({
      claimId: 'another',
      workerId: 'another',
      limit: 1,
      types: [{ type: 'work', limit: 1 }],
      leaseMs: 15_000,
    })
    if (claim === undefined) throw new Error('the job was not there to be claimed')
    isAway = false
    await bench.engine.settle({
      settlements: [
        { jobId, lease: claim.lease, outcome: { kind: 'completed', result: 'from the other' }, events: [] },
      ],
    })
    expect(await bench.ended(jobId)).toMatchObject({ result: 'from the other', attempt: 1, stalls: 1 })
  })

  test('keeps the lease of a run that takes longer than a lease', async () => {
    bench = await openWorkbench(openSqlite)
    bench.maintain()
    const jobId = await bench.submit('long')
    await bench.work([defineJob({ type: 'long', run: () => pause(4500) })], { leaseMs: 3000 })
    expect(await bench.ended(jobId)).toMatchObject({ status: 'completed', stalls: 0 })
    expect(names()).not.toContain('run.lost')
  })

  test('learns of a cancel from the heartbeat where the message was lost', async () => {
    await benchWith(() => ({ onCancel: async () => () => {} }))
    const started = gate()
    const jobId = await bench.submit('work')
    await bench.work(
      [
        defineJob({
          type: 'work',
          async run(_payload, { signal }) {
            started.open()
            await once(signal, 'abort')
            throw signal.reason
          },
        }),
      ],
      { leaseMs: 1000 },
    )
    await started.opened
    await bench.engine.cancel(jobId)
    expect(await bench.ended(jobId)).toMatchObject({ status: 'cancelled' })
  })

  test('gives up only the one settlement that the store cannot take', async () => {
    let poison = ''
    await benchWith((engine) => ({
      async settle(request) {
        if (request.settlements.some(({ jobId }) => jobId === poison)) throw new Error('cannot be stored')
        return engine.settle(request)
      },
    }))
    const jobIds = await Promise.all(Array.from({ length: 8 }, () => bench.submit('work')))
    poison = jobIds[3] ?? ''
    await bench.work([defineJob({ type: 'work', run: () => 1 })])
    for (const jobId of jobIds.filter((id) => id !== poison)) {
      expect(await bench.ended(jobId)).toMatchObject({ status: 'completed' })
    }
    await until(() => names().includes('run.lost'))
    expect((await bench.job(poison)).status).toBe('processing')
    expect(names().filter((name) => name === 'failure').length).toBeLessThan(10)
  })

  test('gives back what a claim brings that was under way when it began to drain', async () => {
    const held = gate()
    const claiming = gate()
    await benchWith((engine) => ({
      async claim(request) {
        const claims = await engine.claim(request)
        claiming.open()
        await held.opened
        return claims
      },
    }))
    const jobId = await bench.submit('work')
    const worker = await bench.work([defineJob({ type: 'work', run: () => 'must not run' })])
    await claiming.opened
    const drained = worker.drain(1000)
    held.open()
    await drained
    expect(await bench.job(jobId)).toMatchObject({ status: 'queued', attempt: 1, stalls: 0 })
  })

  test('does not spin where the store says that there is nothing instead of waiting', async () => {
    let claims = 0
    await benchWith((engine) => ({
      async claim(request) {
        claims += 1
        return engine.claim({ ...request, waitMs: 0 })
      },
    }))
    await bench.work([defineJob({ type: 'work', run: () => 1 })])
    await until(() => claims > 10)
    const [before, since] = [claims, performance.now()]
    await pause(300)
    expect(claims - before).toBeLessThan((performance.now() - since) / 10)
  })
})

describe('many workers on one store', () => {
  test('run every job once and share the work', async () => {
    bench = await openWorkbench(openSqlite)
    const runs = new Map<string, number>()
    const byWorker = new Map<number, number>()
    for (const worker of [1, 2, 3]) {
      await bench.work(
        [
          defineJob({
            type: 'work',
            async run(_payload, { jobId }) {
              runs.set(jobId, (runs.get(jobId) ?? 0) + 1)
              byWorker.set(worker, (byWorker.get(worker) ?? 0) + 1)
              await pause(2)
            },
          }),
        ],
        { concurrency: 4 },
      )
    }
    const jobIds = await Promise.all(Array.from({ length: 150 }, () => bench.submit('work')))
    for (const jobId of jobIds) expect(await bench.ended(jobId)).toMatchObject({ status: 'completed' })
    expect([...runs.values()].every((count) => count === 1)).toBe(true)
    expect(runs.size).toBe(150)
    expect(byWorker.size).toBe(3)
  })
})
