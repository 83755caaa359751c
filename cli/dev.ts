import { type ChildProcess, fork, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { basename, dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { watch } from 'chokidar'
import { findJobsFile } from '../server/project.ts'
import { codeFrame } from './code-frame.ts'
import type { DevOrder, DevReport, DevTask } from './dev-server.ts'
import { variablesIn, variablesOfServer } from './environment.ts'
import { sourcesOf } from './sources.ts'
import { CommandError, clockTime, color, duration, harmless, isTerminal, print } from './terminal.ts'

export interface DevFlags {
  readonly port: string
  readonly host: string
  readonly open?: boolean
  readonly withExamples?: boolean
  readonly env?: readonly string[]
}

const SERVER = fileURLToPath(new URL('./dev-server.js', import.meta.url))
const EXAMPLES = fileURLToPath(new URL('../examples/samples/index.js', import.meta.url))

/** Saves within this time count as one, in ms: editors and formatters write more than once. */
const SETTLE_MS = 40
/** What a server gets to give its jobs back, in ms; one that is stuck in a handler is killed, and its jobs count as stalled. */
const STOP_MS = 400
/** A jobs file that has not loaded by then is told of, in ms. */
const LOAD_MS = 15_000
/** A server that ended by itself is started again, unless it did so this soon, in ms. */
const CRASH_MS = 2000

/** Read where no `--env` says otherwise; the first that has a variable counts. */
const ENV_FILES = ['.env.local', '.env']
/** Whatever else of the project's folder may change what a jobs file is. */
const CONFIGURATION = /^(?:\.env.*|(?:ts|js)config.*\.json|package\.json)$/
const SOURCE = /\.(?:[cm]?[jt]sx?|json)$/

/** Resolves to the exit code once it is told to end. */
export async function dev(named: readonly string[], flags: DevFlags, version: string): Promise<number> {
  const port = Number(flags.port)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new CommandError(`--port ${flags.port} must be a whole number from 0 to 65535`, { exitCode: 2 })
  const files = jobsFiles(named, flags)
  await assertFree(flags.host, port)
  return new Development({ files, port, host: flags.host }, flags, version).run()
}

function jobsFiles(named: readonly string[], { withExamples }: DevFlags): string[] {
  const found = named.length > 0 ? named : [findJobsFile('.')].flatMap((file) => file ?? [])
  if (found.length === 0 && withExamples !== true)
    throw new CommandError(
      'there is no jobs file here: "npx jobcast init" makes one; or name yours, as in npx jobcast dev path/to/jobs.ts; or try --with-examples',
      { exitCode: 2 },
    )
  return withExamples === true ? [...found, EXAMPLES] : [...found]
}

async function assertFree(host: string, port: number): Promise<void> {
  const url = `http://${host}:${port}`
  const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(1000) }).catch(() => null)
  if (answer === null || port === 0) return
  const isJobcast = (await answer.text().catch(() => '')) === '{"status":"ok"}'
  throw new CommandError(
    isJobcast
      ? `a Jobcast server is there already, at ${url}: use it, or start another with --port ${port + 1} and JOBCAST_DATA=.data-${port + 1}`
      : `port ${port} is in use: end what listens there, or take another with --port ${port + 1}`,
  )
}

/** A server process: `waiting` for its task, `loading` its jobs files, `loaded` and waiting for its turn, `serving`, or `ended`. */
class Server {
  readonly process: ChildProcess
  startedAt = performance.now()
  readonly ended: Promise<number | null>
  phase: 'waiting' | 'loading' | 'loaded' | 'serving' | 'ended' = 'waiting'

