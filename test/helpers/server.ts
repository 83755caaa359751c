import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from './until.ts'

const MAIN = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))
/** For a server that has the types of `examples/samples/`. */
export const SAMPLES = {
  JOBCAST_JOBS: fileURLToPath(new URL('../../dist/examples/samples/index.js', import.meta.url)),
}

const READY_MS = 60_000

export interface ServerProcess {
  /** `http://127.0.0.1:PORT`; empty for a worker without a port. */
  readonly url: string
  readonly port: number
  readonly pid: number
  /** What it printed so far. */
  readonly output: { readonly stdout: string; readonly stderr: string }
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** SIGTERM, then waits for its end; the exit code. */
  stop(): Promise<number | null>
  /** SIGKILL, then waits for its end. */
  kill(): Promise<void>
  signal(signal: NodeJS.Signals): void
}

/** Starts the built server (`dist/`) as a process of its own and waits for its ready line. */
export async function startServer(env: Record<string, string> = {}): Promise<ServerProcess> {
  const child = spawnServer(env)
  const ready = await readyLine(child)
  const port = Number(/:(\d+)(?:\/.*)?$/.exec(ready)?.[1] ?? 0)
  return {
    url: port === 0 ? '' : `http://127.0.0.1:${port}`,
    port,
    pid: child.process.pid ?? 0,
    output: child.output,
    exited: child.exited,
    async stop() {
      child.process.kill('SIGTERM')
      return (await child.exited).code
    },
    async kill() {
      child.process.kill('SIGKILL')
      await child.exited
    },
    signal: (signal) => void child.process.kill(signal),
  }
}

/** Starts the built server where it is expected to end by itself. */
export async function runServer(
  env: Record<string, string>,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawnServer(env)
  const { code } = await child.exited
  return { code, ...child.output }
}

/** A data folder for the embedded engine that outlives a restart; `remove` takes it away. */
export async function dataFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'jobcast-data-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

interface Child {
  readonly process: ChildProcess
  readonly output: { stdout: string; stderr: string }
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

function spawnServer(env: Record<string, string>): Child {
  const { PATH, HOME } = process.env
  const child = spawn(process.execPath, [MAIN], {
    env: { ...(PATH && { PATH }), ...(HOME && { HOME }), PORT: '0', JOBCAST_LOG: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  return { process: child, output, exited }
}

async function readyLine(child: Child): Promise<string> {
  const ended = child.exited.then(({ code }) => {
    throw new Error(`the server ended with code ${code} before it was ready: ${child.output.stderr}`)
  })
  ended.catch(() => {})
  const look = () => /^jobcast (listening|worker ready).*$/m.exec(child.output.stdout)?.[0]
  try {
    return await Promise.race([ended, until(look, { timeoutMs: READY_MS, what: 'the server to be ready' })])
  } catch (error) {
    child.process.kill('SIGKILL')
    throw new Error(`${String(error)}\n${child.output.stderr}`)
  }
}
