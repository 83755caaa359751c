import { type ChildProcess, spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inject } from 'vitest'
import { until } from '../../helpers/until.ts'

const EXAMPLES = fileURLToPath(new URL('../../../examples/', import.meta.url))
const READY_MS = 120_000
/** What is told to end and does not is killed after so long. */
const END_MS = 15_000

/** How each package manager installs what a folder names, and runs a command of it. */
const MANAGERS = {
  npm: {
    install: ['npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--no-progress'],
    exec: ['npx'],
  },
  pnpm: { install: ['pnpm', 'install', '--prefer-offline'], exec: ['pnpm', 'exec'] },
  bun: { install: ['bun', 'install'], exec: ['bun', 'x', '--bun'] },
} as const

export interface InstallOptions {
  /** Versions in place of those that the example names. */
  readonly versions?: Readonly<Record<string, string>>
  readonly manager?: keyof typeof MANAGERS
  /** For all that is run there. */
  readonly env?: Readonly<Record<string, string>>
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>
  /** What it prints once it can be used. */
  readonly ready: RegExp
}

export interface Running {
  /** What it printed so far, both streams in one. */
  readonly output: () => string
  /** What `ready` found. */
  readonly match: RegExpExecArray
  /** Ends it and all that it started; resolves to its exit code. */
  stop(): Promise<number | null>
}

/** An example in a folder of its own, installed with the packed package. */
export class Example {
  readonly folder: string
  /** What stands before a command that a dependency brings. */
  readonly exec: readonly string[]
  readonly #env: Readonly<Record<string, string>>
  readonly #running = new Set<Running>()

  private constructor(folder: string, exec: readonly string[], env: Readonly<Record<string, string>>) {
    this.folder = folder
    this.exec = exec
    this.#env = env
  }

  /** Copies `examples/NAME` and installs what it depends on. */
  static async install(
    name: string,
    { versions = {}, manager = 'npm', env = {} }: InstallOptions = {},
  ): Promise<Example> {
    const folder = await mkdtemp(join(tmpdir(), `jobcast-example-${name}-`))
    await cp(join(EXAMPLES, name), folder, { recursive: true, filter: (path) => !IS_MADE.test(path) })
    const { install, exec } = MANAGERS[manager]
    const example = new Example(folder, exec, env)
    await example.#edit(versions)
    await example.run(install)
    return example
  }

  /** Runs a command to its end; resolves to what it printed. Rejects with that where it fails. */
  async run(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const child = this.#spawn(command, env)
    const code = await child.exited
    if (code === 0) return child.output()
    throw new Error(`${command.join(' ')} ended with ${code}:\n${child.output()}`)
  }

  /** Starts what goes on until it is stopped, and waits until it is ready. */
  async start(command: readonly string[], { env = {}, ready }: StartOptions): Promise<Running> {
    const child = this.#spawn(command, env)
    const running = {
      output: child.output,
      stop: async () => {
        this.#running.delete(handle)
        await child.end()
        return child.exited
      },
    }
    const handle: Running = Object.assign(running, { match: await this.#ready(child, command, ready) })
    this.#running.add(handle)
    return handle
  }

  /** Ends whatever still runs and takes the folder away. */
  async remove(): Promise<void> {
    await Promise.all([...this.#running].map((running) => running.stop()))
    await rm(this.folder, { recursive: true, force: true })
  }

  async #ready(child: Child, command: readonly string[], ready: RegExp): Promise<RegExpExecArray> {
    const ended = child.exited.then((code) => {
      throw new Error(`it ended with ${code}`)
    })
    ended.catch(() => {})
    try {
      const look = () => ready.exec(child.output())
      return await Promise.race([ended, until(look, { timeoutMs: READY_MS, what: String(ready) })])
    } catch (error) {
      await child.end()
      throw new Error(`${command.join(' ')}: ${String(error)}\n${child.output()}`)
    }
  }

  /** The package comes from where it was packed. */
  async #edit(versions: Readonly<Record<string, string>>): Promise<void> {
    const path = join(this.folder, 'package.json')
    const manifest = JSON.parse(await readFile(path, 'utf8'))
    const wanted: Readonly<Record<string, string>> = { ...versions, jobcast: `file:${inject('tarball')}` }
    for (const dependencies of [manifest.dependencies, manifest.devDependencies ?? {}])
      for (const name of Object.keys(dependencies)) dependencies[name] = wanted[name] ?? dependencies[name]
    await writeFile(path, JSON.stringify(manifest, null, 2))
  }

  #spawn([command = '', ...args]: readonly string[], env: Readonly<Record<string, string>>): Child {
    return spawnChild(command, args, this.folder, { ...this.#env, ...env })
  }
}

/** What an example leaves beside its sources when somebody has tried it in place. */
const IS_MADE =
  /[\\/](?:node_modules|\.next|\.data|dist|package-lock\.json|pnpm-lock\.yaml|bun\.lock|deno\.lock)$/

interface Child {
  readonly output: () => string
  readonly exited: Promise<number | null>
  end(): Promise<void>
}

function spawnChild(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): Child {
  const child: ChildProcess = spawn(command, args, {
    cwd,
    env: { ...environment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // The head of a group: what it starts ends with it.
    detached: true,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  exited.catch(() => {})
  const signal = (name: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name)
    } catch {
      // Nothing of the group is left.
    }
  }
  return {
    output: () => output,
    exited,
    async end() {
      signal('SIGTERM')
      const timer = setTimeout(() => signal('SIGKILL'), END_MS)
      await exited.catch(() => {})
      clearTimeout(timer)
      signal('SIGKILL')
    },
  }
}

/** The folders of commands, with these before all others, and without those that only tests see. */
export function pathWith(...folders: readonly string[]): string {
  // `npm run` and Vitest put the repository's own commands there.
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
  return [...folders, dirname(process.execPath), ...path].join(delimiter)
}

/** Nothing of the tests' own: an example sees a shell that somebody has just opened. */
function environment(): Record<string, string> {
  const { HOME = '', LANG = 'C.UTF-8' } = process.env
  return {
    HOME,
    LANG,
    PATH: pathWith(),
    NEXT_TELEMETRY_DISABLED: '1',
    NO_COLOR: '1',
    NO_UPDATE_NOTIFIER: '1',
  }
}
