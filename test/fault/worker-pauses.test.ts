import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { until } from '../helpers/until.ts'
import { LEASE_MS } from './harness/deployment.ts'
import { faultTest } from './harness/fault-test.ts'
import { within } from './harness/within.ts'

const BOTH = ['redis', 'sqlite'] as const
const CLOCK = new URL('./harness/clock.mjs', import.meta.url).href
const HOUR_MS = 3_600_000

describe('a worker that stands still', () => {
  faultTest('SIGSTOP for longer than a lease, then SIGCONT', { on: BOTH }, async (lab) => {
    await lab.start({ workers: 2 })
    const jobId = await lab.submit({ type: 'steps', payload: { steps: 60, stepMs: 50 } })
    const worker = await lab.workerOf(jobId)
    worker.freeze()
    await pause(LEASE_MS + 500)
    if (lab.engine === 'redis') await lab.untilEnded(jobId)
    worker.thaw()
    lab.over()
    const job = await lab.untilEnded(jobId)
    expect(job).toMatchObject({ status: 'completed', attempt: 1 })
    const { run } = await lab.untilBegun(jobId)
    const itsEnd = async () =>
      (await lab.runs(jobId)).find((note) => note.run === run && note.what !== 'begun')
    const end = await until(itsEnd, { what: 'the end of the first run' })
    // On the embedded engine nobody else can take the job: whether its own process prolongs the lease first is chance.
    if (lab.engine === 'redis') expect(job.stalls).toBe(1)
    if (job.stalls === 1) expect(end).toMatchObject({ what: 'stopped', reason: 'lost' })
    else expect(job).toMatchObject({ stalls: 0, result: { run } })
  })

  faultTest('SIGSTOP for less than a lease', { on: BOTH }, async (lab) => {
    await lab.start({ workers: 2 })
    const jobId = await lab.submit({ type: 'steps', payload: { steps: 20, stepMs: 50 } })
    const worker = await lab.workerOf(jobId)
    worker.freeze()
    await pause(LEASE_MS * 0.3)
    worker.thaw()
    lab.over()
    expect(await lab.untilEnded(jobId)).toMatchObject({ status: 'completed', attempt: 1, stalls: 0 })
  })

  faultTest('a handler that blocks the event loop for longer than a lease', { on: BOTH }, async (lab) => {
    await lab.start({ workers: 2 })
    const jobId = await lab.submit({ type: 'block', payload: { ms: LEASE_MS + 900 } })
    await lab.untilBegun(jobId)
    const returned = async () => (await lab.runs(jobId)).filter(({ what }) => what === 'returned').length
    const job = await lab.untilEnded(jobId)
    lab.over()
    // On Redis the job goes to another worker meanwhile, and what the blocked one returns is refused. On the embedded
    // engine everything stands still with it: whether its settlement or the look at leases comes first is chance.
    if (lab.engine === 'redis') expect(job.stalls).toBe(1)
    else expect(job.stalls).toBeLessThanOrEqual(1)
    expect(job).toMatchObject({ status: 'completed', attempt: 1 })
    await until(async () => (await returned()) === 1 + job.stalls, {
      timeoutMs: within(10_000),
      what: 'every run to return',
    })
  })
})

describe('a clock that is wrong', () => {
  faultTest('workers whose clocks are an hour ahead and behind', { on: ['redis'] }, async (lab) => {
    await lab.start({
      workers: 2,
      workerEnv: (index) => clock(index === 0 ? HOUR_MS : -HOUR_MS, 'start'),
    })
    const jobIds = await lab.submitMany(10, { type: 'steps', payload: { steps: 40, stepMs: 50 } })
    const delayed = await lab.submit({ type: 'steps', options: { delayMs: 500 } })
    lab.over()
    for (const jobId of [...jobIds, delayed]) {
      const job = await lab.untilEnded(jobId)
      expect(job).toMatchObject({ status: 'completed', attempt: 1, stalls: 0 })
      expect(Math.abs(Date.now() - Date.parse(job.startedAt ?? ''))).toBeLessThan(HOUR_MS / 60)
    }
    const pids = new Set((await lab.runs()).map(({ pid }) => pid))
    expect(pids.size).toBe(2)
  })

  for (const [name, wrongBy] of [
    ['forward', HOUR_MS],
    ['back', -HOUR_MS],
  ] as const) {
    faultTest(`the clock jumps ${name} by an hour under running jobs`, { on: BOTH }, async (lab) => {
      await lab.start({ all: 1, env: clock(wrongBy, 'signal') })
      const jobId = await lab.submit({ type: 'steps', payload: { steps: 40, stepMs: 50 } })
      const worker = await lab.workerOf(jobId)
      process.kill(worker.pid, 'SIGUSR2')
      lab.over()
      const job = await lab.untilEnded(jobId)
      expect(job).toMatchObject({ status: 'completed', attempt: 1, stalls: 0 })
    })
  }
})

function clock(wrongByMs: number, at: 'start' | 'signal'): Record<string, string> {
  return {
    NODE_OPTIONS: `--import=${CLOCK}`,
    JOBCAST_TEST_CLOCK_MS: String(wrongByMs),
    JOBCAST_TEST_CLOCK_AT: at,
  }
}
