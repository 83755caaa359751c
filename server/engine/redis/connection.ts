import { randomUUID } from 'node:crypto'
import { Redis, type RedisOptions } from 'ioredis'
import { Unavailable } from '../errors.ts'
import { list, SCRIPTS, type Script, text } from './scripts.ts'
import {
  AnswerLost,
  describeServer,
  FORMAT,
  failureOf,
  firstLine,
  isBehind,
  type Marks,
  objectionTo,
  objectionToFormat,
  parseInfo,
  type RedisAccess,
  type RedisAddress,
  type ServerInfo,
  UNWELCOME,
  withMarks,
} from './server.ts'

/**
 * Within this time of being sent, or of the last byte that came, a command is answered or given up, so that HTTP can answer within
 * two seconds where the server is away.
 */
export const ANSWER_MS = 1500
/** However much comes, no command takes longer. */
const LONGEST_MS = 30_000
/** What a patient connection takes to be the slowest network, in bytes a ms. */
const SLOWEST = 1000
/** Deadlines are rounded up to this. */
const TIMER_STEP_MS = 50
/** A new connection must be usable within this time, or another one is tried. */
const HANDSHAKE_MS = 3000
/** Between two signs of life that are asked of the server: a silent one is noticed, and left, within 15 s. */
const PROBE_EVERY_MS = 9000
/** What was read of the marks is believed for so long. */
const MARKS_FRESH_MS = 14_000
/** A server that owes an answer for this long is taken to be silent. */
const SILENT_AFTER_MS = 1000
/** A silent connection is given up after this time. */
const SILENCE_MS = 3000
const FIRST_RETRY_MS = 50
const LAST_RETRY_MS = 2000

export interface Answer {
  readonly reply: unknown
  /** It is that of the connection that answered. */
  readonly epoch: string
}

/** Marks that are kept in the store: read at every connection, and from time to time. */
export interface MarkKeys {
  /** Gone once all data were wiped. */
  readonly epoch: string
  /** Which versions may use the store (server.ts). */
  readonly format: string
}

export interface ConnectionOptions {
  readonly address: RedisAccess
  /** Shown by CLIENT LIST. */
  readonly name: string
  /** Keys of the marks that are kept in the store; left out: nobody looks. */
  readonly markKeys?: MarkKeys
  /** Commands may be so large that it takes long to send them: each has as much more time as that may take. */
  readonly isPatient?: boolean
  /** It can be used (again), or was wiped: the epoch tells. */
  readonly onReady: (server: ServerInfo) => void
  readonly onLost: (reason: string) => void
  readonly onMessage?: (channel: string, message: string) => void
}

type Argument = string | number
type Reject = (error: Error) => void

/** One physical connection; it is never used again once it was lost. */
interface Link {
  readonly redis: Redis
  readonly pending: Set<Reject>
  /** When a byte came last, on `performance.now()`: as long as some come the server is there, however long an answer is. */
  heardAt: number
  /** Characters of the commands that have no answer yet, where the connection is patient. */
  unanswered: number
}

/**
 * closed: not wanted. waiting: between two tries. connecting: handshake and INFO. ready: commands may be sent.
 * silent: connected, but an answer is overdue; commands are refused until it comes or the connection is given up.
 */
type State =
  | { readonly kind: 'closed' }
  | { readonly kind: 'waiting'; readonly timer: NodeJS.Timeout }
  | { readonly kind: 'connecting'; readonly link: Link; readonly timer: NodeJS.Timeout }
  | { readonly kind: 'ready'; readonly link: Link; readonly server: ServerInfo }
  | {
      readonly kind: 'silent'
      readonly link: Link
      readonly server: ServerInfo
      readonly timer: NodeJS.Timeout
    }

/**
 * A connection to Redis that is kept up for ever, and the only place that knows ioredis. ioredis may leave commands
 * unsettled when it reconnects by itself, so it is never let: every physical connection is an instance of its own, and
 * what it still owes when it is lost is settled here. Nothing waits for a connection: where there is none, a command
 * fails at once. Before anything else goes over a new connection, INFO tells which life of which server it is.
 */
export class Connection {
  readonly #options: ConnectionOptions
  #state: State = { kind: 'closed' }
  #reason = 'is not connected'
  /** No retry will help: a person has to change something. */
  #hopeless = false
  #tries = 0
  #probe: NodeJS.Timeout | undefined
  /** When the marks were read last, on `performance.now()`. */
  #marksReadAt = Number.NEGATIVE_INFINITY
  readonly #waiters = new Set<() => void>()

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  /** What keeps it from being used, for an operator: one line, no secret in it. */
  get reason(): string {
    return `${this.name} ${this.#reason}`
  }

