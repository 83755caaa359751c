import { ConfigError, readConfig } from '../server/config.ts'
import { isOutage } from '../server/engine/errors.ts'
import { createEvents } from '../server/events.ts'
import type { JobDefinition } from '../server/jobs/define-job.ts'
import { JobsFileError, loadJobs, type Place } from '../server/load-jobs.ts'
import { logServer } from '../server/log.ts'
import { ListenError, type RunningServer, startServer } from '../server/server.ts'
import { catchUncaught } from '../server/uncaught.ts'
import { devLog, printRuns } from './dev-log.ts'
import { addVariables, serverVariables } from './environment.ts'

/**
 * The server of `jobcast dev`, a process of its own: told to, it loads the jobs files, says how that went, and serves once the one before it
 * has given its jobs back. Talks to its parent over IPC, and ends with it.
 */

/** Of the parent. */
export type DevOrder = DevTask | 'serve' | 'stop'

/** To the parent. */
export type DevReport =
  | { readonly kind: 'loaded'; readonly types: readonly string[] }
  | { readonly kind: 'broken'; readonly message: string; readonly place: Place | null }
  | { readonly kind: 'ready'; readonly url: string; readonly store: string }
  | { readonly kind: 'failed'; readonly message: string }

/** What it is to load, and where it will serve that. */
export interface DevTask {
  readonly files: readonly string[]
  /** What the process gets where its environment does not have it. */
  readonly variables: Readonly<Record<string, string>>
  readonly port: number
  readonly host: string
}

let address = { port: 0, host: '' }
let definitions: readonly JobDefinition[] = []
let server: RunningServer | null = null
const events = createEvents()

// Ctrl-C reaches every process of a terminal: the parent decides.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
process.on('message', (order: DevOrder) => {
  if (order === 'serve') void serve()
  else if (order === 'stop') void stop()
  else void load(order)
})

async function load({ files, variables, port, host }: DevTask): Promise<void> {
  address = { port, host }
  addVariables(variables)
  // Waiting for orders is nothing that a jobs file could wait for.
  process.channel?.unref()
  try {
    definitions = await loadJobs(files)
    process.channel?.ref()
    report({ kind: 'loaded', types: definitions.map(({ type }) => type) })
  } catch (error) {
    if (error instanceof JobsFileError) report({ kind: 'broken', message: error.problem, place: error.place })
    else report({ kind: 'broken', message: messageOf(error), place: null })
  }
}

async function serve(): Promise<void> {
  try {
    const config = readConfig(serverVariables(address))
    printRuns(
      events,
      definitions.map(({ type }) => type),
    )
    logServer(events, devLog)
    catchUncaught(events, () => process.exit(1))
    const { store } = config
    server = await startServer({ config, definitions, events, listenAt: address })
    const url = await server.listen(address)
    report({ kind: 'ready', url, store: store.kind === 'sqlite' ? store.folder : new URL(store.url).host })
  } catch (error) {
    report({ kind: 'failed', message: messageOf(error) })
  }
}

async function stop(): Promise<void> {
  // Handlers that go on end with the process, which is no news.
  events.removeAllListeners()
  await server?.stop('unspent')
  process.exit()
}

function report(what: DevReport): void {
  process.send?.(what)
}

function messageOf(error: unknown): string {
  if (error instanceof ConfigError || error instanceof ListenError || isOutage(error)) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
