import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine, NewJob } from '../../server/engine/engine.ts'
import { createSqliteEngine } from '../../server/engine/sqlite/engine.ts'
import { createEvents, type Events, type ServerEvents } from '../../server/events.ts'
import type { JobDefinition } from '../../server/jobs/define-job.ts'
import { createMaintenance } from '../../server/maintenance/maintenance.ts'
import { createWorker, type Worker, type WorkerOptions } from '../../server/worker/worker.ts'
import type { JobEvent } from '../../shared/event.ts'
import type { Job } from '../../shared/job.ts'
import { DEFAULT_OPTIONS, type RunPolicy } from '../../shared/options.ts'
import { isTerminal } from '../../shared/status.ts'
import { until } from './until.ts'

/** Starts an engine on a store of its own; `close` ends it and removes the store. */
export type OpenEngine = () => Promise<{ engine: Engine; close(): Promise<void> }>

export const openSqlite: OpenEngine = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-worker-'))
  const engine = createSqliteEngine({ folder })
  await engine.start()
  return {
    engine,
    async close() {
      await engine.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A store, workers on it, and the shortest way to run jobs through them. */
export interface Workbench {
  readonly engine: Engine
  readonly events: Events
  readonly emitted: Emitted[]
  work(definitions: readonly JobDefinition[], options?: Partial<WorkerOptions>): Promise<Worker>
  /** Promotes, rescues and prunes from now on. */
  maintain(): void
  submit(type: string, payload?: NewJob['payload'], policy?: Partial<RunPolicy>): Promise<string>
  job(jobId: string): Promise<Job>
  ended(jobId: string): Promise<Job>
  history(jobId: string): Promise<JobEvent[]>
  close(): Promise<void>
}

interface Emitted {
  readonly name: keyof ServerEvents
  readonly data: unknown
}

const HEARD = [
  'run.claimed',
  'run.settled',
  'run.lost',
  'run.overstayed',
  'run.returned',
  'run.put_off',
  'worker.stuck',
  'worker.unstuck',
  'jobs.promoted',
  'jobs.rescued',
  'jobs.pruned',
  'failure',
] as const

/** `wrap` may put faults between the workers and their engine; the bench itself speaks to the engine. */
export async function openWorkbench(
  open: OpenEngine,
  wrap: (engine: Engine) => Engine = (engine) => engine,
): Promise<Workbench> {
  const { engine, close } = await open()
  const events = createEvents()
  const emitted: Emitted[] = []
  for (const name of HEARD) events.on(name, (data: unknown) => void emitted.push({ name, data }))
  const maintenance = createMaintenance({ engine, events })
  const workers: Worker[] = []

  async function job(jobId: string): Promise<Job> {
    const found = await engine.get(jobId)
    if (found === null) throw new Error(`no job ${jobId}`)
    return found
  }

  return {
    engine,
    events,
    emitted,
    async work(definitions, options = {}) {
      const worker = createWorker({
        engine: wrap(engine),
        definitions,
        events,
        workerId: `w-${randomUUID()}`,
        concurrency: 10,
        leaseMs: 15_000,
        cancelGraceMs: 5000,
        maxResultBytes: 1024 * 1024,
        ...options,
      })
      workers.push(worker)
      await worker.start()
      return worker
    },
    maintain: () => maintenance.start(),
    async submit(type, payload = {}, policy = {}) {
      const newJob: NewJob = {
        type,
        payload,
        policy: { ...DEFAULT_OPTIONS, ...policy },
        when: { delayMs: 0 },
      }
      const { jobs } = await engine.submit({ jobs: [newJob] })
      const [submitted] = jobs
      if (submitted === undefined) throw new Error('nothing was submitted')
      return submitted.jobId
    },
    job,
    ended: (jobId) =>
      until(
        async () => {
          const found = await job(jobId)
          return isTerminal(found.status) ? found : null
        },
        { what: 'the job to end' },
      ),
    async history(jobId) {
      const [read] = await engine.feed.read([{ jobId, after: null, history: true, withJob: true }])
      return read?.events ?? []
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.stop()))
      await maintenance.stop()
      await close()
    },
  }
}

/** A promise that a test keeps, and the function that keeps it. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

/** An engine some of whose verbs are replaced; the rest go to the real one. */
export function withVerbs(engine: Engine, verbs: Partial<Engine>): Engine {
  return new Proxy(engine, {
    get(target, name) {
      const replaced: unknown = Reflect.get(verbs, name)
      if (replaced !== undefined) return replaced
      const own: unknown = Reflect.get(target, name, target)
      return typeof own === 'function' ? own.bind(target) : own
    },
  })
}
