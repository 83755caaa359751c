import { readdir, readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { type ServerProcess, startServer } from '../../helpers/server.ts'

const HEAP_PROBE = fileURLToPath(new URL('./heap-probe.mjs', import.meta.url))

/** A process of Jobcast, which may die and be started again, at the same address. */
export class Node {
  readonly role: 'all' | 'api' | 'worker'
  /** What every one of its processes wrote to standard error, since `forgetLogs` was called. */
  readonly logs: { readonly stderr: string }[] = []
  readonly #env: Readonly<Record<string, string>>
  #process: ServerProcess
  #alive = true
  #restarting: Promise<void> = Promise.resolve()

  static async start(role: Node['role'], env: Record<string, string>): Promise<Node> {
    const { NODE_OPTIONS = '' } = env
    const whole = {
      ...env,
      JOBCAST_ROLE: role,
      JOBCAST_LOG: 'info',
      NODE_OPTIONS: `--import ${HEAP_PROBE} ${NODE_OPTIONS}`,
    }
    const process = await startServer(whole)
    // Others find an api where it was.
    const PORT = role === 'worker' ? '0' : String(process.port)
    return new Node(role, { ...whole, PORT }, process)
  }

  private constructor(role: Node['role'], env: Record<string, string>, process: ServerProcess) {
    this.role = role
    this.#env = env
    this.#process = process
    this.logs.push(process.output)
    this.#notice(process)
  }

  get url(): string {
    return this.#process.url
  }

  get pid(): number {
    return this.#process.pid
  }

  get isAlive(): boolean {
    return this.#alive
  }

  get exited(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return this.#process.exited
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#restarting.catch(() => {})
    this.#alive = false
    await this.#process.kill()
  }

  /** SIGTERM; the exit code. */
  stop(): Promise<number | null> {
    this.#alive = false
    return this.#process.stop()
  }

  /** SIGSTOP: it stands still, and its connections stay. */
  freeze(): void {
    this.#process.signal('SIGSTOP')
  }

  /** SIGCONT. */
  thaw(): void {
    this.#process.signal('SIGCONT')
  }

  /** Starts it again, after it has ended, an api at the same address. Rejects where it does not become ready. */
  restart(): Promise<void> {
    this.#restarting = this.#restart()
    return this.#restarting
  }

  /** Open files, sockets among them. */
  async openFiles(): Promise<number> {
    return (await readdir(`/proc/${this.pid}/fd`)).length
  }

  /** What its JavaScript and the buffers of that hold after a full collection, in bytes. */
  async heap(): Promise<number> {
    return Number(await text(connect(`${this.#env.JOBCAST_TEST_HEAP}${this.pid}`)))
  }

  /** What it occupies of the machine's memory, in bytes. */
  async memory(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8')
    return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1])
  }

  forgetLogs(): void {
    const { output } = this.#process
    const from = output.stderr.length
    const since = {
      get stderr() {
        return output.stderr.slice(from)
      },
    }
    this.logs.splice(0, this.logs.length, since)
  }

  async #restart(): Promise<void> {
    await this.#process.exited
    this.#process = await startServer({ ...this.#env })
    this.logs.push(this.#process.output)
    this.#alive = true
    this.#notice(this.#process)
  }

  #notice(process: ServerProcess): void {
    void process.exited.then(() => {
      if (process === this.#process) this.#alive = false
    })
  }
}
