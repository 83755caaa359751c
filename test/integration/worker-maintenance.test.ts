import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Unavailable } from '../../server/engine/errors.ts'
import { createEvents } from '../../server/events.ts'
import { createMaintenance } from '../../server/maintenance/maintenance.ts'
import { DEFAULT_OPTIONS } from '../../shared/options.ts'
import { until } from '../helpers/until.ts'
import { openSqlite, openWorkbench, type Workbench, withVerbs } from '../helpers/workbench.ts'

let bench: Workbench
beforeEach(async () => {
  bench = await openWorkbench(openSqlite)
})
afterEach(() => bench.close())

async function submitLater(delayMs: number, count = 1): Promise<string[]> {
  const job = { type: 'work', payload: {}, policy: DEFAULT_OPTIONS, when: { delayMs } }
  const { jobs } = await bench.engine.submit({ jobs: Array.from({ length: count }, () => job) })
  return jobs.map(({ jobId }) => jobId)
}

async function scheduledTime(jobId: string): Promise<number | undefined> {
  const [first] = await bench.history(jobId)
  return first?.kind === 'status' && first.data.scheduledFor ? Date.parse(first.data.scheduledFor) : undefined
}

const claimOf = (leaseMs: number) =>
  bench.engine.claim({
    claimId: `c-${leaseMs}`,
    workerId: 'w',
    limit: 1,
    types: [{ type: 'work', limit: 1 }],
    leaseMs,
  })

describe('maintenance', () => {
  test.each([1, 50, 200])('promotes a job to the moment, %i ms ahead', async (delayMs) => {
    bench.maintain()
    const late: number[] = []
    for (let n = 0; n < 5; n++) {
      const [jobId = ''] = await submitLater(delayMs)
      const scheduledFor = (await scheduledTime(jobId)) ?? Number.NaN
      await until(async () => (await bench.job(jobId)).status === 'queued', { what: 'the promotion' })
      const promotedAt = Date.parse((await bench.history(jobId)).at(-1)?.at ?? '')
      late.push(promotedAt - scheduledFor)
    }
    // A look now and then would find none of them so soon; a busy machine may be late for most.
    expect(Math.min(...late)).toBeLessThan(20)
    expect(bench.emitted).toContainEqual({ name: 'jobs.promoted', data: { jobs: 1 } })
  })

  test('is told of a time that is nearer than those it knows', async () => {
    bench.maintain()
    await submitLater(60_000)
    await submitLater(30_000)
    const [jobId = ''] = await submitLater(30)
    await until(async () => (await bench.job(jobId)).status === 'queued', { what: 'the promotion' })
  })

  test('promotes more than one call takes without a pause', async () => {
    const jobIds = await submitLater(60, 450)
    bench.maintain()
    await until(async () => (await bench.job(jobIds.at(-1) ?? '')).status === 'queued')
    const counts = (await bench.engine.types()).find(({ type }) => type === 'work')?.counts
    expect(counts).toMatchObject({ scheduled: 0, queued: 450 })
  })

  test('takes back a job whose worker is gone', async () => {
    const jobId = await bench.submit('work')
    await claimOf(100)
    bench.maintain()
    await until(async () => (await bench.job(jobId)).status === 'queued', { what: 'the rescue' })
    expect(await bench.job(jobId)).toMatchObject({ stalls: 1, attempt: 1 })
    expect(bench.emitted).toContainEqual({ name: 'jobs.rescued', data: { jobs: 1 } })
  })

  test('forgets a finished job past its time', async () => {
    const jobId = await bench.submit('work', {}, { retainMs: 100 })
    await bench.engine.cancel(jobId)
    bench.maintain()
    await until(async () => (await bench.engine.get(jobId)) === null, { what: 'the pruning' })
  })

  test('goes on when the store is back, and stops when told', async () => {
    const events = createEvents()
    const failures: unknown[] = []
    events.on('failure', (failure) => failures.push(failure))
    let isAway = true
    let calls = 0
    const engine = withVerbs(bench.engine, {
      async promote(request) {
        calls += 1
        if (isAway) throw new Unavailable('away')
        return bench.engine.promote(request)
      },
    })
    const [jobId = ''] = await submitLater(1)
    const maintenance = createMaintenance({ engine, events })
    maintenance.start()
    maintenance.start()
    await until(() => calls >= 2)
    isAway = false
    await until(async () => (await bench.job(jobId)).status === 'queued')
    await maintenance.stop()
    await maintenance.stop()
    const after = calls
    const [late = ''] = await submitLater(1)
    await expect(until(() => calls > after, { timeoutMs: 600 })).rejects.toThrow('in vain')
    expect((await bench.job(late)).status).toBe('scheduled')
    expect(failures).toEqual([])
  })
})
