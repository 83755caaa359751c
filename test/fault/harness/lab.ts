import { setTimeout as pause } from 'node:timers/promises'
import { expect } from 'vitest'
import type { ClientOptions } from '../../../client/index.ts'
import { Job } from '../../../shared/job.ts'
import type { JobStatus } from '../../../shared/status.ts'
import type { Sentinels } from '../../helpers/sentinels.ts'
import { Subscriber, type SubscriberOptions, type Watching } from '../../helpers/subscriber/subscriber.ts'
import { until } from '../../helpers/until.ts'
import { Aftermath, type AftermathOptions } from './aftermath.ts'
import { ClientWatch } from './client-watch.ts'
import { type Deployment, LEASE_MS, type StartOptions } from './deployment.ts'
import { type Answer, type CallOptions, call } from './http.ts'
import { Ledger, type Submission } from './ledger.ts'
import type { Node } from './node.ts'
import type { RunNote } from './runs.ts'
import type { EngineName, RedisStore, SentinelStore, Store } from './store.ts'
import type { Findings } from './trial.ts'
import { within } from './within.ts'

/** I5: within a lease and five seconds, or fifteen, whichever is longer. */
const HEAL_MS = Math.max(LEASE_MS + 5000, 15_000)

/**
 * One experiment: jobs and subscribers on a deployment, what is done to it, and at the end the proof that every
 * invariant holds. On the embedded engine one process is api and worker in one.
 */
export class Lab {
  readonly apis: Node[] = []
  readonly workers: Node[] = []
  readonly ledger = new Ledger()
  readonly subscribers: Watching[] = []
  readonly #deployment: Deployment
  readonly #options: AftermathOptions
  readonly #aftermath: Aftermath
  #loads: (() => Promise<void>)[] = []
  #isSupervised = false
  #overAt: number | null = null

  constructor(deployment: Deployment, options: AftermathOptions) {
    this.#deployment = deployment
    this.#options = options
    this.#aftermath = new Aftermath(this, options)
  }

  get store(): Store {
    return this.#deployment.store
  }

  get engine(): EngineName {
    return this.store.engine
  }

  /** The Redis of an experiment that runs on Redis only. */
  get redis(): RedisStore {
    if (this.store.engine !== 'redis') throw new Error('this experiment does not run on Redis')
    return this.store as RedisStore
  }

  /** The sentinels of an experiment that runs under some. */
  get sentinels(): Sentinels {
    if (!('sentinels' in this.store)) throw new Error('this experiment does not run under sentinels')
    return (this.store as SentinelStore).sentinels
  }

  get api(): Node {
    const [api] = this.apis
    if (api === undefined) throw new Error('nothing was started')
    return api
  }

  get nodes(): Node[] {
    return [...new Set([...this.apis, ...this.workers])]
  }

