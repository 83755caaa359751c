import { describe, expect } from 'vitest'
import { Job } from '../../shared/job.ts'
import { until } from '../helpers/until.ts'
import { faultTest } from './harness/fault-test.ts'
import { amountOf } from './harness/repetitions.ts'
import { within } from './harness/within.ts'

const BOTH = ['redis', 'sqlite'] as const
/** Of a delay and a backoff during which processes are killed. */
const WHILE_MS = 2000
/** By when who only heard of a time has acted. */
const STOOD_IN_FOR_MS = 1500
const QUEUED = amountOf(1000, 300)

describe('a worker that dies', () => {
  faultTest('kill -9 a worker in mid-job', { on: BOTH }, async (lab) => {
    await lab.start({ workers: 2 })
    const jobId = await lab.submit({ type: 'steps', payload: { steps: 60, stepMs: 50 } })
    await lab.submitMany(10, { type: 'steps' })
    const victim = await lab.workerOf(jobId)
    await victim.kill()
    lab.over()
    await victim.restart()
    expect(await lab.untilEnded(jobId)).toMatchObject({ status: 'completed', attempt: 1, stalls: 1 })
  })

  faultTest('kill -9 after the handler returned, before it is settled', { on: BOTH }, async (lab) => {
    await lab.start({ workers: 2 })
    lab.supervise()
    const jobId = await lab.submit({ type: 'deadly', payload: { when: 'returned', deaths: 1 } })
    lab.over()
    expect(await lab.untilEnded(jobId)).toMatchObject({ status: 'completed', attempt: 1, stalls: 1 })
    const notes = (await lab.runs(jobId)).map(({ what }) => what)
    expect(notes).toEqual(['begun', 'returned', 'begun', 'returned'])
  })

  faultTest(
    `kill -9 every worker with ${QUEUED.toLocaleString('en')} jobs queued, then start one`,
    { on: BOTH, healMs: 60_000 },
    async (lab) => {
      await lab.start({ workers: 2 })
      const [first = ''] = await lab.submitBatch(QUEUED, {
        type: 'steps',
        payload: { steps: 1, stepMs: 40, quiet: true },
      })
      const survivor = await lab.workerOf(first)
      await Promise.all(lab.workers.map((worker) => worker.kill()))
      lab.workers.splice(0, lab.workers.length, survivor)
      lab.over()
      await survivor.restart()
    },
  )

  faultTest('a job that kills every worker it meets', { on: BOTH }, async (lab) => {
    await lab.start({ workers: 1 })
    lab.supervise()
    const jobId = await lab.submit({
      type: 'deadly',
      payload: { when: 'started', deaths: 99 },
      options: { maxStalls: 2 },
    })
    const job = await lab.untilEnded(jobId)
    lab.over()
    expect(job).toMatchObject({ status: 'failed', errorCode: 'stalled', attempt: 1, stalls: 3 })
    expect(await lab.runs(jobId)).toHaveLength(3)
  })

  faultTest(
    'kill -9 the process that is at hand when a delay or a backoff is over',
    { on: ['redis'], soak: 50 },
    async (lab) => {
      await lab.start({ apis: 2, workers: 2 })
      const backoff = { kind: 'fixed', delayMs: WHILE_MS, jitter: 0 }
      const failing = await lab.submit({ type: 'fail-once', options: { backoff } })
      const delayed = await lab.submit({ type: 'steps', options: { delayMs: WHILE_MS } })
      const due = await Promise.all([failing, delayed].map((jobId) => lab.untilStatus(jobId, 'scheduled')))
      const victims = [lab.api, await lab.workerOf(failing)]
      await Promise.all(victims.map((node) => node.kill()))
      lab.over()
      const witness = lab.apis.find(({ isAlive }) => isAlive)
      const jobOf = async (jobId: string) => Job.parse((await lab.get(`/api/jobs/${jobId}`, witness)).body)
      for (const { jobId, scheduledFor } of due) {
        const ended = await until(async () => {
          const job = await jobOf(jobId)
          return job.status === 'completed' ? job : null
        })
        const lateMs = Date.parse(ended.startedAt ?? '') - Date.parse(scheduledFor ?? '')
        expect(lateMs).toBeLessThan(within(STOOD_IN_FOR_MS))
      }
      await Promise.all(victims.map((node) => node.restart()))
    },
  )

  faultTest('SIGTERM with running jobs', { on: BOTH }, async (lab) => {
    await lab.start({ workers: 1 })
    const short = await lab.submit({ type: 'steps', payload: { steps: 4, stepMs: 50 } })
    const long = await lab.submit({ type: 'steps', payload: { steps: 60, stepMs: 50 } })
    const worker = await lab.workerOf(short)
    await lab.untilBegun(long)
    expect(await worker.stop()).toBe(0)
    lab.over()
    await worker.restart()
    for (const jobId of [short, long]) {
      expect(await lab.untilEnded(jobId)).toMatchObject({ status: 'completed', attempt: 1, stalls: 0 })
    }
    const begun = async (jobId: string) => (await lab.runs(jobId)).filter(({ what }) => what === 'begun')
    expect(await begun(short)).toHaveLength(1)
    expect(await begun(long)).toHaveLength(2)
  })

  faultTest('a rolling restart under load', { on: ['redis'], soak: 50 }, async (lab) => {
    await lab.start({ all: 2 })
    lab.load()
    await lab.submitMany(4, { type: 'steps', payload: { steps: 100, stepMs: 50 } })
    for (const node of lab.nodes) {
      expect(await node.stop()).toBe(0)
      await node.restart()
    }
    lab.over()
    expect(lab.ledger.refusals).toEqual([])
    const stalled = lab.subscribers.filter(({ job }) => job !== null && job.stalls > 0)
    expect(stalled.map(({ jobId }) => jobId)).toEqual([])
  })
})
