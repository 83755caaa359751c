import { ConfigError, readConfig } from '../server/config.ts'
import { isOutage } from '../server/engine/errors.ts'
import { createEvents } from '../server/events.ts'
import type { JobDefinition } from '../server/jobs/define-job.ts'
import { JobsFileError, loadJobs, type Place } from '../server/load-jobs.ts'
import { logServer } from '../server/log.ts'
import { ListenError, type RunningServer, startServer } from '../server/server.ts'
import { catchUncaught } from '../server/uncaught.ts'
import { devLog, printRuns } from './dev-log.ts'
import { serverVariables } from './environment.ts'

/**
 * The server of `jobcast dev`, a process of its own: it loads the jobs files, says how that went, and serves once it is told to, when the one
 * before it has given its jobs back. Talks to its parent over IPC, and ends with it.
 */

/** Of the parent. */
export type DevOrder = 'serve' | 'stop'

/** To the parent. */
export type DevReport =
  | { readonly kind: 'loaded'; readonly types: readonly string[] }
  | { readonly kind: 'broken'; readonly message: string; readonly place: Place | null }
  | { readonly kind: 'ready'; readonly url: string; readonly store: string }
  | { readonly kind: 'failed'; readonly message: string }

/** What the parent starts it with, as the one argument. */
export interface DevTask {
  readonly files: readonly string[]
  readonly port: number
  readonly host: string
}

const { files, port, host }: DevTask = JSON.parse(process.argv[2] ?? '')
let definitions: readonly JobDefinition[] = []
let server: RunningServer | null = null
const events = createEvents()

// Ctrl-C reaches every process of a terminal: the parent decides.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
process.on('message', (order: DevOrder) => void (order === 'serve' ? serve() : stop()))
// Waiting for orders is nothing that a jobs file could wait for.
process.channel?.unref()
await load()

async function load(): Promise<void> {
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
    const config = readConfig(serverVariables({ port, host }))
    printRuns(
      events,
      definitions.map(({ type }) => type),
    )
    logServer(events, devLog)
    catchUncaught(events, () => process.exit(1))
    const { store } = config
    server = await startServer({ config, definitions, events, listenAt: { port, host } })
    const url = (await server.listen({ port, host })) + config.basePath
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
