import { ListAnswer, PollAnswer } from '../../../shared/api.ts'
import { parseCursor } from '../../../shared/cursor.ts'
import { Job } from '../../../shared/job.ts'
import { isTerminal, type JobStatus } from '../../../shared/status.ts'
import { breachesOfOrder } from '../../helpers/subscriber/sightings.ts'
import { until } from '../../helpers/until.ts'
import type { Baseline } from './deployment.ts'
import { footprintOf, growth, heapGrowth, heapsOf } from './footprint.ts'
import { type Answer, call, manyCalls } from './http.ts'
import { breachesOfJob, breachesOfLog, isDoubled, type Outcome } from './invariants.ts'
import type { Lab } from './lab.ts'
import type { Node } from './node.ts'
import { byJob, type RunNote } from './runs.ts'
import type { Findings } from './trial.ts'
import { within } from './within.ts'

/** For what was let go of to be closed: watched jobs and channels linger for some seconds. */
const BASELINE_MS = 20_000
/** Between two looks, in ms: a look costs every process some, and many experiments look at the same time. */
const LOOK_MS = 150
const BASELINE_LOOK_MS = 1000

export interface AftermathOptions {
  /** How long healing may take where it is more than making good: a backlog is worked off. */
  readonly healMs?: number
  /** The fault takes history away, so that jobs and events of before it may be gone. */
  readonly losesHistory?: boolean
  /** Lines of standard error that the fault is meant to bring about. */
  readonly expectedLogs?: readonly RegExp[]
}

/** What is left of an experiment when its fault is over: how it heals, and whether every invariant held. */
export class Aftermath {
  readonly #lab: Lab
  readonly #options: AftermathOptions
  #healMs: number | null = null
  readonly #outcomes = new Map<string, Outcome>()
  #runs: RunNote[] = []

  constructor(lab: Lab, options: AftermathOptions) {
    this.#lab = lab
    this.#options = options
  }

  /** Accepted jobs that are no longer there, once `collect` has looked. */
  get lost(): string[] {
    return this.#lab.ledger.accepted.filter((jobId) => this.#outcomes.get(jobId) === null)
  }

  /** I5: a job submitted now is done, every accepted one has ended, every process is ready, every watcher knows. */
  async heal(overAt: number, healMs: number): Promise<void> {
    if (this.#healMs !== null) return
    const left = () => ({
      timeoutMs: Math.max(0, within(healMs) - (performance.now() - overAt)),
      intervalMs: LOOK_MS,
    })
    const probe = await until(() => this.#lab.ledger.submit(this.#lab.api, { type: 'steps' }), {
      ...left(),
      what: 'a submission to be accepted again',
    })
    await until(() => this.#haveEnded(), { ...left(), what: 'every job to end' }).catch((error: unknown) =>
      this.#explain(error),
    )
    await until(async () => isTerminal((await this.#lab.job(probe)).status), {
      ...left(),
      what: 'the probe to end',
    })
    for (const node of this.#lab.nodes) {
      await until(async () => (await this.#lab.get('/readyz', node)).status === 200, {
        ...left(),
        what: 'readiness',
      })
    }
    await until(() => this.#lab.subscribers.every(({ isOver }) => isOver), {
      ...left(),
      what: 'every subscriber to see the end of its job',
    })
    this.#healMs = performance.now() - overAt
  }

  /** Jobs that were stored though nobody was told so: they count like any other from now on. */
  async adoptStrays(): Promise<void> {
    const promised = new Set(this.#lab.ledger.accepted)
    const strays = (await this.#listAll()).filter((jobId) => !promised.has(jobId))
    const unexplained = strays.filter((jobId) => !this.#lab.ledger.unknown.has(jobId))
    if (unexplained.length > this.#lab.ledger.unanswered) {
      this.#lab.ledger.breaches.push(
        `${unexplained.length} jobs that nobody submitted: ${unexplained.slice(0, 5)}`,
      )
    }
    for (const jobId of strays) this.#lab.ledger.accept(jobId)
  }

  /** Reads what became of every accepted job. */
  async collect(): Promise<void> {
    this.#runs = await this.#lab.runs()
    await this.#forEachJob('GET', '?history=1', (jobId, { status, body }) => {
      if (status === 404) this.#outcomes.set(jobId, null)
      else this.#outcomes.set(jobId, { job: Job.parse(body), history: PollAnswer.parse(body).events })
    })
  }

