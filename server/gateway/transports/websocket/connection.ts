import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import * as CLOSE from '../../../../shared/close-codes.ts'
import { MAX_LISTED, MAX_SUBSCRIPTIONS } from '../../../../shared/limits.ts'
import type { ClientFrame } from '../../../../shared/protocol.ts'
import type { Auth, Caller } from '../../../auth/auth.ts'
import type { Hub } from '../../hub.ts'
import { filterOf, sizeOf } from '../../lists/list-filter.ts'
import type { Lists } from '../../lists/list-follower.ts'
import { Outbox } from '../../outbox.ts'
import { permitListing, permitWatching } from '../../permit.ts'
import { FrameBudget, parseFrame } from './client-frames.ts'
import { ListSubscription } from './list-subscription.ts'
import { encodeFrame, errorFrame, listErrorFrame } from './server-frames.ts'
import { SocketPipe } from './socket-pipe.ts'
import { Subscription, type SubscriptionOwner } from './subscription.ts'

/** All in ms. */
export interface SocketTimes {
  /** The time between ping frames; a peer silent for 1.5 times as long is gone. */
  readonly heartbeatMs: number
  /** A connection that watches nothing for this long is closed. */
  readonly idleMs: number
  /** A peer that takes no byte for this long is too slow. */
  readonly stallMs: number
  /** What a peer gets to answer a close frame. */
  readonly closeMs: number
}

export interface ConnectionOptions {
  readonly ws: WebSocket
  /** The socket under the WebSocket, which knows what was written and not yet taken. */
  readonly socket: Socket
  readonly hub: Hub
  readonly lists: Lists
  readonly auth: Auth
  /** Who opened the connection, where the upgrade said so. */
  readonly opener: Caller | null
  readonly times: SocketTimes
  /** The first frame. */
  readonly hello: Buffer
  readonly onClosed: (connection: Connection) => void
}

/** Close codes that ws gives to what breaks the WebSocket protocol (RFC 6455, section 7.4.1), by its error's code. */
const VIOLATIONS: Readonly<Record<string, number>> = {
  WS_ERR_INVALID_UTF8: 1007,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 1008,
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 1009,
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 1009,
}
const CLOSE_PROTOCOL_ERROR = 1002

const PING = encodeFrame({ op: 'ping' })
const UNAVAILABLE = encodeFrame({ op: 'ping', unavailable: true })
const PONG = encodeFrame({ op: 'pong' })

const TOO_MANY = `a connection may watch ${MAX_SUBSCRIPTIONS} jobs and lists`
const TOO_MANY_LISTED = `the lists of a connection may have ${MAX_LISTED} jobs together: ask for fewer`

type Subscribe = Omit<Extract<ClientFrame, { op: 'subscribe' }>, 'op'>

type State =
  | { readonly is: 'open' }
  | { readonly is: 'draining'; readonly timer: NodeJS.Timeout }
  | { readonly is: 'closing'; readonly deadline: number }
  | { readonly is: 'closed' }

/**
 * One WebSocket. It reads frames, keeps the limits, and hands each job to a `Subscription`.
 *
 * Modes: `open`; `draining` (works on, and closes soon); `closing` (the close frame is sent, everything is released,
 * nothing is read or sent any more); `closed`.
 */
export class Connection implements SubscriptionOwner {
  readonly #ws: WebSocket
  readonly #hub: Hub
  readonly #lists: Lists
  readonly #auth: Auth
  readonly #opener: Caller | null
  readonly #times: SocketTimes
  readonly #onClosed: (connection: Connection) => void
  readonly #pipe: SocketPipe
  readonly #outbox: Outbox
  /** It is made at the first frame: most connections only listen. */
  #budget: FrameBudget | null = null
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #watchedLists = new Map<string, ListSubscription>()
  #state: State = { is: 'open' }
  /** What this side closed it with; the peer's answer may say otherwise, or never come. */
  #closeCode: number | null = null
  #heardAt = performance.now()
  #pingedAt = this.#heardAt
  #watchedAt = this.#heardAt
  /** What the peer was told last. */
  #isUnavailable = false

