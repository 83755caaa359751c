import type { JobcastClient } from '../client/client.ts'
import { onAbort } from '../client/time.ts'
import type { Settings } from '../server/config.ts'
import type { RunEvent } from '../server/engine/engine.ts'
import { createServerOf } from '../server/job-server.ts'
import type { JobDefinition } from '../server/jobs/define-job.ts'
import type { Logger } from '../server/log.ts'
import type { JobErrorCode } from '../shared/codes.ts'
import type { InputOf, JobOf, JobType, ResultByStatus, ResultOf } from '../shared/job-type.ts'
import type { SubmitOptions } from '../shared/options.ts'
import { closed, ServerTime, type TestClock } from './clock.ts'
import { type Reported, Reports } from './context.ts'

export interface TestOptions
  extends Pick<Settings, 'concurrency' | 'maxBytes' | 'retainMs' | 'cancelGraceMs'> {
  /** What the clock shows at first; left out: what the machine's shows. */
  readonly now?: Date | number
  /** As of `createJobServer`; left out: nothing is written, since failing is what many tests are about. */
  readonly log?: Logger | false
}

export interface RunOptions extends SubmitOptions {
  /** Cancels the job. */
  readonly signal?: AbortSignal
}

/** A job that has ended, and all that its handler reported, over all attempts. */
export type TestRun<J extends JobType = JobType> = Reported & {
  /** The message of the last failure, and of its causes. */
  readonly error: string | null
  readonly errorCode: JobErrorCode | null
  /** Attempts made. */
  readonly attempts: number
  readonly job: JobOf<J>
} & ResultByStatus<ResultOf<J>, 'completed' | 'failed' | 'cancelled'>

/** Jobs on a server of their own, in memory and by a clock of their own. */
export interface TestJobs<Jobs extends readonly JobType[] = readonly JobType[]> {
  /**
   * Submits a job and takes it to its end: the payload is checked, a worker runs it, failures are tried again. What it has to wait
   * for by the clock (`delayMs`, backoff) passes at once; what its handler does takes its time. Rejects with a `JobcastError`
   * where the server refuses it (`invalid_payload`, with the paths), and not where the job fails: `status` says so.
   */
  run<J extends Jobs[number]>(job: J, payload: InputOf<J>, options?: RunOptions): Promise<TestRun<J>>
  /** Straight to the same server; what it waits for by itself, as for the end of a job, it waits for in real time. */
  readonly client: JobcastClient<Jobs>
  readonly clock: TestClock
  /** Resolves once no job is queued and no handler runs; delayed jobs and retries wait for the clock. */
  idle(): Promise<void>
  /** Ends everything: handlers that still run are told so, and not waited for. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A lease never runs out in a test, whatever becomes of timers: the longest that those take. */
const LEASE_MS = 2 ** 31 - 1

/**
 * The real server with the real engine and worker, in memory, for tests of your own jobs. Nothing is shared between two of them, so
 * tests may run at the same time. Until it is closed it keeps the process. It works in Vitest, in `node:test`, and in Jest with ES modules
 * (`NODE_OPTIONS=--experimental-vm-modules`; from CommonJS by `await import('jobcast/testing')`). Fake timers of these leave it
 * alone: they move what handlers wait for and when those time out, `clock` moves Jobcast. Isolated handlers run in real threads.
 * Throws a `TypeError` that names the job type and its field where a definition is wrong.
 */
export function testJobs<const Jobs extends readonly JobDefinition[]>(
  jobs: Jobs,
  { now = Date.now(), log = false, ...settings }: TestOptions = {},
): TestJobs<Jobs> {
  const time = new ServerTime(Number(now))
  const reports = new Map<string, Reports>()
  const options = { ...settings, jobs, log, store: 'memory', drainMs: 0 } as const
  const server = createServerOf<Jobs>(options, (parts) => {
    time.listen(parts.events)
    const config = { ...parts.config, leaseMs: LEASE_MS, store: { kind: 'memory', now: time.now } as const }
    // No backoff is cut short by chance.
    const worker = { after: time.after, random: () => 0, heard }
    return { ...parts, config, time: { worker, upkeep: time.upkeep } }
  })
  let isClosed = false

  async function start(): Promise<void> {
    if (isClosed) throw closed()
    await server.start()
  }

  async function close(): Promise<void> {
    isClosed = true
    await server.stop()
  }

  function heard(jobId: string, event: RunEvent): void {
    reportsOf(jobId).add(event)
  }

  function reportsOf(jobId: string): Reports {
    const known = reports.get(jobId)
    if (known !== undefined) return known
    const made = new Reports()
    reports.set(jobId, made)
    return made
  }

  async function run<J extends Jobs[number]>(
    definition: J,
    payload: InputOf<J>,
    { signal, ...options }: RunOptions = {},
  ): Promise<TestRun<J>> {
    await start()
    const client: JobcastClient = server.client
    const submission = { type: definition.type, payload, options }
    const { jobId } = await client.submit(signal === undefined ? submission : { ...submission, signal })
    const cancel = () => void client.cancel(jobId).catch(() => {})
    const unlink = onAbort(signal, cancel)
    try {
      const job = await time.toEnd(jobId)
      const { status, result, error, errorCode, attempt: attempts } = job
      const { progress, logs, chunks } = reportsOf(jobId)
      const told: object = { status, result, error, errorCode, progress, logs, chunks, attempts, job }
      // The border: it is a job of this type, since it was submitted as one.
      return told as TestRun<J>
    } finally {
      unlink()
    }
  }

  return {
    run,
    get client() {
      return server.client
    },
    clock: {
      now: time.now,
      async advance(ms) {
        await start()
        await time.advance(ms)
      },
    },
    async idle() {
      await start()
      await time.idle()
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}