  /** What of I1, I2, I3 and I7 does not hold. `nodes`: all that ever ran. */
  breaches(nodes: readonly Node[]): string[] {
    const { losesHistory = false, expectedLogs = [] } = this.#options
    const runsOf = byJob(this.#runs)
    const breaches = [...this.#lab.ledger.breaches]
    for (const [jobId, outcome] of this.#outcomes) {
      if (losesHistory && outcome === null) continue
      const runs = losesHistory ? null : (runsOf.get(jobId) ?? [])
      for (const breach of breachesOfJob(outcome, runs)) breaches.push(`job ${jobId} ${breach}`)
    }
    for (const { jobId, job, sightings, failure, epoch } of this.#lab.subscribers) {
      const stored = this.#outcomes.get(jobId) ?? null
      // Who saw the end in a history that was lost has seen another one than there is now.
      const isSame = stored !== null && (!losesHistory || epoch === parseCursor(stored.job.cursor).epoch)
      const outcome = isSame ? stored : null
      if (failure !== null) breaches.push(`subscriber of ${jobId}: ${failure.message}`)
      for (const breach of breachesOfOrder(sightings, outcome?.history ?? null)) {
        breaches.push(`subscriber of ${jobId}: ${breach}`)
      }
      const isGone = sightings.at(-1)?.saw === 'gone'
      if (isGone && stored !== null && !losesHistory)
        breaches.push(`subscriber of ${jobId} was told it is gone`)
      if (outcome === null || isGone) continue
      const others = differences(job, outcome.job)
      if (others.length > 0) breaches.push(`subscriber of ${jobId} has another ${others.join(', ')}`)
    }
    for (const { stderr } of nodes.flatMap(({ logs }) => logs)) {
      breaches.push(...breachesOfLog(stderr, expectedLogs))
    }
    return breaches
  }

  /** I6: once every job is removed, nothing is left but what there was before; `heaps` are looked at as well. */
  async returnToBaseline({ footprint, heaps }: Baseline, options: { heaps: boolean }): Promise<void> {
    await this.#forEachJob('DELETE', '', (jobId, { status }) => {
      if (status !== 204 && status !== 404) throw new Error(`removing ${jobId}: ${status}`)
    })
    const untilNothing = (look: () => Promise<string[]>) =>
      until(
        async () => {
          const grown = await look()
          if (grown.length > 0) throw new Error(grown.join('; '))
          return true
        },
        { timeoutMs: within(BASELINE_MS), intervalMs: BASELINE_LOOK_MS, what: 'everything to be as before' },
      )
    const { nodes, store } = this.#lab
    await untilNothing(async () => growth(footprint, await footprintOf(nodes, store)))
    if (options.heaps) await untilNothing(async () => heapGrowth(heaps, await heapsOf(nodes)))
  }

  findings(): Findings {
    const outcomes = [...this.#outcomes.values()]
    const begun = byJob(this.#runs.filter(({ what }) => what === 'begun'))
    return {
      jobs: this.#lab.ledger.accepted.length,
      lost: outcomes.filter((outcome) => outcome === null).length,
      doubled: outcomes.filter((outcome) => outcome !== null && isDoubled(outcome.history)).length,
      again: [...begun.values()].filter((runs) => runs.length > 1).length,
      healMs: this.#healMs,
    }
  }

  async #haveEnded(): Promise<boolean> {
    const { status, body } = await this.#lab.get('/api/types')
    if (status !== 200) throw new Error(`/api/types answers ${status}`)
    const { types } = body as { types: { counts: Record<JobStatus, number> }[] }
    const waiting = types.reduce(
      (sum, { counts }) => sum + counts.scheduled + counts.queued + counts.processing,
      0,
    )
    if (waiting === 0) return true
    throw new Error(`${waiting} have not ended`)
  }

  /** Says with an error which jobs have not ended, and what went wrong before. */
  async #explain(cause: unknown): Promise<never> {
    const { body } = await this.#lab.get('/api/jobs?limit=3&status=scheduled&status=queued&status=processing')
    throw new Error(`${String(cause)}: ${JSON.stringify(body)}; ${this.#lab.ledger.breaches}`, { cause })
  }

  async #listAll(): Promise<string[]> {
    const jobIds: string[] = []
    for (let page: string | null = ''; page !== null; ) {
      const query: string = page === '' ? '' : `&page=${encodeURIComponent(page)}`
      const { status, body } = await this.#lab.get(`/api/jobs?limit=200${query}`)
      if (status !== 200) throw new Error(`/api/jobs answers ${status}`)
      const { jobs, nextPage } = ListAnswer.parse(body)
      jobIds.push(...jobs.map(({ jobId }) => jobId))
      page = nextPage
    }
    return jobIds
  }

  async #forEachJob(
    method: string,
    query: string,
    read: (jobId: string, answer: Answer) => void,
  ): Promise<void> {
    const agent = manyCalls()
    const one = async (jobId: string) =>
      read(jobId, await call(`${this.#lab.api.url}/api/jobs/${jobId}${query}`, method, { agent }))
    for (let from = 0; from < this.#lab.ledger.accepted.length; from += 100) {
      await Promise.all(this.#lab.ledger.accepted.slice(from, from + 100).map(one))
    }
    agent.destroy()
  }
}

/** Fields in which a folded job is not the stored one. Its cursor may be of the epoch in which it ended. */
function differences(folded: Job | null, stored: Job): string[] {
  if (folded === null) return ['job: none']
  const bare = ({ cursor, ...job }: Job) => ({ ...job, seq: cursor.slice(cursor.lastIndexOf('.')) })
  const mine: Record<string, unknown> = bare(folded)
  return Object.entries(bare(stored)).flatMap(([name, value]) =>
    JSON.stringify(mine[name]) === JSON.stringify(value)
      ? []
      : [`${name} (${JSON.stringify(mine[name])}, not ${JSON.stringify(value)})`],
  )
}
