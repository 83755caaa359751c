import * as CLOSE from '../../shared/close-codes.ts'
import { HEARTBEAT_MS, MAX_SUBSCRIPTIONS } from '../../shared/limits.ts'
import type { ClientFrame, ServerFrame } from '../../shared/protocol.ts'
import { JobcastError } from '../errors.ts'
import { isRecord } from '../http.ts'
import { Attempts, reconnectDelayMs } from '../retry.ts'
import { startTimeout, type Timer } from '../time.ts'
import {
  type CarriedJob,
  type CarriedList,
  type Link,
  type LinkOptions,
  type ListCarrier,
  type ListFrame,
  rouse,
} from './link.ts'

/** What is used of a WebSocket; the browser's own and the one of `ws` both have it. */
export interface SocketLike {
  send(data: string): void
  close(code?: number): void
  onopen: unknown
  onmessage: unknown
  onclose: unknown
  onerror: unknown
}

export type SocketConstructor = new (url: string) => SocketLike

export interface SocketOptions extends LinkOptions {
  readonly WebSocket: SocketConstructor
  readonly url: string
}

type State =
  | { readonly kind: 'waiting'; readonly timer: Timer }
  | { readonly kind: 'connecting'; readonly socket: SocketLike; readonly timer: Timer }
  | {
      readonly kind: 'open'
      readonly socket: SocketLike
      readonly silenceMs: number
      timer: Timer
      doubtedAt: number
      isUnavailable: boolean
    }
  | { readonly kind: 'closed' }

type JobFrame = Exclude<
  ServerFrame,
  { op: 'hello' | 'drain' | 'ping' | 'pong' | 'list' | 'changes' | 'unwatched' }
> & { readonly jobId: string }

/** `asked`: the answer to `subscribe` is awaited, and what still comes of before is not wanted. */
type Carriage = {
  readonly job: CarriedJob
  phase: 'pending' | 'asked' | 'live' | 'renewing' | { readonly resting: Timer }
  /** Times in a row that the subscription had to be made anew without an event in between. */
  repeats: number
}

/** How long `hello` may take, from the beginning of the connection. */
const HELLO_MS = 5000
/** How long the answer to a ping may take where the connection is in doubt. */
const PONG_MS = 3000
/** Closes that speak of the server or of our slowness, not of the way to it. 1001 comes from proxies only. */
const BLAMELESS: readonly number[] = [
  CLOSE.restart,
  CLOSE.overloaded,
  CLOSE.slow_consumer,
  CLOSE.session_too_old,
]

/**
 * All jobs over one WebSocket.
 *
 * `connecting` until `hello`, then `open`: every job is subscribed with its cursor. When the socket closes, breaks
 * or is silent for too long it is `waiting` for the next attempt, and its jobs are interrupted. `closed` is final:
 * closed by its owner, or the server forbade to connect again.
 */
export class SocketLink implements Link {
  readonly transport = 'websocket'
  readonly #options: SocketOptions
  readonly #attempts: Attempts
  readonly #carriages = new Map<string, Carriage>()
  #lists: ListCarrier | null = null
  #state: State
  #capacity = MAX_SUBSCRIPTIONS
  /** When the last frame came, and the last that was no heartbeat. */
  #heardAt = 0
  #answeredAt = 0
  /** The former by the wall clock, which goes on while a machine sleeps. */
  #heardOn = 0
  /** How long the server asked to stay away after it closes, in ms, and until when. */
  #floorMs = 0
  #awayUntil = 0

  constructor(options: SocketOptions) {
    this.#options = options
    this.#attempts = new Attempts(options.random, options.n)
    this.#state = { kind: 'waiting', timer: setTimeout(() => this.#connect(), options.delayMs) }
    if (options.delayMs === 0) this.#connect()
  }

  get phase(): Link['phase'] {
    const state = this.#state
    if (state.kind === 'open') return state.isUnavailable ? 'unavailable' : 'open'
    return state.kind === 'closed' ? 'waiting' : state.kind
  }

