import { describe, expect } from 'vitest'
import type { JobErrorCode } from '../../shared/codes.ts'
import { until } from '../helpers/until.ts'
import { faultTest } from './harness/fault-test.ts'
import type { Lab } from './harness/lab.ts'

const BOTH = ['redis', 'sqlite'] as const
const ONCE = { maxAttempts: 1 }

/** What a handler begins, and what its job then says. */
const LEFTOVERS: readonly [what: string, error: RegExp][] = [
  ['timer', /^boom$/],
  ['socket', /ECONNREFUSED/],
  ['emitter', /^boom$/],
  ['microtask', /^boom$/],
  ['rejection', /^boom$/],
  ['revoked', /cannot be described/],
]

/** What a handler does with values that throw when they are looked at, or a schema does; and what its job then says. */
const FAILURES: readonly [type: string, how: string, errorCode: JobErrorCode, error: RegExp][] = [
  ['misbehave', 'throwRevoked', 'handler_error', /cannot be described/],
  ['misbehave', 'throwGetters', 'handler_error', /^Error$/],
  ['misbehave', 'returnRevoked', 'unserializable_result', /revoked/],
  ['misbehave', 'throwInToJson', 'unserializable_result', /boom/],
  ['misbehave', 'throwRevokedInToJson', 'unserializable_result', /cannot be described/],
  ['schema-payload-throws', '', 'invalid_payload', /schema failed: boom/],
  ['schema-payload-rejects', '', 'invalid_payload', /schema failed: .*cannot be described/],
  ['schema-payload-never-answers', '', 'timeout', /payload's schema did not answer within 10000 ms/],
  ['schema-result-throws', '', 'invalid_result', /schema failed: boom/],
  ['schema-result-rejects', '', 'invalid_result', /schema failed: .*cannot be described/],
  ['schema-result-never-answers', '', 'timeout', /result's schema had not answered/],
]

/** Runs of 2.5 s that notice when their process does not go on. */
function innocents(lab: Lab): Promise<string[]> {
  return lab.submitMany(3, { type: 'steps', payload: { steps: 50, stepMs: 50 } })
}

async function expectUnharmed(lab: Lab, jobIds: readonly string[]): Promise<void> {
  for (const jobId of jobIds)
    expect(await lab.untilEnded(jobId)).toMatchObject({ status: 'completed', attempt: 1, stalls: 0 })
}

describe('an exception outside the promise of a handler', () => {
  faultTest(
    'a handler whose timer, socket, emitter, microtask or forgotten promise throws, during its run and after it',
    { on: BOTH, expectedLogs: [/"uncaught exception".*data is a Map/] },
    async (lab) => {
      await lab.start({ workers: 3 })
      const pids = lab.nodes.map(({ pid }) => pid)
      const others = await innocents(lab)
      for (const node of lab.nodes) node.forgetLogs()
      for (const [what, error] of LEFTOVERS) {
        const [during, after] = await Promise.all(
          [false, true].map((returns) =>
            lab.submit({ type: 'uncaught', payload: { what, returns }, options: ONCE }),
          ),
        )
        const job = await lab.untilEnded(during ?? '')
        expect(job, what).toMatchObject({ status: 'failed', errorCode: 'uncaught', attempt: 1, stalls: 0 })
        expect(job.error).toMatch(error)
        expect(await lab.untilEnded(after ?? ''), what).toMatchObject({ status: 'completed' })
        const isTold = () =>
          lab.nodes.some(({ logs }) =>
            logs.some(({ stderr }) =>
              stderr.split('\n').some((line) => line.includes(`${after}`) && line.includes('uncaught')),
            ),
          )
        await until(isTold, { what: `a line of the log that names the job whose ${what} threw` })
      }
      await lab.submit({ type: 'uncaught', payload: { what: 'shared', returns: true } })
      const isLogged = () =>
        lab.nodes.some(({ logs }) => logs.some(({ stderr }) => /"uncaught exception".*is a Map/.test(stderr)))
      await until(isLogged, { what: 'a line of the log that says how the context of a run was misused' })
      lab.over()
      await expectUnharmed(lab, others)
      expect(lab.nodes.map(({ pid }) => pid)).toEqual(pids)
    },
  )

  faultTest(
    'a handler whose abort listener throws, at a cancel and at a timeout',
    { on: BOTH },
    async (lab) => {
      await lab.start({ workers: 1, env: { JOBCAST_CONCURRENCY: '1' } })
      const pids = lab.nodes.map(({ pid }) => pid)
      const cancelled = await lab.submit({ type: 'listens-badly' })
      await lab.untilBegun(cancelled)
      await lab.post(`/api/jobs/${cancelled}/cancel`)
      expect(await lab.untilEnded(cancelled)).toMatchObject({ status: 'cancelled', error: null })
      const late = await lab.submit({ type: 'listens-badly', options: { ...ONCE, timeoutMs: 100 } })
      expect(await lab.untilEnded(late)).toMatchObject({ status: 'failed', errorCode: 'timeout' })
      lab.over()
      // The one slot is free.
      const next = await lab.submit({ type: 'steps' })
      expect(await lab.untilEnded(next)).toMatchObject({ status: 'completed' })
      expect(lab.nodes.map(({ pid }) => pid)).toEqual(pids)
    },
  )

  faultTest(
    'a handler that sends its process a SIGTERM, its worker started again',
    // Who watched was told to stay away for up to 15 s.
    { on: BOTH, healMs: 20_000 },
    async (lab) => {
      await lab.start({ workers: 1 })
      lab.supervise()
      const others = await innocents(lab)
      for (const jobId of others) await lab.untilBegun(jobId)
      const options = { maxStalls: 1 }
      const jobId = await lab.submit({ type: 'terminate', payload: { signal: 'SIGTERM' }, options })
      const job = await lab.untilEnded(jobId)
      lab.over()
      expect(job).toMatchObject({ status: 'failed', errorCode: 'stalled', attempt: 1, stalls: 2 })
      // How a run ended is not always noted: its process may be gone first.
      expect((await lab.runs(jobId)).filter(({ what }) => what === 'begun')).toHaveLength(2)
      await expectUnharmed(lab, others)
    },
  )
})

describe('values that throw when they are looked at', () => {
  faultTest(
    'a handler that throws or returns a revoked proxy or throwing getters; schemas that throw, reject or never answer',
    { on: BOTH },
    async (lab) => {
      await lab.start({ workers: 1, env: { JOBCAST_CONCURRENCY: '2' } })
      const pids = lab.nodes.map(({ pid }) => pid)
      const jobs = await Promise.all(
        FAILURES.map(([type, how]) => lab.submit({ type, payload: { how }, options: ONCE })),
      )
      for (const [at, [type, how, errorCode, error]] of FAILURES.entries()) {
        const job = await lab.untilEnded(jobs[at] ?? '')
        expect(job, `${type} ${how}`).toMatchObject({ status: 'failed', errorCode, attempt: 1, stalls: 0 })
        expect(job.error).toMatch(error)
      }
      lab.over()
      const next = await lab.submit({ type: 'steps' })
      expect(await lab.untilEnded(next)).toMatchObject({ status: 'completed' })
      expect(lab.nodes.map(({ pid }) => pid)).toEqual(pids)
    },
  )
})
