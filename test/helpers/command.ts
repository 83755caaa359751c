import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from './until.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const COMMAND = join(ROOT, 'dist/cli/main.js')
const WAIT_MS = 60_000

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunningCommand {
  readonly output: { stdout: string; stderr: string }
  readonly ended: Promise<Ended>
  /** Resolves once it has printed that, anywhere. */
  prints(what: RegExp): Promise<void>
  write(text: string): void
  /** To it and, as a terminal's Ctrl-C, to what it has started. */
  signal(signal: NodeJS.Signals): void
}

export interface CommandOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** Runs it on a pseudo terminal of so many columns. */
  readonly columns?: number
}

/** Starts the built command in a process group of its own. */
export function startCommand(args: readonly string[], options: CommandOptions = {}): RunningCommand {
  const { PATH, HOME } = process.env
  const { cwd, env, input, columns } = options
  const own = [process.execPath, COMMAND, ...args]
  const line = `stty cols ${columns} rows 24; exec ${own.map((arg) => `'${arg}'`).join(' ')}`
  const [program = '', ...rest] = columns === undefined ? own : ['script', '-qec', line, '/dev/null']
  const child: ChildProcessWithoutNullStreams = spawn(program, rest, {
    ...(cwd !== undefined && { cwd }),
    env: { ...(PATH && { PATH }), ...(HOME && { HOME }), TERM: 'xterm', ...env },
    detached: true,
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  child.stdin.on('error', () => {})
  if (columns === undefined) child.stdin.end(input)
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => resolve({ code, ...output }))
  })
  return {
    output,
    ended,
    prints: (what) =>
      until(() => what.test(output.stdout + output.stderr), {
        timeoutMs: WAIT_MS,
        what: `${what} in ${args.join(' ')}`,
      }).then(() => {}),
    write: (text) => void child.stdin.write(text),
    signal: (signal) => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal)
    },
  }
}

export function runCommand(args: readonly string[], options?: CommandOptions): Promise<Ended> {
  return startCommand(args, options).ended
}

/** A project of a user's in a folder of its own, in which `jobcast` and `zod` are installed. */
export async function createProject(files: Readonly<Record<string, string>>): Promise<{
  readonly path: string
  write(name: string, text: string): Promise<void>
  remove(): Promise<void>
}> {
  const path = await mkdtemp(join(tmpdir(), 'jobcast-project-'))
  const write = async (name: string, text: string) => {
    await mkdir(dirname(join(path, name)), { recursive: true })
    await writeFile(join(path, name), text)
  }
  await mkdir(join(path, 'node_modules'))
  await symlink(ROOT, join(path, 'node_modules/jobcast'))
  await symlink(join(ROOT, 'node_modules/zod'), join(path, 'node_modules/zod'))
  for (const [name, text] of Object.entries(files)) await write(name, text)
  return { path, write, remove: () => rm(path, { recursive: true, force: true }) }
}