  constructor() {
    const plain = !isTerminal || process.argv.includes('--no-color')
    const env = variablesOfServer(plain ? { NO_COLOR: '1' } : {})
    this.process = fork(SERVER, [], {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.ended = new Promise((done) => {
      this.process.once('exit', (code) => {
        this.phase = 'ended'
        done(code)
      })
    })
  }

  load(task: DevTask, told: (report: DevReport) => void): void {
    this.phase = 'loading'
    this.startedAt = performance.now()
    this.process.on('message', told)
    this.tell(task)
  }

  tell(order: DevOrder): void {
    this.process.send(order, () => {})
  }

  async stop(): Promise<void> {
    if (this.phase === 'ended') return
    if (this.phase !== 'serving') return this.kill()
    this.tell('stop')
    const late = setTimeout(() => this.kill(), STOP_MS)
    await this.ended
    clearTimeout(late)
  }

  kill(): void {
    this.process.kill('SIGKILL')
  }
}

/**
 * Runs a server, and with every save another in its place: the new one loads the jobs files while the old one still serves; only where
 * that went well the old one gives its jobs back and ends, and the new one takes over. What does not load changes nothing.
 */
class Development {
  readonly #task: Omit<DevTask, 'variables'>
  readonly #flags: DevFlags
  readonly #version: string
  #current: Server | null = null
  #next: Server | null = null
  /** Waits for the next save, with all loaded that is none of the user's: that takes longer than everything else. */
  #spare: Server | null = null
  #changedAt = performance.now()
  /** Files that were saved since the last start. */
  #changed = new Set<string>()
  #settling: NodeJS.Timeout | null = null
  #isBroken = false
  #wasReady = false
  #types: readonly string[] = []
  #sources = new Set<string>()
  #envFiles: readonly string[] = []
  readonly #watcher = watch([], {
    depth: 0,
    ignoreInitial: true,
    ignored: /[\\/](?:node_modules|\.git)(?:[\\/]|$)/,
  })
  #end: (exitCode: number) => void = () => {}

  constructor(task: Omit<DevTask, 'variables'>, flags: DevFlags, version: string) {
    this.#task = task
    this.#flags = flags
    this.#version = version
  }