  get capacity(): number {
    return Math.max(1, this.#capacity - (this.#lists?.size ?? 0))
  }

  carry(job: CarriedJob): void {
    this.drop(job, false)
    const carriage: Carriage = { job, phase: 'pending', repeats: 0 }
    this.#carriages.set(job.jobId, carriage)
    if (this.#state.kind === 'open') this.#ask(carriage)
  }

  carries(job: CarriedJob): boolean {
    return this.#carriages.get(job.jobId)?.job === job
  }

  drop(job: CarriedJob, tell = true): void {
    const carriage = this.#carriages.get(job.jobId)
    if (carriage === undefined || carriage.job !== job) return
    rouse(carriage)
    this.#carriages.delete(job.jobId)
    if (tell) this.#send({ op: 'unsubscribe', jobId: job.jobId })
  }

  carrierOf(list: CarriedList): ListCarrier {
    if (this.#lists === null) {
      this.#lists = list.carrierOver((frame) => this.#send(frame), this.#options.random)
      if (this.phase === 'open') this.#lists.opened()
    }
    return this.#lists
  }

  credentialChanged(job: CarriedJob): void {
    const { credential } = job
    if (!this.carries(job) || credential === undefined) return
    this.#send({ op: 'token', jobId: job.jobId, token: credential })
  }

  revive(): void {
    const state = this.#state
    if (state.kind === 'open') {
      if (Date.now() - this.#heardOn < state.silenceMs) {
        this.#doubt(state)
        return
      }
      // The server has given up on it by now as well.
      this.#lost({ counts: false })
    }
    if (this.#state.kind === 'waiting' && performance.now() >= this.#awayUntil) this.#connect()
  }

  close(): void {
    const state = this.#state
    if (state.kind === 'closed') return
    this.#become({ kind: 'closed' })
    for (const carriage of this.#carriages.values()) rouse(carriage)
    this.#carriages.clear()
    this.#lists?.close()
    if (state.kind !== 'waiting') discard(state.socket)
  }

  /** The one place that changes the state. */
  #become(state: State): void {
    if (this.#state.kind !== 'closed') clearTimeout(this.#state.timer)
    this.#state = state
    if (state.kind !== 'closed') this.#options.owner.changed(this)
  }

  #connect(): void {
    const { WebSocket, url } = this.#options
    let socket: SocketLike
    try {
      socket = new WebSocket(url)
    } catch {
      // A page's own rules may forbid it; told as any other failure, after whoever called has finished.
      const timer = setTimeout(() => this.#lost({ counts: true }), 0)
      this.#become({ kind: 'waiting', timer })
      return
    }
    const current = () => 'socket' in this.#state && this.#state.socket === socket
    socket.onopen = () => {}
    socket.onerror = () => {}
    socket.onmessage = ({ data }: { data: unknown }) => {
      if (current() && typeof data === 'string') this.#hear(socket, data)
    }
    socket.onclose = ({ code }: { code: number }) => {
      if (current()) this.#closed(code)
    }
    const timer = startTimeout(HELLO_MS, (slept) => this.#lost({ counts: !slept, silent: !slept }))
    this.#become({ kind: 'connecting', socket, timer })
  }

  #closed(code: number): void {
    if (mayReconnect(code)) {
      this.#lost({ counts: !BLAMELESS.includes(code) })
      return
    }
    const message = `the server closed the connection and wants no other (${code})`
    const error = new JobcastError(code === CLOSE.unauthorized ? 'unauthorized' : 'barred', message)
    // Nothing could be subscribed for a while, with the store away: that says nothing about the next time.
    const barred = { error, forGood: code !== CLOSE.idle }
    const { delayMs } = this.#attempts.over()
    this.#interrupt()
    this.#become({ kind: 'closed' })
    this.#options.owner.failed(this, { barred, n: this.#attempts.n, delayMs })
  }

  #lost({ counts, silent = false }: { counts: boolean; silent?: boolean }): void {
    const state = this.#state
    if (state.kind === 'closed') return
    if (state.kind !== 'waiting') discard(state.socket)
    const { delayMs, repeated, brief } = this.#attempts.over({ counts, floorMs: this.#floorMs })
    this.#awayUntil = performance.now() + this.#floorMs
    this.#floorMs = 0
    this.#interrupt()
    this.#become({ kind: 'waiting', timer: setTimeout(() => this.#connect(), delayMs) })
    const { n } = this.#attempts
    this.#options.owner.failed(this, { silent, repeated, brief, barred: null, n, delayMs })
  }

  #interrupt(): void {
    for (const carriage of this.#carriages.values()) {
      rouse(carriage)
      carriage.phase = 'pending'
      this.#options.owner.interrupted(this, carriage.job)
    }
    this.#lists?.interrupted()
  }

  #hear(socket: SocketLike, data: string): void {
    const frame = readFrame(data)
    this.#heardAt = performance.now()
    this.#heardOn = Date.now()
    if (frame === null) return
    if (frame.op !== 'ping' && frame.op !== 'pong') this.#answeredAt = this.#heardAt
    switch (frame.op) {
      case 'ping':
        this.#send({ op: 'pong' })
        this.#noteStore(frame.unavailable === true)
        break
      case 'pong':
        break
      case 'hello':
        this.#greeted(socket, frame.heartbeatMs, frame.maxSubscriptions)
        break
      case 'drain': {
        const [from, to] = frame.reconnectMs
        this.#floorMs = from + this.#options.random() * (to - from)
        break
      }
      default: {
        if (!isOfJob(frame)) {
          this.#lists?.hear(frame)
          break
        }
        const carriage = this.#carriages.get(frame.jobId)
        if (carriage !== undefined) this.#tell(carriage, frame)
      }
    }
  }

  #greeted(socket: SocketLike, heartbeatMs = HEARTBEAT_MS, maxSubscriptions = MAX_SUBSCRIPTIONS): void {
    if (this.#state.kind !== 'connecting') return
    this.#capacity = Math.max(1, maxSubscriptions)
    this.#attempts.worked()
    const silenceMs = 1.5 * heartbeatMs
    const timer = this.#listenIn(silenceMs)
    this.#become({ kind: 'open', socket, silenceMs, timer, doubtedAt: 0, isUnavailable: false })
    this.#options.owner.worked(this)
    for (const carriage of this.#carriages.values()) if (carriage.phase === 'pending') this.#ask(carriage)
    this.#lists?.opened()
  }

  /** The server has lost its store, or has it again. What is subscribed stays so. */
  #noteStore(isUnavailable: boolean): void {
    const state = this.#state
    if (state.kind !== 'open' || state.isUnavailable === isUnavailable) return
    state.isUnavailable = isUnavailable
    const { owner } = this.#options
    for (const { job, phase } of this.#carriages.values()) {
      if (phase !== 'live') continue
      if (isUnavailable) owner.interrupted(this, job)
      else owner.restored(this, job)
    }
    if (isUnavailable) this.#lists?.interrupted()
    else this.#lists?.opened()
    owner.changed(this)
  }

  #listenIn(ms: number): Timer {
    return startTimeout(ms, (slept) => this.#listen(slept))
  }

  /** Asks for a sign of life. */
  #doubt(state: State & { kind: 'open' }): void {
    this.#send({ op: 'ping' })
    state.doubtedAt = performance.now()
    clearTimeout(state.timer)
    state.timer = this.#listenIn(PONG_MS)
  }

