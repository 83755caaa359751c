import type { Answer, Notice, Request } from './messages.ts'

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
  readonly #inbox: Channel
  readonly #outboxes = new Map<string, Channel>()

  constructor(options: TabChannelOptions) {
    this.#options = options
    this.#common = this.#listen(options.name)
    this.#inbox = this.#listen(`${options.name}/${options.id}`)
  }

  announce(notice: Notice): void {
    this.#common.postMessage({ from: this.#options.id, notice } satisfies Message)
  }

  ask(to: string, request: Request): void {
    this.#outbox(to).postMessage({ from: this.#options.id, request } satisfies Message)
  }

  answer(to: string, answer: Answer): void {
    this.#outbox(to).postMessage({ from: this.#options.id, answer } satisfies Message)
  }

  /** Nothing more is to be said to that tab. */
  forget(to: string): void {
    this.#outboxes.get(to)?.close()
    this.#outboxes.delete(to)
  }

  /** What was said before still arrives. */
  close(): void {
    for (const to of [...this.#outboxes.keys()]) this.forget(to)
    for (const channel of [this.#common, this.#inbox]) {
      channel.onmessage = null
      channel.close()
    }
  }

  #outbox(to: string): Channel {
    const known = this.#outboxes.get(to)
    if (known !== undefined) return known
    const outbox = this.#options.open(`${this.#options.name}/${to}`)
    this.#outboxes.set(to, outbox)
    return outbox
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
