import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { freePort } from './free-port.ts'
import { until } from './until.ts'

/** A server program of the distribution that runs for a test alone. */
export interface Tool {
  readonly child: ChildProcess
  readonly ports: readonly number[]
  stop(): Promise<void>
}

interface Launch {
  readonly name: string
  /** How many ports it listens on; it is there once the last one answers HTTP. */
  readonly ports: number
  /** Writes its configuration into the folder; what to run. */
  prepare(folder: string, ports: readonly number[]): Promise<readonly [command: string, ...args: string[]]>
}

const PORT_ATTEMPTS = 5

/** Starts a program in the foreground, with all of its files in a new folder, on ports of 127.0.0.1 that were free. */
export async function launchTool({ name, ports: count, prepare }: Launch): Promise<Tool> {
  const folder = await mkdtemp(join(tmpdir(), `jobcast-${name}-`))
  for (let attempt = 1; ; attempt++) {
    const ports = await Promise.all(Array.from({ length: count }, freePort))
    try {
      return await launch(name, folder, ports, await prepare(folder, ports))
    } catch (error) {
      if (attempt < PORT_ATTEMPTS && /address already in use|cannot bind/i.test(String(error))) continue
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }
}

async function launch(
  name: string,
  folder: string,
  ports: readonly number[],
  [command, ...args]: readonly [string, ...string[]],
): Promise<Tool> {
  // Where Debian has servers, which is not on everybody's PATH.
  const env = { PATH: [process.env.PATH, '/usr/sbin'].join(delimiter), HOME: folder }
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env })
  let said = ''
  const note = (text: Buffer) => {
    said += text.toString()
  }
  child.stdout.on('data', note)
  child.stderr.on('data', note)
  let failure: Error | null = null
  child.on('error', (error) => {
    failure = error
  })
  const exited = once(child, 'exit').catch(() => {})
  // A test run that is cut short takes it along.
  const killAtExit = () => child.kill('SIGTERM')
  process.once('exit', killAtExit)
  void exited.then(() => process.removeListener('exit', killAtExit))
  const url = `http://127.0.0.1:${ports.at(-1)}/healthz`
  await until(async () => failure !== null || child.exitCode !== null || (await answers(url)), {
    what: `${name} to answer`,
  })
  if (failure !== null) throw failure
  if (child.exitCode !== null) throw new Error(`${name} did not start: ${said}`)
  return {
    child,
    ports,
    async stop() {
      child.kill('SIGTERM')
      await exited
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(url).catch(() => null)
  await response?.body?.cancel()
  return response !== null
}
