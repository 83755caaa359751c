import { ConfigError, type ProcessConfig, readConfig } from './config.ts'
import { isOutage } from './engine/errors.ts'
import { createEvents, type Events } from './events.ts'
import { type SupervisedServer, superviseServer } from './job-server.ts'
import { JobsFileError, loadJobs } from './load-jobs.ts'
import { createLog, logEvents } from './log.ts'
import { ListenError, startServer } from './server.ts'
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
  const definitions = await loadJobs(config.jobsFiles).catch((error: unknown) => {
    // Where a place is told, it says enough.
    if (!(error instanceof JobsFileError) || error.place !== null) throw error
    throw new ConfigError(`JOBCAST_JOBS ${error.message}`)
  })
  const events = createEvents()
  logEvents(events, await createLog(config.logLevel))
  const broken = new Promise<void>((resolve) => catchUncaught(events, resolve))

  const server = superviseServer(config, (listenAt) => startServer({ config, definitions, events, listenAt }))
  process.once('SIGTERM', leave).once('SIGINT', leave)
  const ready = await begin(server, config)
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
  process.stdout.write(`${ready}\n`)
  process.exit(await stopping)
}

/** Resolves to the line that tells whoever started the process that it is ready. */
async function begin(server: SupervisedServer, config: ProcessConfig): Promise<string> {
  const { role, port, portGiven, host } = config
  if (role === 'worker' && !portGiven) {
    await server.start()
    return 'jobcast worker ready'
  }
  const { url } = await server.listen({ port, host })
  return role === 'worker' ? `jobcast worker ready on ${url}` : `jobcast listening on ${url}`
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
  server: SupervisedServer,
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
  if (error instanceof ConfigError || error instanceof ListenError || isOutage(error)) return error.message
  return error instanceof Error && error.stack !== undefined ? inSource(error.stack) : String(error)
}
