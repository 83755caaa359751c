import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { ClientOptions } from '../../../client/index.ts'
import { Job } from '../../../shared/job.ts'
import type { JobStatus } from '../../../shared/status.ts'
import type { Sentinels } from '../../helpers/sentinels.ts'
import { Subscriber, type SubscriberOptions, type Watching } from '../../helpers/subscriber/subscriber.ts'
import { until } from '../../helpers/until.ts'
import { Aftermath, type AftermathOptions } from './aftermath.ts'
import { ClientWatch } from './client-watch.ts'
import { type Footprint, footprintOf, heapsOf } from './footprint.ts'
import { type Answer, call } from './http.ts'
import { Ledger, type Submission } from './ledger.ts'
import { Node } from './node.ts'
import { type RunNote, readRuns } from './runs.ts'
import {
  type EngineName,
  openRedisStore,
  openSqliteStore,
  type RedisStore,
  type RedisStoreOptions,
  type SentinelStore,
  type Store,
} from './store.ts'
import type { Findings } from './trial.ts'

export const LEASE_MS = 3000
/** I5: within a lease and five seconds, or fifteen, whichever is longer. */
const HEAL_MS = Math.max(LEASE_MS + 5000, 15_000)

const JOBS_MODULE = fileURLToPath(new URL('./jobs.mjs', import.meta.url))

export interface LabOptions extends AftermathOptions {
  readonly redis?: RedisStoreOptions
  /** A store that exists already, instead of a new one. */
  readonly openStore?: () => Promise<Store>
}

let startsBefore: Promise<void> = Promise.resolve()

/**
 * One experiment: a store of its own, processes on it, jobs and subscribers, and at the end the proof that every
 * invariant holds. On the embedded engine one process is api and worker in one.
 */
export class Lab {
  readonly store: Store
  readonly apis: Node[] = []
  readonly workers: Node[] = []
  readonly ledger = new Ledger()
  readonly subscribers: Watching[] = []
  readonly #options: LabOptions
  readonly #aftermath: Aftermath
  readonly #runsFile: string
  readonly #sockets = mkdtempSync(join(tmpdir(), 'jobcast-heap-'))
  readonly #started: Node[] = []
  #loads: (() => Promise<void>)[] = []
  #isSupervised = false
  #before: { readonly footprint: Footprint; readonly heaps: readonly number[] } | null = null
  #overAt: number | null = null

  static async open(engine: EngineName, options: LabOptions = {}): Promise<Lab> {
    const open = engine === 'redis' ? () => openRedisStore(options.redis) : () => openSqliteStore()
    return new Lab(await (options.openStore ?? open)(), options)
  }

  private constructor(store: Store, options: LabOptions) {
    this.store = store
    this.#options = options
    this.#aftermath = new Aftermath(this, options)
    this.#runsFile = join(tmpdir(), `jobcast-runs-${crypto.randomUUID()}`)
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
  start(options: StartOptions = {}): Promise<void> {
    // One after the other: many processes that start at once would starve each other for seconds.
    const started = startsBefore.then(() => this.#start(options))
    startsBefore = started.catch(() => {})
    return started
  }

  /** One more api, later than the others. */
  startApi(env: Record<string, string>): Promise<Node> {
    return this.#startNode('api', env)
  }

  /** Submits a job, again where it is refused for a moment, and watches it. */
  async submit(submission: Submission): Promise<string> {
    const jobId = await until(() => this.ledger.submit(this.api, submission), {
      timeoutMs: HEAL_MS,
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

  get(path: string, node: Node = this.api): Promise<Answer> {
    return call(`${node.url}${path}`, 'GET')
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
    return until(look, { timeoutMs: HEAL_MS + 5000, intervalMs: 60, what: `${jobId} to be ${statuses}` })
  }

  untilEnded(jobId: string): Promise<Job> {
    return this.untilStatus(jobId, 'completed', 'failed', 'cancelled')
  }

  /** What runs wrote down so far: of one job, or of all. */
  async runs(jobId?: string): Promise<RunNote[]> {
    const runs = await readRuns(this.#runsFile)
    return jobId === undefined ? runs : runs.filter((note) => note.jobId === jobId)
  }

  untilBegun(jobId: string): Promise<RunNote> {
    return until(async () => (await this.runs(jobId)).find(({ what }) => what === 'begun'), {
      timeoutMs: HEAL_MS,
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

  /** Waits until everything has healed, and holds what happened to every invariant. */
  async verify(): Promise<void> {
    await this.#stopLoads()
    await this.#heal()
    await this.#aftermath.adoptStrays()
    await this.#aftermath.collect()
    expect(this.#aftermath.breaches(this.#started)).toEqual([])
    if (this.#before !== null)
      await this.#aftermath.returnToBaseline(this.#before.footprint, this.#before.heaps)
    await this.#stopAll()
  }

  findings(): Findings {
    return this.#aftermath.findings()
  }

  async close(): Promise<void> {
    this.#isSupervised = false
    await this.#stopLoads()
    for (const subscriber of this.subscribers) subscriber.stop()
    await Promise.all(this.#started.map((node) => node.kill()))
    await this.store.close()
    await rm(this.#runsFile, { force: true })
    await rm(this.#sockets, { recursive: true, force: true })
  }

  async #start(options: StartOptions): Promise<void> {
    const { all = 0, apis = 1, workers = 1, env = {}, apiEnv = {}, workerEnv = () => ({}) } = options
    const times = (count: number) => Array.from({ length: count }, (_, index) => index)
    if (this.engine === 'sqlite' || all > 0) {
      const nodes = await Promise.all(times(Math.max(1, all)).map(() => this.#startNode('all', env)))
      this.apis.push(...nodes)
      this.workers.push(...nodes)
    } else {
      const [apiNodes, workerNodes] = await Promise.all([
        Promise.all(times(apis).map(() => this.#startNode('api', { ...env, ...apiEnv }))),
        Promise.all(
          times(workers).map((index) => this.#startNode('worker', { ...env, ...workerEnv(index) })),
        ),
      ])
      this.apis.push(...apiNodes)
      this.workers.push(...workerNodes)
    }
    await this.#warmUp()
    this.#before = {
      footprint: await footprintOf(this.nodes, this.store),
      heaps: await heapsOf(this.nodes),
    }
  }

  async #startNode(role: Node['role'], env: Record<string, string> = {}): Promise<Node> {
    const node = await Node.start(role, {
      JOBCAST_LEASE_MS: String(LEASE_MS),
      JOBCAST_DRAIN_MS: '500',
      JOBCAST_CANCEL_GRACE_MS: '500',
      JOBCAST_JOBS: JOBS_MODULE,
      JOBCAST_TEST_RUNS: this.#runsFile,
      JOBCAST_TEST_HEAP: join(this.#sockets, '/'),
      ...this.store.env,
      ...env,
    })
    this.#started.push(node)
    return node
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

  /** I7: every process that lives ends as it should. */
  async #stopAll(): Promise<void> {
    this.#isSupervised = false
    const alive = this.#started.filter(({ isAlive }) => isAlive)
    expect(await Promise.all(alive.map((node) => node.stop()))).toEqual(alive.map(() => 0))
    this.store.checkIntegrity()
  }
}

export interface StartOptions {
  /** Processes that are api and worker in one; where it is given, there are no others. */
  readonly all?: number
  /** Processes a role; on the embedded engine there is one of both in one. */
  readonly apis?: number
  readonly workers?: number
  readonly env?: Record<string, string>
  readonly apiEnv?: Record<string, string>
  /** Of one worker, counted from 0. */
  readonly workerEnv?: (index: number) => Record<string, string>
}