  /** Is the server still there, and does it answer? */
  #listen(slept: boolean): void {
    const state = this.#state
    if (state.kind !== 'open') return
    const now = performance.now()
    const due = this.#heardAt + state.silenceMs
    // Heartbeats alone are no answer to a subscription.
    const asked = [...this.#carriages.values()].some(({ phase }) => phase === 'asked')
    const unanswered = asked && now >= this.#answeredAt + state.silenceMs
    const dead = this.#heardAt < state.doubtedAt
    if (now >= due || unanswered || dead)
      this.#lost({ counts: !slept && !dead, silent: unanswered && !slept })
    else state.timer = this.#listenIn(due - now)
  }

  #tell(carriage: Carriage, frame: JobFrame): void {
    const { job } = carriage
    if (frame.op === 'subscribed') {
      rouse(carriage)
      carriage.phase = 'live'
      this.#options.owner.replayed(this, job, frame)
    } else if (frame.op === 'event' && carriage.phase === 'live') {
      const { op: _op, jobId: _jobId, prev, ...event } = frame
      if (job.event(event, prev)) carriage.repeats = 0
      else this.#askAgain(carriage)
    } else if (frame.op === 'place' && carriage.phase === 'live') {
      const { place, startsAt, held } = frame
      job.placed({ place, startsAt, held })
    } else if (frame.op === 'end' && carriage.phase === 'live') {
      // The server has ended the subscription already: there is nothing to unsubscribe from.
      this.#carriages.delete(job.jobId)
      if (job.ended(frame.cursor)) return
      this.#carriages.set(job.jobId, carriage)
      this.#askAgain(carriage)
    } else if (frame.op === 'unsubscribed' || frame.op === 'error') this.#denied(carriage, frame)
  }

  #denied(carriage: Carriage, frame: JobFrame & { op: 'unsubscribed' | 'error' }): void {
    // The answer to an `unsubscribe` from before this subscription.
    if (frame.code === 'requested') return
    const message = frame.op === 'error' ? frame.message : `the subscription ended: ${frame.code}`
    const error = new JobcastError(frame.code, message)
    if (frame.code === 'unauthorized' || frame.code === 'token_expired') this.#renew(carriage, error)
    else if (frame.retry) {
      // Not at once: the server has just said that it cannot.
      carriage.repeats += 1
      this.#askAgain(carriage)
    } else this.#refuse(carriage, error)
  }

  #ask(carriage: Carriage): void {
    const { jobId, cursor, credential, history } = carriage.job
    rouse(carriage)
    carriage.phase = 'asked'
    this.#answeredAt = performance.now()
    this.#send({
      op: 'subscribe',
      jobId,
      after: cursor ?? undefined,
      token: credential,
      history: history || undefined,
    })
  }

  /** Subscribes again with the cursor: at once, and ever later where that does not help. */
  #askAgain(carriage: Carriage): void {
    rouse(carriage)
    carriage.repeats += 1
    if (carriage.repeats === 1) {
      this.#ask(carriage)
      return
    }
    const delayMs = reconnectDelayMs(carriage.repeats - 2, this.#options.random)
    carriage.phase = { resting: setTimeout(() => this.#ask(carriage), delayMs) }
    this.#options.owner.interrupted(this, carriage.job)
  }

  #renew(carriage: Carriage, error: JobcastError): void {
    if (carriage.phase === 'renewing') return
    rouse(carriage)
    carriage.phase = 'renewing'
    const stillRenewing = () =>
      carriage.phase === 'renewing' && this.#carriages.get(carriage.job.jobId) === carriage
    carriage.job.renew().then(
      (renewed) => {
        if (!stillRenewing()) return
        if (renewed) this.#ask(carriage)
        else this.#refuse(carriage, error)
      },
      () => {
        if (stillRenewing()) this.#askAgain(carriage)
      },
    )
  }

  #refuse(carriage: Carriage, error: JobcastError): void {
    rouse(carriage)
    this.#carriages.delete(carriage.job.jobId)
    carriage.job.refused(error)
  }

  #send(frame: ClientFrame): void {
    if (this.#state.kind === 'open') this.#state.socket.send(JSON.stringify(frame))
  }
}

/** 4500–4999 tell the client to stay away; everything else may be tried again. */
export function mayReconnect(closeCode: number): boolean {
  return closeCode < 4500 || closeCode > 4999
}

function isOfJob(frame: JobFrame | ListFrame): frame is JobFrame {
  return 'jobId' in frame && frame.jobId !== undefined
}

/** The border: what the server sends is trusted to have the shape that its `op` promises. */
function readFrame(data: string): ServerFrame | null {
  try {
    const frame: unknown = JSON.parse(data)
    return isRecord(frame) && typeof frame.op === 'string' ? (frame as ServerFrame) : null
  } catch {
    return null
  }
}

/** Closes a socket whose end is of no interest any more; one that is not open yet may complain about it. */
function discard(socket: SocketLike): void {
  socket.onmessage = () => {}
  socket.onclose = () => {}
  try {
    socket.close(CLOSE.normal)
  } catch {
    // Nothing is left to close.
  }
}
