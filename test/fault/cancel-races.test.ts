import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Claim, Engine, Outcome } from '../../server/engine/engine.ts'
import { defineJob } from '../../server/jobs/define-job.ts'
import { isTerminal, type JobStatus } from '../../shared/status.ts'
import { claimRequest, newJob, type OpenStore, present, tick } from '../conformance/harness.ts'
import { openRedis } from '../conformance/open-redis.ts'
import { openSqlite } from '../conformance/open-sqlite.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { openWorkbench } from '../helpers/workbench.ts'
import { isDoubled } from './harness/invariants.ts'
import { isSoak, repetitionsOf } from './harness/repetitions.ts'
import type { EngineName } from './harness/store.ts'
import { noteTrial } from './harness/trial.ts'

const SEEDS = isSoak ? 10_000 : 100
const TIMEOUT_MS = isSoak ? 3_600_000 : 600_000

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

const ENGINES: readonly [EngineName, () => Promise<OpenStore>][] = [
  ['redis', () => openRedis(redis.url)],
  ['sqlite', openSqlite],
]

const TITLES = {
  verbs: 'whatever is accepted first as terminal stays',
  worker: 'a worker that runs them ends each once',
}

const OUTCOMES = {
  finish: { kind: 'completed', result: 'done' },
  timeout: { kind: 'failed', error: 'too long', errorCode: 'timeout' },
  stop: { kind: 'cancelled' },
} as const satisfies Record<string, Outcome>

/** What may happen to a running job at the same time; `expire`: its lease has run out, and is looked at. */
type Move = 'cancel' | 'expire' | keyof typeof OUTCOMES

const race = fc.record({
  moves: fc.shuffledSubarray<Move>(['cancel', 'expire', 'finish', 'timeout', 'stop'], { minLength: 2 }),
  /** All at once, or each after the answer to the one before. */
  atOnce: fc.boolean(),
  leaseRunsOut: fc.boolean(),
  maxStalls: fc.constantFrom(0, 1),
})

describe.each(ENGINES)(
  'cancel against finish, against expiry, against timeout, in random order (%s)',
  (engineName, open) => {
    row('verbs', engineName, async () => {
      const store = await open()
      const { engine } = store
      try {
        await fc.assert(
          fc.asyncProperty(race, async ({ moves, atOnce, leaseRunsOut, maxStalls }) => {
            const { jobs } = await engine.submit({ jobs: [newJob({ policy: { maxStalls } })] })
            const { jobId } = present(jobs[0], 'a receipt')
            const run = await claimOne(engine, leaseRunsOut ? 1 : 60_000)
            expect(run.jobId).toBe(jobId)
            if (leaseRunsOut) await tick()

            const ends: JobStatus[] = []
            const make = async (move: Move) => ends.push(...(await terminalAnswer(engine, run, move)))
            if (atOnce) await Promise.all(moves.map(make))
            else for (const move of moves) await make(move)

            // What was only taken back, or only asked to stop, ends now.
            const left = present(await engine.get(jobId), 'the job')
            if (left.status === 'queued')
              ends.push(...(await terminalAnswer(engine, await claimOne(engine, 60_000), 'finish')))
            else if (left.status === 'processing') ends.push(...(await terminalAnswer(engine, run, 'stop')))

            const [read] = await engine.feed.read([{ jobId, after: null, history: true, withJob: true }])
            const { events, status } = present(read, 'the job')
            expect(isTerminal(status)).toBe(true)
            expect(isDoubled(events)).toBe(false)
            // A settlement that is sent again is answered again: whoever is told of an end is told of this one.
            expect(new Set([...ends, status]).size).toBe(1)
          }),
          { numRuns: SEEDS },
        )
      } finally {
        await store.close()
      }
    })

    row('worker', engineName, async () => {
      const bench = await openWorkbench(open)
      const AT_ONCE = 25
      const moments = fc.array(
        fc.record({ runMs: fc.nat(25), cancelMs: fc.nat(25), heeds: fc.boolean(), throws: fc.boolean() }),
        { minLength: AT_ONCE, maxLength: AT_ONCE },
      )
      const play = defineJob({
        type: 'play',
        async run(payload, { signal }) {
          const { runMs, heeds, throws } = payload as { runMs: number; heeds: boolean; throws: boolean }
          await new Promise<void>((resolve, reject) => {
            setTimeout(resolve, runMs)
            if (heeds) signal.addEventListener('abort', () => reject(signal.reason), { once: true })
          })
          if (throws) throw new Error('thrown')
          return 'done'
        },
      })
      try {
        await bench.work([play], { concurrency: AT_ONCE, cancelGraceMs: 5 })
        await fc.assert(
          fc.asyncProperty(moments, async (cases) => {
            await Promise.all(
              cases.map(async ({ cancelMs, ...payload }) => {
                const jobId = await bench.submit('play', payload, { maxAttempts: 1, timeoutMs: 10 })
                await new Promise((resolve) => setTimeout(resolve, cancelMs))
                const cancelled = await bench.engine.cancel(jobId)
                const job = await bench.ended(jobId)
                if (!cancelled.ok) expect(cancelled.reason).toBe('already_finished')
                else if (isTerminal(cancelled.job.status)) expect(job.status).toBe('cancelled')
                else expect(['cancelled', 'completed']).toContain(job.status)
                expect(isDoubled(await bench.history(jobId))).toBe(false)
              }),
            )
          }),
          { numRuns: SEEDS / AT_ONCE },
        )
      } finally {
        await bench.close()
      }
    })
  },
)

/** A row of the soak run's table, with its name there. */
function row(of: 'verbs' | 'worker', engine: EngineName, prove: () => Promise<void>): void {
  const fault = `cancel against finish, expiry and timeout (${of})`
  const isDone = repetitionsOf(fault, engine, 1) === 0
  test.skipIf(isDone)(TITLES[of], { timeout: TIMEOUT_MS }, async () => {
    const note = (failure: string | null) =>
      noteTrial({
        fault,
        engine,
        times: SEEDS,
        failure,
        jobs: SEEDS,
        lost: 0,
        doubled: 0,
        again: 0,
        healMs: null,
      })
    try {
      await prove()
    } catch (error) {
      note(String(error))
      throw error
    }
    note(null)
  })
}

async function claimOne(engine: Engine, leaseMs: number): Promise<Claim> {
  const [run] = await engine.claim(claimRequest({ leaseMs }))
  return present(run, 'a run')
}

/** Makes the move; the terminal status that its answer tells of, if any. */
async function terminalAnswer(engine: Engine, run: Claim, move: Move): Promise<JobStatus[]> {
  if (move === 'expire') {
    await engine.rescue({ limit: 200 })
    return []
  }
  if (move === 'cancel') {
    const change = await engine.cancel(run.jobId)
    return change.ok && isTerminal(change.job.status) ? [change.job.status] : []
  }
  const { jobId, lease } = run
  const settlement = { jobId, lease, outcome: OUTCOMES[move], events: [] }
  const [verdict] = (await engine.settle({ settlements: [settlement] })).verdicts
  return verdict === undefined || verdict === 'stale' || !isTerminal(verdict) ? [] : [verdict]
}
