import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './free-port.ts'

const START_DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 30_000
const PORT_ATTEMPTS = 5
const CONFIG_FILE = 'redis.conf'

export interface RedisOptions {
  /** Left out: a free one. */
  readonly port?: number
  /** Working folder of the server; left out: a new one. Either way `stop` removes it. */
  readonly dir?: string
  /** Passed after (and so over) the defaults, which store nothing on disk. */
  readonly args?: readonly string[]
  /** Lines of a configuration file, which comes before everything else; a sentinel cannot do without one. */
  readonly config?: readonly string[]
}

/** A real redis-server of a test's own. */
export interface RedisServer {
  readonly url: string
  readonly port: number
  readonly dir: string
  /** Of the process that runs now, or ran last. */
  readonly pid: number
  /** Ends the server and removes its folder; tolerates being called twice. */
  stop(): Promise<void>
  /** SIGKILL; the folder stays. Resolves when the process is gone. */
  kill(): Promise<void>
  /** Starts it again on the same port and folder (ending it first, if it runs); resolves when it takes commands. */
  restart(): Promise<void>
}

/** Starts a redis-server (`REDIS_SERVER_BIN`, else the one on the PATH) on 127.0.0.1. Rejects with its output. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'jobcast-redis-')))
  const args = [...(options.args ?? [])]
  await writeFile(join(dir, CONFIG_FILE), (options.config ?? []).join('\n'))
  let { child, port } = await launchOnFreePort(dir, args, options.port)
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    dir,
    get pid() {
      return pidOf(child)
    },
    async stop() {
      await end(child)
      await rm(dir, { recursive: true, force: true })
    },
    async kill() {
      child.kill('SIGKILL')
      await gone(child)
    },
    async restart() {
      await end(child)
      ;({ child, port } = await launch(dir, args, port))
    },
  }
}

interface Launched {
  readonly child: ChildProcess
  readonly port: number
}

/** Between finding a free port and listening on it another process may take it: then another port is tried. */
async function launchOnFreePort(dir: string, args: readonly string[], port?: number): Promise<Launched> {
  if (port !== undefined) return launch(dir, args, port)
  for (let attempt = 1; ; attempt++) {
    try {
      return await launch(dir, args, await freePort())
    } catch (error) {
      if (attempt === PORT_ATTEMPTS || !String(error).includes('Address already in use')) throw error
    }
  }
}

async function launch(dir: string, args: readonly string[], port: number): Promise<Launched> {
  const child = spawn(
    process.env.REDIS_SERVER_BIN ?? 'redis-server',
    [
      join(dir, CONFIG_FILE),
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      dir,
      '--save',
      '',
      '--appendonly',
      'no',
      ...args,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let output = ''
  const collect = (text: Buffer) => {
    output += text.toString()
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  child.on('error', (error) => {
    output += error.message
  })
  // A test run that is cut short takes its servers with it.
  const killAtExit = () => child.kill('SIGKILL')
  process.once('exit', killAtExit)
  child.once('exit', () => process.removeListener('exit', killAtExit))

  const deadline = Date.now() + START_DEADLINE_MS
  while (!(await answersPing(port))) {
    if (isGone(child) || Date.now() > deadline) {
      await end(child)
      throw new Error(`redis-server on port ${port} did not start:\n${output}`)
    }
    await delay(10)
  }
  // Another server's answer on this port would be no proof of ours.
  if (isGone(child)) throw new Error(`redis-server on port ${port} did not start:\n${output}`)
  child.stdout.removeListener('data', collect)
  child.stderr.removeListener('data', collect)
  child.stdout.resume()
  child.stderr.resume()
  return { child, port }
}

function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' }, () => socket.write('PING\r\n'))
    const answer = (ok: boolean) => {
      socket.destroy()
      resolve(ok)
    }
    socket.setTimeout(1000, () => answer(false))
    socket.once('data', (data) => answer(/^(\+PONG|-NOAUTH)/.test(data.toString())))
    socket.once('error', () => answer(false))
    socket.once('end', () => answer(false))
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (isGone(child)) return
  child.kill('SIGTERM')
  // A stopped (SIGSTOP) or paused server does not hear SIGTERM.
  const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
  await gone(child)
  clearTimeout(impatience)
}

async function gone(child: ChildProcess): Promise<void> {
  if (!isGone(child)) await once(child, 'exit')
}

function isGone(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('redis-server has no pid')
  return child.pid
}
