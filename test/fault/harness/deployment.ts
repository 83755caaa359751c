import { mkdtempSync } from 'node:fs'
import { rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { type Footprint, footprintOf, heapsOf } from './footprint.ts'
import { Node } from './node.ts'
import { type RunNote, readRuns } from './runs.ts'
import {
  type EngineName,
  openRedisStore,
  openSqliteStore,
  type RedisStoreOptions,
  type Store,
} from './store.ts'

export const LEASE_MS = 3000

const JOBS_MODULE = fileURLToPath(new URL('./jobs.mjs', import.meta.url))

export interface DeploymentOptions {
  readonly redis?: RedisStoreOptions
  /** A store that exists already, instead of a new one. */
  readonly openStore?: () => Promise<Store>
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

/** What processes held on to once they were warm. */
export interface Baseline {
  readonly footprint: Footprint
  readonly heaps: readonly number[]
}

let startsBefore: Promise<void> = Promise.resolve()

/** A store and processes on it, which may go through many experiments, one after the other. */
export class Deployment {
  readonly store: Store
  readonly apis: Node[] = []
  readonly workers: Node[] = []
  readonly #runsFile = join(tmpdir(), `jobcast-runs-${crypto.randomUUID()}`)
  readonly #sockets = mkdtempSync(join(tmpdir(), 'jobcast-heap-'))
  /** Started by an experiment for itself. */
  #guests: Node[] = []
  #baseline: Baseline | null = null

  static async open(engine: EngineName, options: DeploymentOptions = {}): Promise<Deployment> {
    const open = engine === 'redis' ? () => openRedisStore(options.redis) : () => openSqliteStore()
    return new Deployment(await (options.openStore ?? open)())
  }

  private constructor(store: Store) {
    this.store = store
  }

  /** All that run or ran. */
  get nodes(): Node[] {
    return [...new Set([...this.apis, ...this.workers, ...this.#guests])]
  }

  /** Whether an experiment has warmed it up. */
  get isWarm(): boolean {
    return this.#baseline !== null
  }

  /** Of the first experiment; what many leave behind, each a little, shows as well. Null where none began. */
  baselineOf(nodes: readonly Node[]): Baseline | null {
    if (this.#baseline === null) return null
    const { footprint, heaps } = this.#baseline
    const places = nodes.map((node) => this.nodes.indexOf(node))
    const of = (all: readonly number[]) => places.map((place) => all[place] ?? 0)
    const { openFiles, timers } = footprint
    return { footprint: { ...footprint, openFiles: of(openFiles), timers: of(timers) }, heaps: of(heaps) }
  }

  /** Starts processes, or those again that the experiment before has left dead. */
  start(options: StartOptions): Promise<void> {
    // One after the other: many processes that start at once would starve each other for seconds.
    const started = startsBefore.then(() => (this.nodes.length === 0 ? this.#start(options) : this.#revive()))
    startsBefore = started.catch(() => {})
    return started
  }

  /** One more api, for this experiment. */
  async startGuest(env: Record<string, string>): Promise<Node> {
    const node = await this.#startNode('api', env)
    this.#guests.push(node)
    return node
  }

  /** Called once it is warm: what it holds on to then is what it is held to, for good. */
  async measure(): Promise<void> {
    const nodes = this.nodes
    this.#baseline = { footprint: await footprintOf(nodes, this.store), heaps: await heapsOf(nodes) }
  }

  /** What runs wrote down since the experiment began. */
  runs(): Promise<RunNote[]> {
    return readRuns(this.#runsFile)
  }

  /** Makes it ready for another experiment. */
  async rest(): Promise<void> {
    const guests = this.#guests.splice(0)
    expect(await Promise.all(guests.map((node) => node.stop()))).toEqual(guests.map(() => 0))
    this.store.rest()
    await truncate(this.#runsFile)
    for (const node of this.nodes) node.forgetLogs()
  }

  /** I7: every process that lives ends as it should, and leaves a store that is whole. */
  async stop(): Promise<void> {
    const alive = this.nodes.filter(({ isAlive }) => isAlive)
    expect(await Promise.all(alive.map((node) => node.stop()))).toEqual(alive.map(() => 0))
    this.store.checkIntegrity()
  }

  /** Ends whatever still runs, and removes everything. */
  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()))
    await this.store.close()
    await rm(this.#runsFile, { force: true })
    await rm(this.#sockets, { recursive: true, force: true })
  }

  async #start(options: StartOptions): Promise<void> {
    const { all = 0, apis = 1, workers = 1, env = {}, apiEnv = {}, workerEnv = () => ({}) } = options
    const times = (count: number) => Array.from({ length: count }, (_, index) => index)
    if (this.store.engine === 'sqlite' || all > 0) {
      const nodes = await Promise.all(times(Math.max(1, all)).map(() => this.#startNode('all', env)))
      this.apis.push(...nodes)
      this.workers.push(...nodes)
      return
    }
    const [apiNodes, workerNodes] = await Promise.all([
      Promise.all(times(apis).map(() => this.#startNode('api', { ...env, ...apiEnv }))),
      Promise.all(times(workers).map((index) => this.#startNode('worker', { ...env, ...workerEnv(index) }))),
    ])
    this.apis.push(...apiNodes)
    this.workers.push(...workerNodes)
  }

  async #revive(): Promise<void> {
    const dead = this.nodes.filter(({ isAlive }) => !isAlive)
    await Promise.all(dead.map((node) => node.restart()))
  }

  #startNode(role: Node['role'], env: Record<string, string>): Promise<Node> {
    return Node.start(role, {
      JOBCAST_LEASE_MS: String(LEASE_MS),
      JOBCAST_DRAIN_MS: '500',
      JOBCAST_CANCEL_GRACE_MS: '500',
      JOBCAST_JOBS: JOBS_MODULE,
      JOBCAST_TEST_RUNS: this.#runsFile,
      JOBCAST_TEST_HEAP: join(this.#sockets, '/'),
      ...this.store.env,
      ...env,
    })
  }
}
