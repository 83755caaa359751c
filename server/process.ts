import { ConfigError, readConfig } from './config.ts'
import { isOutage } from './engine/errors.ts'
import { createEvents, type Events } from './events.ts'
import type { JobDefinition } from './jobs/define-job.ts'
import { loadJobs } from './load-jobs.ts'
import { createLog, logEvents } from './log.ts'
import { createServer, type JobcastServer } from './server.ts'
import { inSource } from './source-maps.ts'
import { catchUncaught } from './uncaught.ts'
import { currentScope } from './worker/execution.ts'
import type { GiveBack } from './worker/runner.ts'

/** Exit codes: 0 after a drain, 1 where the start or the process failed, 2 for a bad configuration. */
const FAILED = 1
const MISCONFIGURED = 2

try {
  await main()
} catch (error) {
  process.stderr.write(`jobcast: ${explain(error)}\n`)
  process.exit(error instanceof ConfigError ? MISCONFIGURED : FAILED)
}

async function main(): Promise<void> {
  const config = readConfig()
  const definitions = await ownJobs(config.jobsModule)
  const { defaultType, store } = config
  // On Redis it may be a type that only workers elsewhere know.
  if (
    defaultType !== null &&
    store.kind === 'sqlite' &&
    !definitions.some(({ type }) => type === defaultType)
  ) {
    throw new ConfigError(
      `JOBCAST_DEFAULT_TYPE ${defaultType} is no job type: ${definitions.map(({ type }) => type).join(', ')}`,
    )
  }
  const events = createEvents()
  logEvents(events, await createLog(config.logLevel))
  const broken = new Promise<void>((resolve) => catchUncaught(events, resolve))

  const server = createServer({ config, definitions, events })
  process.once('SIGTERM', leave).once('SIGINT', leave)
  await server.start()
  process.off('SIGTERM', leave).off('SIGINT', leave)
  const stopping = stopOnSignal(server, {
    signal: (signal) => void events.emit('process.draining', { signal }),
    broken: (stop) => void broken.then(stop),
    stuck: (stop) => stopWhenStuck(events, config.hungExitMs, stop),
  })
  if (definitions.length === 0 && config.role !== 'api') {
    const hint = 'set JOBCAST_JOBS to the path of a module that exports job definitions'
    process.stderr.write(`jobcast: this process knows no job types and will run none: ${hint}\n`)
  }
  process.stdout.write(`${server.ready()}\n`)
  process.exit(await stopping)
}

async function ownJobs(path: string | null): Promise<JobDefinition[]> {
  if (path === null) return []
  return loadJobs([path]).catch((error: unknown) => {
    throw error instanceof ConfigError ? new ConfigError(`JOBCAST_JOBS ${error.message}`) : error
  })
}

/** While it starts there is nothing to drain. */
function leave(): never {
  process.exit(0)
}

/**
 * Resolves to the exit code once the process has drained: after SIGTERM or SIGINT, or after an exception of its own code,
 * which may have left anything half done, or where nothing can run here any more. A second signal ends the process at
 * once.
 */
function stopOnSignal(
  server: JobcastServer,
  on: {
    signal(signal: string): void
    broken(stop: () => void): void
    stuck(stop: () => void): void
  },
): Promise<number> {
  return new Promise((resolve, reject) => {
    let code: number | null = null
    const stop = (exitCode: number, giveBack: GiveBack = 'unspent') => {
      if (code !== null) return
      code = exitCode
      server.stop(giveBack).then(() => resolve(exitCode), reject)
    }
    const onSignal = (signal: string) => {
      // One that a handler has emitted comes from within it.
      currentScope()?.endsProcess()
      if (code !== null) process.exit(FAILED)
      on.signal(signal)
      stop(0)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
    // Should a job be behind it, that job must not bring down one process after another.
    on.broken(() => stop(FAILED, 'stalled'))
    on.stuck(() => stop(FAILED))
  })
}

/** Handlers that hang end with the process alone: whoever supervises it starts it again. */
function stopWhenStuck(events: Events, afterMs: number | null, stop: () => void): void {
  if (afterMs === null) return
  let timer: NodeJS.Timeout | undefined
  events.on('worker.stuck', () => {
    timer = setTimeout(stop, afterMs)
  })
  events.on('worker.unstuck', () => clearTimeout(timer))
}

/** One line that says what to do. */
function explain(error: unknown): string {
  if (error instanceof ConfigError || isOutage(error)) return error.message
  const { code, port, message, stack } = error as NodeJS.ErrnoException & { port?: number }
  if (code === 'EADDRINUSE')
    return `port ${port} is in use: end what listens there, or set PORT to another one`
  if (code === 'EACCES') return `port ${port} may not be listened on: set PORT to one above 1023`
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `HOST is not an address of this machine (${message})`
  return stack === undefined ? String(error) : inSource(stack)
}