  /** It is for people. */
  get name(): string {
    return `Redis at ${this.#options.address.name}`
  }

  /** Whether no retry will help; the reason then says what to do. */
  get isHopeless(): boolean {
    return this.#hopeless
  }

  get isReady(): boolean {
    return this.#state.kind === 'ready'
  }

  open(): void {
    if (this.#state.kind !== 'closed') return
    this.#probe = setInterval(() => void this.#probeLife(), PROBE_EVERY_MS)
    if (this.#options.address.isBackground) this.#probe.unref()
    this.#connect()
  }

  /** Resolves once it is ready; rejects with `Unavailable` after `timeoutMs`, or at once where waiting cannot help. */
  async whenReady(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (this.#state.kind !== 'ready') {
      const left = deadline - performance.now()
      if (left <= 0 || this.#hopeless || this.#state.kind === 'closed') throw new Unavailable(this.reason)
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          this.#waiters.delete(done)
          resolve()
        }
        const timer = setTimeout(done, left)
        this.#waiters.add(done)
      })
    }
  }

  close(): void {
    clearInterval(this.#probe)
    this.#reason = 'is not connected'
    this.#leave({ kind: 'closed' })
  }

  /**
   * Rejects with `Unavailable` where nothing was changed (not sent, or refused by a server that takes no commands now),
   * with `AnswerLost` or `ScriptBroken` where that is not known, and with the server's error where the command itself is wrong.
   */
  send(command: string, args: Argument[], deadlineMs = ANSWER_MS): Promise<Answer> {
    const state = this.#state
    if (state.kind !== 'ready') return Promise.reject(new Unavailable(this.reason))
    const { link, server } = state
    const sentAt = performance.now()
    const size = this.#options.isPatient === true ? sizeOf(args) : 0
    link.unanswered += size
    // Node keeps timers of one length in one list; a length of its own for each would make a list for each.
    const withinMs = Math.ceil((deadlineMs + link.unanswered / SLOWEST) / TIMER_STEP_MS) * TIMER_STEP_MS
    return new Promise((resolve, reject) => {
      let isSettled = false
      const leftMs = () => Math.min(link.heardAt + withinMs, sentAt + LONGEST_MS) - performance.now()
      const lookAtTime = () => {
        const left = leftMs()
        // This process may have stood still meanwhile, with the answer before its door: it is let in before anybody judges.
        if (left >= 1) timer = setTimeout(lookAtTime, left)
        else setImmediate(judge)
      }
      const judge = () => {
        if (isSettled) return
        if (leftMs() >= 1) {
          lookAtTime()
          return
        }
        reject(new AnswerLost(`${this.name} did not answer in time`))
        // A caller in a hurry says nothing about the server.
        if (withinMs >= SILENT_AFTER_MS) this.#fallSilent(link)
        else timer = setTimeout(() => this.#fallSilent(link), SILENT_AFTER_MS - withinMs)
      }
      let timer = setTimeout(lookAtTime, withinMs)
      const finish = () => {
        isSettled = true
        clearTimeout(timer)
        link.pending.delete(giveUp)
        this.#letEnd(link)
        link.unanswered -= size
      }
      const giveUp: Reject = (error) => {
        isSettled = true
        clearTimeout(timer)
        reject(error)
      }
      link.pending.add(giveUp)
      if (this.#options.address.isBackground) link.redis.stream.ref()
      link.redis.call(command, args).then(
        (reply) => {
          finish()
          resolve({ reply, epoch: server.epoch })
        },
        (error: Error) => {
          finish()
          reject(failureOf(error, command, this))
          // It was the master once: whoever is it now is found by connecting anew.
          if (error.message.startsWith('READONLY')) this.#lose(link, 'is a read-only replica')
        },
      )
    })
  }

  /** Runs a script by its digest, or by its source where the server does not know it (any more). */
  async run(script: Script, key: string, args: readonly Argument[], deadlineMs = ANSWER_MS): Promise<Answer> {
    const deadline = performance.now() + deadlineMs
    try {
      return await this.send('evalsha', [script.sha, 1, key, ...args], deadlineMs)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes('NOSCRIPT')) throw error
      const left = Math.max(1, deadline - performance.now())
      return await this.send('eval', [script.source, 1, key, ...args], left)
    }
  }

  #connect(): void {
    const redis = dial(this.#options.address, {
      name: `jobcast-${this.#options.name}`,
      timeoutMs: HANDSHAKE_MS,
      tries: this.#tries,
    })
    const link: Link = { redis, pending: new Set(), heardAt: 0, unanswered: 0 }
    const timer = setTimeout(() => this.#lose(link, 'does not answer'), HANDSHAKE_MS)
    this.#enter({ kind: 'connecting', link, timer })
    redis.on('error', (error: Error) => {
      if (UNWELCOME.test(error.message)) {
        this.#lose(
          link,
          `cannot be used (${firstLine(error)}): correct ${this.#options.address.names.redis}`,
          true,
        )
      } else this.#lose(link, `cannot be used (${firstLine(error)})`)
    })
    redis.on('end', () => this.#lose(link, 'closed the connection'))
    redis.on('ready', () => {
      redis.stream.on('data', () => this.#hear(link))
      void this.#inspect(link)
    })
    const { onMessage } = this.#options
    if (onMessage !== undefined) redis.on('message', onMessage)
    redis.connect().catch((error: Error) => this.#lose(link, `cannot be reached (${firstLine(error)})`))
  }

  /** Learns from INFO which server this is, and whether it may be used. */
  async #inspect(link: Link): Promise<void> {
    let server: ServerInfo
    try {
      const fields = parseInfo(await link.redis.info())
      const objection = objectionTo(fields)
      if (objection !== null) {
        this.#lose(link, objection.reason, objection.hopeless)
        return
      }
      const marks = await this.#leaveMarks(link)
      const unreadable = objectionToFormat(marks.format, this.#options.address.names.prefix)
      if (unreadable !== null) {
        this.#lose(link, unreadable, true)
        return
      }
      server = describeServer(fields, marks)
    } catch (error) {
      this.#lose(link, `cannot be used (${firstLine(error)})`)
      return
    }
    if (this.#state.kind !== 'connecting' || this.#state.link !== link) return
    clearTimeout(this.#state.timer)
    this.#tries = 0
    this.#letEnd(link)
    this.#enter({ kind: 'ready', link, server })
    this.#options.onReady(server)
  }

  /** Where nobody waits for an answer, a process that has nothing else to do may end. */
  #letEnd({ redis, pending }: Link): void {
    if (this.#options.address.isBackground && pending.size === 0) redis.stream.unref()
  }

  #isCurrent(link: Link): boolean {
    return 'link' in this.#state && this.#state.link === link
  }

  #fallSilent(link: Link): void {
    if (this.#state.kind !== 'ready' || this.#state.link !== link) return
    // It is slow, but it is there.
    if (performance.now() - link.heardAt < SILENT_AFTER_MS) return
    const { server } = this.#state
    const timer = setTimeout(() => this.#lose(link, 'does not answer'), SILENCE_MS)
    this.#reason = 'does not answer'
    this.#enter({ kind: 'silent', link, server, timer })
    this.#options.onLost(this.reason)
  }

  /** Something came, be it late. */
  #hear(link: Link): void {
    link.heardAt = performance.now()
    if (this.#state.kind !== 'silent' || this.#state.link !== link) return
    const { server, timer } = this.#state
    clearTimeout(timer)
    this.#enter({ kind: 'ready', link, server })
    this.#options.onReady(server)
  }

  #lose(link: Link, reason: string, hopeless = false): void {
    if (!this.#isCurrent(link)) return
    const wasReady = this.#state.kind === 'ready'
    this.#reason = reason
    this.#hopeless = hopeless
    const ceiling = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#tries, 10))
    this.#tries += 1
    const timer = setTimeout(() => this.#connect(), ceiling * (0.5 + Math.random() / 2))
    if (this.#options.address.isBackground) timer.unref()
    this.#leave({ kind: 'waiting', timer })
    if (wasReady) this.#options.onLost(this.reason)
  }

  /** Gives up the connection there is, settling what it owes, for a state without one. */
  #leave(next: State): void {
    const state = this.#state
    this.#enter(next)
    if ('timer' in state) clearTimeout(state.timer)
    if (!('link' in state)) return
    const { redis, pending } = state.link
    for (const giveUp of pending) giveUp(new AnswerLost(`the connection was lost: ${this.reason}`))
    pending.clear()
    redis.removeAllListeners('message')
    redis.disconnect()
    // Half-open connections would take their time to close.
    redis.stream?.destroy()
  }

  #enter(state: State): void {
    this.#state = state
    for (const wake of [...this.#waiters]) wake()
  }

  /** The marks that stand in the store, new ones where there were none. Rejects as ioredis does. */
  async #leaveMarks({ redis }: Link): Promise<Marks> {
    const { markKeys } = this.#options
    if (markKeys === undefined) return { mark: '', format: '' }
    let [mark, format] = await redis.mget(markKeys.epoch, markKeys.format)
    // A server that is full refuses them: it has them already, or gets them once there is room.
    if (isBehind(format ?? '')) {
      const { version, oldest } = FORMAT
      const raised = redis.eval(SCRIPTS.format.source, 1, markKeys.format, version, oldest)
      format = String(await raised.catch(() => format ?? ''))
    }
    if (mark === null) {
      await redis.setnx(markKeys.epoch, randomUUID()).catch(() => undefined)
      mark = await redis.get(markKeys.epoch)
    }
    return { mark: mark ?? '', format: format ?? '' }
  }

  /** Asks for a sign of life, without which it falls silent; notices a store that was wiped. Never rejects. */
  async askForLife(deadlineMs = ANSWER_MS): Promise<void> {
    if (this.#state.kind !== 'ready') return
    const { markKeys } = this.#options
    try {
      // The deadline matters: it is what notices a connection that has died silently.
      if (markKeys === undefined) await this.send('ping', [], deadlineMs)
      else this.noteMarks(await this.send('mget', [markKeys.epoch, markKeys.format], deadlineMs))
    } catch {
      // Whatever it was, the state of the connection tells.
    }
  }

  /**
   * The marks as an answer has them, `[epoch, format]`: whoever reads them along with something else spares asking for
   * them. A store that is of a newer version by now is left.
   */
  noteMarks({ reply, epoch }: Answer): void {
    const state = this.#state
    if (state.kind !== 'ready' || epoch !== state.server.epoch) return
    this.#marksReadAt = performance.now()
    const [mark = '', format = ''] = list(reply).map((cell) => (cell === null ? '' : text(cell)))
    const { server } = state
    if (mark === server.mark && format === server.format) return
    const unreadable = objectionToFormat(format, this.#options.address.names.prefix)
    if (unreadable !== null) this.#lose(state.link, unreadable, true)
    else void this.#renewMarks(state)
  }

  #probeLife(): Promise<void> | undefined {
    return performance.now() - this.#marksReadAt < MARKS_FRESH_MS ? undefined : this.askForLife()
  }

  async #renewMarks(state: Extract<State, { kind: 'ready' }>): Promise<void> {
    try {
      const marks = await this.#leaveMarks(state.link)
      if (this.#state !== state) return
      const server = withMarks(state.server, marks)
      this.#enter({ ...state, server })
      if (marks.mark !== state.server.mark) this.#options.onReady(server)
    } catch {
      // The connection is lost, and the next one reads the marks.
    }
  }
}

/** What one attempt to connect is given. */
interface Attempt {
  /** Shown by CLIENT LIST. */
  readonly name: string
  readonly timeoutMs: number
  /** Attempts since the last one that succeeded: each asks another sentinel first. */
  readonly tries: number
}

/** A connection that is not open yet, made for one life: it neither reconnects nor keeps commands for later. */
function dial(address: RedisAddress, { name, timeoutMs, tries }: Attempt): Redis {
  const once = {
    lazyConnect: true,
    connectionName: name,
    connectTimeout: timeoutMs,
    disableClientInfo: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
    retryStrategy: () => null,
  } satisfies RedisOptions
  if (address.kind === 'server') return new Redis(address.url, once)
  const { sentinels, master, username, password, database, tls } = address
  const first = tries % sentinels.length
  return new Redis({
    ...once,
    sentinels: [...sentinels.slice(first), ...sentinels.slice(0, first)],
    name: master,
    role: 'master',
    db: database,
    sentinelRetryStrategy: () => null,
    sentinelCommandTimeout: timeoutMs,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: {}, enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  })
}

function sizeOf(args: readonly Argument[]): number {
  let characters = 0
  for (const argument of args) if (typeof argument === 'string') characters += argument.length
  return characters
}