  async run(): Promise<number> {
    const ended = new Promise<number>((resolve) => {
      this.#end = resolve
    })
    let stopping: Server | null = null
    const onSignal = () => {
      stopping?.kill()
      const [current, next] = [this.#current, this.#next]
      this.#current = null
      this.#next = null
      next?.kill()
      this.#spare?.kill()
      if (current === null) return this.#end(0)
      stopping = current
      void current.stop().then(() => this.#end(0))
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
    this.#watcher.on('all', (_what, path) => this.#noticed(resolve(path)))
    this.#begin()
    const exitCode = await ended
    await this.#watcher.close()
    return exitCode
  }

  #noticed(path: string): void {
    const isConfiguration = dirname(path) === process.cwd() && CONFIGURATION.test(basename(path))
    const mayMend = this.#isBroken && (SOURCE.test(path) || !basename(path).includes('.'))
    if (!this.#sources.has(path) && !isConfiguration && !mayMend) return
    this.#changed.add(path)
    this.#changedAt = performance.now()
    if (this.#settling !== null) clearTimeout(this.#settling)
    this.#settling = setTimeout(() => this.#begin(), SETTLE_MS)
  }

  /** Loads what is there now. */
  #begin(): void {
    this.#settling = null
    // It begins again once that one serves.
    if (this.#next?.phase === 'loaded') return
    this.#next?.kill()
    this.#envFiles = this.#flags.env ?? ENV_FILES.filter((file) => existsSync(file))
    let variables: Record<string, string>
    try {
      variables = variablesIn(this.#envFiles)
    } catch (error) {
      this.#tell(color.red('✖'), error instanceof Error ? error.message : String(error))
      this.#end(2)
      return
    }
    this.#watch()
    this.#changed.clear()
    const next = this.#spare?.phase === 'waiting' ? this.#spare : new Server()
    this.#spare = null
    this.#next = next
    next.load({ ...this.#task, variables }, (report) => void this.#told(next, report))
    const late = setTimeout(() => {
      if (next.phase === 'loading' && this.#next === next)
        this.#tell(
          color.magenta('!'),
          `${this.#named()} still loads after ${duration(LOAD_MS)}: a save begins anew`,
        )
    }, LOAD_MS)
    void next.ended.then((code) => {
      clearTimeout(late)
      this.#gone(next, code)
    })
  }

  #watch(): void {
    this.#sources = sourcesOf(this.#task.files)
    const folders = new Set([process.cwd(), ...[...this.#sources].map((file) => dirname(file))])
    this.#watcher.add([...folders])
  }

  async #told(server: Server, report: DevReport): Promise<void> {
    if (server !== this.#next) return
    switch (report.kind) {
      case 'loaded': {
        server.phase = 'loaded'
        const before = this.#current
        this.#current = null
        await before?.stop()
        server.tell('serve')
        this.#welcome(report.types)
        return
      }
      case 'ready':
        server.phase = 'serving'
        this.#next = null
        this.#current = server
        this.#ready(report)
        this.#spare ??= new Server()
        if (this.#changed.size > 0) this.#begin()
        return
      case 'broken':
        this.#next = null
        server.kill()
        this.#broken(report)
        this.#spare ??= new Server()
        return
      case 'failed':
        this.#next = null
        server.kill()
        this.#tell(color.red('✖'), report.message)
        if (this.#wasReady) this.#waits()
        else this.#end(1)
    }
  }

  #gone(server: Server, code: number | null): void {
    if (server === this.#next) {
      this.#next = null
      this.#tell(
        color.red('✖'),
        `${this.#named()} ended its process while it was loaded${code === null ? '' : ` (exit code ${code})`}`,
      )
      this.#waits()
    }
    if (server !== this.#current) return
    this.#current = null
    this.#tell(
      color.red('✖'),
      `the server's process has ended (${code === null ? 'killed' : `exit code ${code}`}): does a job end it?`,
    )
    if (performance.now() - server.startedAt > CRASH_MS) this.#begin()
    else this.#waits()
  }

  /** Known before the server is ready, and shown with it. */
  #welcome(types: readonly string[]): void {
    this.#types = types
  }

  #ready({ url, store }: Extract<DevReport, { kind: 'ready' }>): void {
    this.#isBroken = false
    const took = duration(performance.now() - this.#changedAt)
    if (this.#wasReady) {
      const types = color.dim(this.#types.join(', '))
      this.#tell(color.green('↻'), `${color.dim('restarted in')} ${took}  ${types}`)
      return
    }
    this.#wasReady = true
    const files = this.#task.files.map((file) => (file === EXAMPLES ? 'examples' : relative('.', file)))
    print('')
    print(`  ${color.bold('jobcast')} ${this.#version}  ${color.dim(`ready in ${took}`)}`)
    print('')
    print(`  ${color.dim('page')}  ${color.cyan(url)}`)
    print(`  ${color.dim('jobs')}  ${this.#types.join(', ') || 'none yet'}  ${color.dim(files.join(', '))}`)
    print(`  ${color.dim('data')}  ${store}`)
    if (this.#envFiles.length > 0) print(`  ${color.dim('env ')}  ${this.#envFiles.join(', ')}`)
    print('')
    if (this.#flags.open === true) openPage(url)
  }

  #broken({ message, place }: Extract<DevReport, { kind: 'broken' }>): void {
    const where =
      place === null
        ? this.#named()
        : `${relative('.', place.file)}:${place.line}${place.column === null ? '' : `:${place.column}`}`
    this.#tell(color.red('✖'), `${color.bold(where)}  ${harmless(message)}`)
    if (place !== null) for (const line of codeFrame(place)) print(`      ${line}`)
    this.#waits()
  }

  #waits(): void {
    this.#isBroken = true
    print(
      color.dim(
        `          waiting for a save${this.#current === null ? '' : '; what was loaded before goes on'}`,
      ),
    )
  }

  #named(): string {
    return this.#task.files.map((file) => relative('.', file)).join(', ')
  }

  #tell(mark: string, text: string): void {
    print(`${color.dim(clockTime(Date.now()))}  ${mark} ${text}`)
  }
}

function openPage(url: string): void {
  const [program = '', ...args] =
    process.platform === 'win32'
      ? ['cmd', '/c', 'start', '']
      : [process.platform === 'darwin' ? 'open' : 'xdg-open']
  // Without a browser the address that was printed is all that there is.
  spawn(program, [...args, url], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref()
}
