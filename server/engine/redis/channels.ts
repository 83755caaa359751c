import type { Unsubscribe } from '../engine.ts'
import { Unavailable } from '../errors.ts'
import { Connection } from './connection.ts'
import type { RedisAccess } from './server.ts'

type Listener = (message: string) => void

interface Channel {
  /** Few, mostly one: another array with every change, which costs less than a set. */
  listeners: readonly Listener[]
  /** Resolves when the server has confirmed the subscription on the connection there is now. */
  confirmed: Promise<unknown>
  /** Runs while nobody listens. */
  linger: NodeJS.Timeout | undefined
}

export interface ChannelsOptions {
  readonly address: RedisAccess
  /** Messages may have been lost: everything was subscribed to again, on a new connection. */
  readonly onReset: () => void
}

/** How long a channel without listeners stays subscribed, in case somebody comes back. */
const LINGER_MS = 2000
/** Channels of one SUBSCRIBE. */
const MOST_CHANNELS = 500

/**
 * Published messages, over one connection of its own. Every channel is subscribed to once, however many listen. When
 * the connection is lost, the new one subscribes to everything again, waits for the answers, and says so.
 */
export class Channels {
  readonly #options: ChannelsOptions
  readonly #connection: Connection
  readonly #channels = new Map<string, Channel>()
  /** Asked for in this tick; they go in one command. */
  #asked: string[] = []
  /** Nobody listens to them any more; they go in one command as well. */
  #left: string[] = []
  #sent: Promise<unknown> = Promise.resolve()
  #connections = 0

  constructor(options: ChannelsOptions) {
    this.#options = options
    this.#connection = new Connection({
      address: options.address,
      name: 'feed',
      onReady: () => void this.#restore(),
      onLost: () => undefined,
      onMessage: (channel, message) => this.#deliver(channel, message),
    })
  }

  open(): void {
    this.#connection.open()
  }

  whenReady(timeoutMs: number): Promise<void> {
    return this.#connection.whenReady(timeoutMs)
  }

  close(): void {
    this.#connection.close()
    for (const channel of this.#channels.values()) clearTimeout(channel.linger)
    this.#channels.clear()
    this.#connections = 0
  }

  /** Resolves when the server has confirmed that messages from now on arrive. Rejects with `Unavailable`. */
  async listen(name: string, listener: Listener): Promise<Unsubscribe> {
    if (!this.#connection.isReady) throw new Unavailable(this.#connection.reason)
    const channel = this.#channel(name)
    clearTimeout(channel.linger)
    // Not spread: that leaves room for many more.
    channel.listeners = channel.listeners.concat(listener)
    const stop = () => {
      channel.listeners = channel.listeners.filter((one) => one !== listener)
      this.#abandon(name, channel)
    }
    try {
      await channel.confirmed
    } catch (error) {
      stop()
      throw new Unavailable(error instanceof Error ? error.message : this.#connection.reason)
    }
    return stop
  }

  #channel(name: string): Channel {
    const known = this.#channels.get(name)
    if (known !== undefined) return known
    const channel: Channel = { listeners: [], confirmed: this.#subscribe(name), linger: undefined }
    // Whoever listens awaits it as well; a channel nobody waits for any more must not end the process.
    channel.confirmed.catch(() => this.#forget(name, channel))
    this.#channels.set(name, channel)
    return channel
  }

  #subscribe(name: string): Promise<unknown> {
    this.#asked.push(name)
    if (this.#asked.length === 1) this.#sent = Promise.resolve().then(() => this.#sendAsked())
    return this.#sent
  }

  #sendAsked(): Promise<unknown> {
    const names = this.#asked
    this.#asked = []
    return this.#subscribeAll(names)
  }

  async #subscribeAll(names: readonly string[]): Promise<void> {
    const sent: Promise<unknown>[] = []
    for (let first = 0; first < names.length; first += MOST_CHANNELS) {
      sent.push(this.#connection.send('subscribe', names.slice(first, first + MOST_CHANNELS)))
    }
    await Promise.all(sent)
  }

  #abandon(name: string, channel: Channel): void {
    if (channel.listeners.length > 0 || this.#channels.get(name) !== channel) return
    clearTimeout(channel.linger)
    channel.linger = setTimeout(() => {
      this.#forget(name, channel)
      this.#left.push(name)
      if (this.#left.length === 1) setImmediate(() => this.#unsubscribeLeft())
    }, LINGER_MS)
  }

  #unsubscribeLeft(): void {
    // Somebody may have come back in the meantime.
    const names = this.#left.filter((name) => !this.#channels.has(name))
    this.#left = []
    for (let first = 0; first < names.length && this.#connection.isReady; first += MOST_CHANNELS) {
      const some = names.slice(first, first + MOST_CHANNELS)
      this.#connection.send('unsubscribe', some).catch(() => undefined)
    }
  }

  #forget(name: string, channel: Channel): void {
    if (this.#channels.get(name) !== channel) return
    clearTimeout(channel.linger)
    this.#channels.delete(name)
  }

  async #restore(): Promise<void> {
    this.#connections += 1
    const current = this.#connections
    for (const [name, channel] of this.#channels)
      if (channel.listeners.length === 0) this.#forget(name, channel)
    const all = this.#subscribeAll([...this.#channels.keys()])
    for (const channel of this.#channels.values()) {
      channel.confirmed = all
      channel.confirmed.catch(() => undefined)
    }
    try {
      await all
    } catch {
      // The connection broke again: the next one starts over.
      return
    }
    if (current > 1 && current === this.#connections) this.#options.onReset()
  }

  #deliver(name: string, message: string): void {
    const channel = this.#channels.get(name)
    if (channel === undefined) return
    for (const listener of channel.listeners) listener(message)
  }
}
