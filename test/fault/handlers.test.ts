import { describe, expect } from 'vitest'
import type { JobErrorCode } from '../../shared/codes.ts'
import { faultTest } from './harness/fault-test.ts'
import type { Lab } from './harness/lab.ts'

const BOTH = ['redis', 'sqlite'] as const
/** Nothing is to be taken back where no process dies, however busy the machine is. */
const KEPT = { JOBCAST_LEASE_MS: '60000' }
const MAX_BYTES = { ...KEPT, JOBCAST_MAX_BYTES: String(1024 * 1024) }

/** What a handler does, and what its job says then. */
const FAILURES: readonly [how: string, errorCode: JobErrorCode, error: RegExp][] = [
  ['throwString', 'handler_error', /^plain words$/],
  ['rejectWithNothing', 'handler_error', /threw undefined/],
  ['returnCircular', 'unserializable_result', /circular/],
  ['returnBigInt', 'unserializable_result', /is a bigint/],
  ['returnTwoMebibytes', 'result_too_large', /2097154 bytes/],
]

const FORGOTTEN: (typeof FAILURES)[number] = ['leaveRejection', 'uncaught', /^a forgotten promise$/]

/** Only an isolated handler survives these in one attempt. */
const DEADLY: typeof FAILURES = [
  ['exit', 'handler_error', /exit code 7/],
  ['leaveRejection', 'uncaught', /^a forgotten promise$/],
  ['fillHeap', 'handler_error', /out of memory/],
  ['block', 'timeout', /longer than its timeout/],
]

/** What a handler in a thread leaves behind when it returns. */
const LEFTOVERS = ['leaveTimer', 'leaveLateRejection', 'leaveExit', 'leaveHoard', 'leaveChanges']

const ONCE = { maxAttempts: 1 }

/** Whatever a handler did, its worker goes on: the same process takes the next job. */
async function workerLives(lab: Lab, pids: readonly number[]): Promise<void> {
  const jobId = await lab.submit({ type: 'steps' })
  expect(await lab.untilEnded(jobId)).toMatchObject({ status: 'completed' })
  expect(lab.nodes.map(({ pid }) => pid)).toEqual(pids)
}

describe('a handler that misbehaves', () => {
  faultTest(
    'a handler in a thread: bad results, exit, rejection, full heap, endless loop',
    { on: BOTH },
    async (lab) => {
      await lab.start({ all: 1, env: MAX_BYTES })
      const pids = lab.nodes.map(({ pid }) => pid)
      for (const [how, errorCode, error] of [...FAILURES, ...DEADLY]) {
        const options = how === 'block' ? { ...ONCE, timeoutMs: 300 } : ONCE
        const jobId = await lab.submit({ type: 'isolated', payload: { how }, options })
        const job = await lab.untilEnded(jobId)
        expect(job, how).toMatchObject({ status: 'failed', errorCode, attempt: 1, stalls: 0 })
        expect(job.error).toMatch(error)
      }
      lab.over()
      await workerLives(lab, pids)
    },
  )

  faultTest(
    'a handler in a thread leaves a timer, a rejection, an exit, 200 MB or changed globals behind',
    { on: BOTH, expectedLogs: [/"where":"the thread of job [^"]+, after its end"/] },
    async (lab) => {
      // Both types in turns, one job at a time: what one leaves behind, the next would find.
      await lab.start({ all: 1, env: { ...KEPT, JOBCAST_CONCURRENCY: '1' } })
      const pids = lab.nodes.map(({ pid }) => pid)
      const jobIds = new Map<string, string>()
      for (const how of LEFTOVERS) {
        jobIds.set(await lab.submit({ type: 'isolated', payload: { how }, options: ONCE }), how)
        for (const type of ['isolated', 'isolated-too'])
          jobIds.set(await lab.submit({ type, payload: { how: 'look' }, options: ONCE }), 'look')
        jobIds.set(await lab.submit({ type: 'isolated-too', payload: { how }, options: ONCE }), how)
      }
      for (const [jobId, how] of jobIds) {
        const job = await lab.untilEnded(jobId)
        expect(job, how).toMatchObject({ status: 'completed', attempt: 1, stalls: 0 })
        if (how === 'look') expect(job.result).toEqual({ json: '[1]' })
      }
      lab.over()
      await workerLives(lab, pids)
    },
  )

  faultTest('a handler in process: bad results, a forgotten rejection', { on: BOTH }, async (lab) => {
    await lab.start({ all: 1, env: MAX_BYTES })
    const pids = lab.nodes.map(({ pid }) => pid)
    for (const [how, errorCode, error] of [...FAILURES, FORGOTTEN]) {
      const jobId = await lab.submit({ type: 'misbehave', payload: { how }, options: ONCE })
      const job = await lab.untilEnded(jobId)
      expect(job, how).toMatchObject({ status: 'failed', errorCode, attempt: 1, stalls: 0 })
      expect(job.error).toMatch(error)
    }
    lab.over()
    await workerLives(lab, pids)
  })

  for (const how of ['exit', 'fillHeap']) {
    faultTest(
      `a handler in process: ${how}, its worker started again`,
      // Node says goodbye with a stack trace of its own when the heap is full.
      { on: BOTH, expectedLogs: how === 'fillHeap' ? [/^(?!\{)/] : [] },
      async (lab) => {
        await lab.start({ all: 1, env: { NODE_OPTIONS: '--max-old-space-size=64' } })
        lab.supervise()
        const jobId = await lab.submit({ type: 'misbehave', payload: { how }, options: { maxStalls: 1 } })
        const job = await lab.untilEnded(jobId)
        lab.over()
        expect(job).toMatchObject({ status: 'failed', errorCode: 'stalled', attempt: 1, stalls: 2 })
      },
    )
  }
})