  /** Starts processes, has each run or watch something, and notes what they hold on to. */
  async start(options: StartOptions = {}): Promise<void> {
    await this.#deployment.start(options)
    this.apis.push(...this.#deployment.apis)
    this.workers.push(...this.#deployment.workers)
    if (this.#deployment.isWarm) return
    await this.#warmUp()
    await this.#deployment.measure()
  }

  /** One more api, later than the others. */
  startApi(env: Record<string, string>): Promise<Node> {
    return this.#deployment.startGuest(env)
  }

  /** Submits a job, again where it is refused for a moment, and watches it. */
  async submit(submission: Submission): Promise<string> {
    const jobId = await until(() => this.ledger.submit(this.api, submission), {
      timeoutMs: within(HEAL_MS),
      intervalMs: 500,
      what: 'a submission to be accepted',
    })
    this.watch(jobId)
    return jobId
  }

  submitMany(count: number, submission: Submission): Promise<string[]> {
    return Promise.all(Array.from({ length: count }, () => this.submit(submission)))
  }

  /** Up to a thousand in one call, which must be accepted; every fiftieth is watched. */
  async submitBatch(count: number, submission: Submission): Promise<string[]> {
    const jobIds = await this.ledger.submitBatch(this.api, count, submission)
    for (const [index, jobId] of jobIds.entries()) if (index % 50 === 0) this.watch(jobId)
    return jobIds
  }

  /** Watches a job to its end, by turns over a WebSocket and server-sent events where nothing else is said. */
  watch(jobId: string, options: Partial<SubscriberOptions> = {}): Subscriber {
    const transport = this.subscribers.length % 2 === 0 ? 'websocket' : 'sse'
    const subscriber = new Subscriber({
      jobId,
      transport: () => transport,
      addresses: () => this.apis.filter(({ isAlive }) => isAlive).map(({ url }) => url),
      ...options,
    })
    this.subscribers.push(subscriber)
    return subscriber
  }

  /** Watches a job to its end with the client that ships, whatever carries it. */
  watchWithClient(jobId: string, options: ClientOptions): ClientWatch {
    const watch = new ClientWatch(jobId, options)
    this.subscribers.push(watch)
    return watch
  }

  /** Submits steadily, at every api in turn, until it is stopped; every fifth job is watched. */
  load({ everyMs = 50, ...submission }: Partial<Submission> & { everyMs?: number } = {}): {
    stop(): Promise<void>
  } {
    let isOn = true
    const under: Promise<unknown>[] = []
    const submitOne = async (number: number) => {
      const apis = this.apis.filter(({ isAlive }) => isAlive)
      const api = apis[number % apis.length]
      if (api === undefined) return
      const jobId = await this.ledger.submit(api, { type: 'steps', ...submission })
      if (jobId !== null && number % 5 === 0) this.watch(jobId)
    }
    const ended = (async () => {
      for (let number = 0; isOn; number += 1) {
        under.push(submitOne(number))
        await pause(everyMs)
      }
      await Promise.all(under)
    })()
    const stop = () => {
      isOn = false
      return ended
    }
    this.#loads.push(stop)
    return { stop }
  }

  /** The fault is over: from now on it heals. */
  over(): void {
    this.#overAt ??= performance.now()
  }

  get(path: string, node: Node = this.api, options: Pick<CallOptions, 'longestMs'> = {}): Promise<Answer> {
    return call(`${node.url}${path}`, 'GET', options)
  }

  post(path: string, node: Node = this.api): Promise<Answer> {
    return call(`${node.url}${path}`, 'POST')
  }

  async job(jobId: string): Promise<Job> {
    const { status, body } = await this.get(`/api/jobs/${jobId}`)
    if (status !== 200) throw new Error(`job ${jobId}: ${status} ${JSON.stringify(body)}`)
    return Job.parse(body)
  }

  untilStatus(jobId: string, ...statuses: readonly JobStatus[]): Promise<Job> {
    const look = async () => {
      const job = await this.job(jobId)
      if (statuses.includes(job.status)) return job
      throw new Error(`it is ${job.status}`)
    }
    return until(look, {
      timeoutMs: within(HEAL_MS + 5000),
      intervalMs: 60,
      what: `${jobId} to be ${statuses}`,
    })
  }

  untilEnded(jobId: string): Promise<Job> {
    return this.untilStatus(jobId, 'completed', 'failed', 'cancelled')
  }

  /** What runs wrote down so far: of one job, or of all. */
  async runs(jobId?: string): Promise<RunNote[]> {
    const runs = await this.#deployment.runs()
    return jobId === undefined ? runs : runs.filter((note) => note.jobId === jobId)
  }

  untilBegun(jobId: string): Promise<RunNote> {
    return until(async () => (await this.runs(jobId)).find(({ what }) => what === 'begun'), {
      timeoutMs: within(HEAL_MS),
      intervalMs: 30,
      what: `a run of ${jobId}`,
    })
  }

  /** The worker process that runs the job. */
  async workerOf(jobId: string): Promise<Node> {
    const { pid } = await this.untilBegun(jobId)
    const worker = this.workers.find((node) => node.pid === pid)
    if (worker === undefined) throw new Error(`no worker has the pid ${pid}`)
    return worker
  }

  /** From now on whatever process dies is started again at once, as a supervisor does. */
  supervise(): void {
    this.#isSupervised = true
    const keepUp = async (node: Node) => {
      for (;;) {
        await node.exited
        if (!this.#isSupervised) return
        // One that dies again before it is ready is started once more.
        await node.restart().catch(() => {})
      }
    }
    for (const node of this.nodes) void keepUp(node)
  }

  /** Waits until everything has healed; resolves to the accepted jobs that are lost. */
  async untilLossIsKnown(): Promise<string[]> {
    await this.#stopLoads()
    await this.#heal()
    await this.#aftermath.collect()
    return this.#aftermath.lost
  }

  /**
   * Waits until everything has healed, and holds what happened to every invariant; the heaps of processes (a full
   * collection each) where this is the `last` experiment on them.
   */
  async verify({ last }: { last: boolean }): Promise<void> {
    await this.#stopLoads()
    await this.#heal()
    await this.#aftermath.adoptStrays()
    await this.#aftermath.collect()
    expect(this.#aftermath.breaches(this.#deployment.nodes)).toEqual([])
    const baseline = this.#deployment.baselineOf(this.nodes)
    if (baseline !== null) await this.#aftermath.returnToBaseline(baseline, { heaps: last })
    this.#isSupervised = false
  }

  findings(): Findings {
    return this.#aftermath.findings()
  }

  async close(): Promise<void> {
    this.#isSupervised = false
    await this.#stopLoads()
    for (const subscriber of this.subscribers) subscriber.stop()
  }

  async #stopLoads(): Promise<void> {
    for (const stop of this.#loads.splice(0)) await stop()
  }

  async #warmUp(): Promise<void> {
    const jobIds = await this.submitMany(4 * this.workers.length, { type: 'steps', payload: { steps: 1 } })
    await Promise.all(jobIds.map((jobId) => this.untilEnded(jobId)))
  }

  #heal(): Promise<void> {
    this.over()
    return this.#aftermath.heal(this.#overAt ?? performance.now(), this.#options.healMs ?? HEAL_MS)
  }
}