  constructor(options: ConnectionOptions) {
    this.#ws = options.ws
    this.#hub = options.hub
    this.#lists = options.lists
    this.#auth = options.auth
    this.#opener = options.opener
    this.#times = options.times
    this.#onClosed = options.onClosed
    this.#pipe = new SocketPipe(options.socket)
    this.#outbox = new Outbox({
      pipe: this.#pipe,
      budget: options.hub.outputBudget,
      stallMs: options.times.stallMs,
      onSlow: () => this.close(CLOSE.slow_consumer, 'slow_consumer'),
      onSent: (events) => this.#hub.traffic.sent('socket', events),
    })
    this.#hub.traffic.opened('socket')
    this.#listen()
    options.socket.on('drain', () => this.#outbox.wake())
    // This is written at once, so that it goes out together with the answer to the upgrade.
    options.socket.write(options.hello)
  }

  subscribe({ jobId, after = '', history = false, token }: Subscribe): void {
    const known = this.#subscriptions.get(jobId)
    if (known === undefined && this.#isFull()) {
      this.#outbox.frame(errorFrame('too_many_subscriptions', TOO_MANY, jobId))
      return
    }
    const subscription = known ?? this.#subscriptionOf(jobId)
    subscription.subscribe({ after, history, permit: () => this.#permit(jobId, token) })
  }

  idle(jobId: string): void {
    this.#subscriptions.delete(jobId)
  }

  /** About once a second: heartbeats, and the verdicts that time brings. */
  sweep(now: number): void {
    if (this.#state.is === 'closing' && now >= this.#state.deadline) this.terminate()
    if (this.#works()) this.#outbox.check(now)
    if (this.#works()) this.#checkIdle(now)
    if (this.#works()) this.#beat(now)
  }

  /** Tells the client to reconnect elsewhere, and closes after `delayMs`. */
  drain(delayMs: number): void {
    if (this.#state.is !== 'open') return
    this.#outbox.frame(encodeFrame({ op: 'drain', reconnectMs: this.#hub.comeBackMs() }))
    this.#state = { is: 'draining', timer: setTimeout(() => this.#closeWhenWritten(), delayMs) }
  }

  /** Sends a close frame and releases everything. Tolerates being called twice. */
  close(code: number, reason: string): void {
    if (!this.#works()) return
    this.#closeCode = code
    this.#release(this.#closing())
    this.#ws.close(code, reason)
  }

  /** Breaks the connection off without a word. */
  terminate(): void {
    this.#ws.terminate()
  }

  #checkIdle(now: number): void {
    if (this.#isWatching()) this.#watchedAt = now
    else if (now - this.#watchedAt >= this.#times.idleMs) this.close(CLOSE.idle, 'idle')
  }

  #beat(now: number): void {
    const { heartbeatMs } = this.#times
    if (now - this.#heardAt >= heartbeatMs * 1.5) {
      this.close(CLOSE.no_pong, 'no_pong')
      this.terminate()
      return
    }
    if (now - this.#pingedAt >= heartbeatMs) {
      this.#pingedAt = now
      this.#ws.ping()
    }
    // Pages never see ping frames. Behind what waits, another frame would tell nothing.
    const isQuiet = now - this.#pipe.writtenAt >= heartbeatMs && this.#outbox.unsent() === 0
    const { unavailable } = this.#hub
    if (!isQuiet && unavailable === this.#isUnavailable) return
    this.#isUnavailable = unavailable
    this.#outbox.frame(unavailable ? UNAVAILABLE : PING)
  }

  #listen(): void {
    this.#ws.on('message', (data, isBinary) => this.#onMessage(data, isBinary))
    this.#ws.on('ping', () => this.#heard())
    this.#ws.on('pong', () => this.#heard())
    this.#ws.on('close', (code) => this.#onClose(code))
    this.#ws.on('error', (error) => this.#onError(error))
  }

  #onMessage(data: unknown, isBinary: boolean): void {
    const now = this.#heard()
    if (!this.#works()) return
    const budget = this.#budget ?? new FrameBudget(now)
    this.#budget = budget
    if (!budget.take(now)) {
      this.#strike(budget, now, errorFrame('rate_limited', 'more than 100 frames a second'))
      return
    }
    if (isBinary || !Buffer.isBuffer(data)) {
      this.#strike(budget, now, errorFrame('bad_frame', 'binary; frames are text, one JSON object each'))
      return
    }
    const parsed = parseFrame(data.toString())
    if (parsed.ok) this.#obey(parsed.frame)
    else this.#strike(budget, now, errorFrame('bad_frame', parsed.why))
  }

  #obey(frame: ClientFrame): void {
    switch (frame.op) {
      case 'subscribe':
        this.subscribe(frame)
        break
      case 'unsubscribe':
        this.#subscriptionOf(frame.jobId).unsubscribe()
        break
      case 'token':
        this.#subscriptionOf(frame.jobId).renew(() => this.#permit(frame.jobId, frame.token))
        break
      case 'watch':
        this.#watch(frame)
        break
      case 'unwatch':
        this.#listOf(frame.list).unwatch()
        break
      case 'ping':
        this.#outbox.frame(PONG)
        break
      case 'pong':
        break
    }
  }

  #subscriptionOf(jobId: string): Subscription {
    const known = this.#subscriptions.get(jobId)
    if (known !== undefined) return known
    const subscription = new Subscription({
      jobId,
      hub: this.#hub,
      outbox: this.#outbox,
      owner: this,
    })
    this.#subscriptions.set(jobId, subscription)
    return subscription
  }

  #watch(frame: Extract<ClientFrame, { op: 'watch' }>): void {
    const { list, token } = frame
    const filter = filterOf(frame)
    const isOneTooMany = !this.#watchedLists.has(list) && this.#isFull()
    if (isOneTooMany || this.#listedBeside(list) + sizeOf(filter) > MAX_LISTED) {
      const message = isOneTooMany ? TOO_MANY : TOO_MANY_LISTED
      this.#outbox.frame(listErrorFrame(list, 'too_many_subscriptions', message))
      return
    }
    const permit = () => permitListing(this.#auth, token, this.#opener)
    this.#listOf(list).watch(filter, permit)
  }

  #listedBeside(list: string): number {
    let jobs = 0
    for (const [name, { size }] of this.#watchedLists) if (name !== list) jobs += size
    return jobs
  }

  #listOf(list: string): ListSubscription {
    const known = this.#watchedLists.get(list)
    if (known !== undefined) return known
    const subscription = new ListSubscription({
      list,
      lists: this.#lists,
      hub: this.#hub,
      outbox: this.#outbox,
      onIdle: () => this.#watchedLists.delete(list),
    })
    this.#watchedLists.set(list, subscription)
    return subscription
  }

  #isFull(): boolean {
    return this.#subscriptions.size + this.#watchedLists.size >= MAX_SUBSCRIPTIONS
  }

  #permit(jobId: string, token: string | undefined) {
    return permitWatching(this.#auth, jobId, token, this.#opener)
  }

  /** Answers a bad frame; the last one allowed ends the connection. */
  #strike(budget: FrameBudget, now: number, answer: Buffer): void {
    this.#outbox.frame(answer)
    if (budget.strike(now)) this.#closeWhenWritten(CLOSE.too_many_errors, 'too_many_errors')
  }

  // Nothing more is taken from the client or for it, but what is queued still goes out first.
  #closeWhenWritten(code: number = CLOSE.restart, reason = 'restart'): void {
    this.#outbox.finish(() => this.close(code, reason))
  }

  #heard(): number {
    this.#heardAt = performance.now()
    return this.#heardAt
  }

  #isWatching(): boolean {
    for (const subscription of this.#subscriptions.values()) if (subscription.isLive) return true
    for (const list of this.#watchedLists.values()) if (list.isLive) return true
    return false
  }

  #works(): boolean {
    return this.#state.is === 'open' || this.#state.is === 'draining'
  }

  /** What breaks the WebSocket protocol is closed by ws itself, with the right code. */
  #onError(error: Error & { code?: unknown }): void {
    if (typeof error.code === 'string' && error.code.startsWith('WS_ERR_')) {
      this.#closeCode ??= VIOLATIONS[error.code] ?? CLOSE_PROTOCOL_ERROR
    }
    this.#release(this.#closing())
  }

  #onClose(code: number): void {
    if (this.#state.is === 'closed') return
    this.#release({ is: 'closed' })
    this.#hub.traffic.closed('socket', this.#closeCode ?? code)
    this.#onClosed(this)
  }

  #closing(): State {
    return { is: 'closing', deadline: performance.now() + this.#times.closeMs }
  }

  #release(next: State): void {
    if (this.#state.is === 'closed') return
    if (this.#state.is === 'draining') clearTimeout(this.#state.timer)
    this.#state = next
    for (const subscription of this.#subscriptions.values()) subscription.dispose()
    this.#subscriptions.clear()
    for (const list of this.#watchedLists.values()) list.dispose()
    this.#watchedLists.clear()
    this.#outbox.close()
  }
}
