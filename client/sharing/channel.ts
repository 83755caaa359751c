import type { JobEvent } from '../../shared/event.ts'
import type { QueuePlace } from '../../shared/job.ts'
import type { Replay } from '../../shared/protocol.ts'
import type { ConnectionState } from '../connection.ts'
import type { JobcastErrorCode, JobcastErrorDetails } from '../errors.ts'
import type { TransportName } from '../transports/link.ts'

/**
 * What the tabs of a browser say to each other. All of them run the same version of this (it is in the channel's
 * name), and whoever can speak on the channel is of the same origin: what is said is trusted.
 */

/** What is said to all: who leads? I do, and am awake. I do no longer. */
export type Notice = 'who' | 'leading' | 'resigned'

/** One subscription of one tab. `start` counts its beginnings, so that answers to an earlier one are told apart. */
interface Subject {
  readonly jobId: string
  readonly start: number
}

/** What a tab asks the one that leads. */
export type Request = { readonly op: 'leave' } | (Subject & JobRequest)

export type JobRequest =
  | {
      readonly op: 'subscribe'
      /** The last event applied; null: start with a snapshot. */
      readonly cursor: string | null
      readonly history: boolean
      readonly credential: string | undefined
    }
  | { readonly op: 'unsubscribe' }
  | { readonly op: 'credential'; readonly credential: string | undefined }
  /** Answers `renew`; `later`: that could not be found out now. */
  | { readonly op: 'renewed'; readonly verdict: 'yes' | 'no' | 'later' }

/** What it is answered. */
export type Answer = { readonly op: 'state'; readonly state: ConnectionState } | (Subject & JobAnswer)

export type JobAnswer =
  | { readonly op: 'replayed'; readonly replay: Replay; readonly transport: TransportName }
  /** Events flow from now on; the tab has to read by itself what came between its cursor and the first of them. */
  | { readonly op: 'joined'; readonly transport: TransportName }
  /** `after` is the cursor before the event. */
  | { readonly op: 'event'; readonly event: JobEvent; readonly after: string }
  | { readonly op: 'placed'; readonly queue: QueuePlace | null }
  | { readonly op: 'ended'; readonly cursor: string }
  | { readonly op: 'interrupted' }
  | { readonly op: 'restored' }
  /** The credential was not accepted. */
  | { readonly op: 'renew' }
  | {
      readonly op: 'refused'
      readonly code: JobcastErrorCode
      readonly message: string
      readonly details: Details
    }

/** A `JobcastError` does not survive being sent from tab to tab; this does. */
type Details = Pick<JobcastErrorDetails, 'status' | 'errors' | 'retryAfterMs'>

/** What is used of a `BroadcastChannel`. */
export type Channel = Pick<BroadcastChannel, 'postMessage' | 'close' | 'onmessage'>

export type OpenChannel = (name: string) => Channel

export interface TabChannelOptions {
  readonly open: OpenChannel
  /** Common to the tabs that may share a connection. */
  readonly name: string
  /** This tab's own. */
  readonly id: string
  readonly noticed: (from: string, notice: Notice) => void
  readonly asked: (from: string, request: Request) => void
  readonly answered: (from: string, answer: Answer) => void
}

type Message = { readonly from: string } & (
  | { readonly notice: Notice }
  | { readonly request: Request }
  | { readonly answer: Answer }
)

/**
 * One tab's line to the others. Notices go to all; requests and answers to the one tab that they are meant for, each of
 * which listens on a channel of its own, so that nobody is woken by events of jobs that only others watch.
 */
export class TabChannel {
  readonly #options: TabChannelOptions
  readonly #common: Channel
  readonly #own: Channel
  readonly #others = new Map<string, Channel>()

  constructor(options: TabChannelOptions) {
    this.#options = options
    this.#common = this.#listen(options.name)
    this.#own = this.#listen(`${options.name}/${options.id}`)
  }

  broadcast(notice: Notice): void {
    this.#common.postMessage({ from: this.#options.id, notice } satisfies Message)
  }

  ask(to: string, request: Request): void {
    this.#channelTo(to).postMessage({ from: this.#options.id, request } satisfies Message)
  }

  answer(to: string, answer: Answer): void {
    this.#channelTo(to).postMessage({ from: this.#options.id, answer } satisfies Message)
  }

  /** Nothing more is to be said to that tab. */
  forget(to: string): void {
    this.#others.get(to)?.close()
    this.#others.delete(to)
  }

  /** What was said before still arrives. */
  close(): void {
    for (const to of [...this.#others.keys()]) this.forget(to)
    for (const channel of [this.#common, this.#own]) {
      channel.onmessage = null
      channel.close()
    }
  }

  #channelTo(to: string): Channel {
    const known = this.#others.get(to)
    if (known !== undefined) return known
    const channel = this.#options.open(`${this.#options.name}/${to}`)
    this.#others.set(to, channel)
    return channel
  }

  #listen(name: string): Channel {
    const channel = this.#options.open(name)
    channel.onmessage = ({ data }) => {
      // Only this code speaks on channels of this name.
      const message = data as Message
      if ('notice' in message) this.#options.noticed(message.from, message.notice)
      else if ('request' in message) this.#options.asked(message.from, message.request)
      else this.#options.answered(message.from, message.answer)
    }
    return channel
  }
}
