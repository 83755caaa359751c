import { describe, expect } from 'vitest'
import { until } from '../helpers/until.ts'
import { faultTest } from './harness/fault-test.ts'
import { expectUnready } from './harness/faults.ts'

const SLOTS = 4
const TIMES_OUT = { timeoutMs: 200, backoff: { kind: 'fixed', delayMs: 100, maxMs: 100, jitter: 0 } } as const

describe('handlers that hang', () => {
  faultTest(
    'handlers that hang for ever, until all slots hang, under a supervisor',
    {
      on: ['redis', 'sqlite'],
      soak: 50,
      expectedLogs: [/nothing runs in this process any more/],
      // Who watched was told to stay away for up to 15 s.
      healMs: 20_000,
    },
    async (lab) => {
      await lab.start({
        all: 1,
        env: { JOBCAST_CONCURRENCY: String(SLOTS), JOBCAST_HUNG_EXIT_MS: '3000' },
      })
      lab.supervise()
      const { exited } = lab.api
      const hang = { type: 'hang', options: TIMES_OUT }
      const jobIds = await lab.submitMany(SLOTS - 1, hang)
      const attempts = () => Promise.all(jobIds.map(async (jobId) => (await lab.job(jobId)).attempt))
      await until(async () => (await attempts()).every((attempt) => attempt === 2), {
        what: 'every attempt to time out',
      })
      // Their retries take no slot: others run.
      expect(await lab.untilEnded(await lab.submit({ type: 'steps' }))).toMatchObject({ status: 'completed' })
      const begun = (await lab.runs()).filter(({ jobId, what }) => jobIds.includes(jobId) && what === 'begun')
      expect(begun).toHaveLength(SLOTS - 1)

      jobIds.push(await lab.submit(hang))
      await expectUnready(lab, /^nothing runs here any more: all 4 slots are held by .*\(4 of hang\)/)
      expect((await exited).code).toBe(1)
      lab.over()
      for (const jobId of jobIds)
        expect(await lab.untilEnded(jobId)).toMatchObject({ status: 'completed', attempt: 2, stalls: 0 })
    },
  )
})
