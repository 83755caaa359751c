import { setImmediate } from 'node:timers'
import type { Events, Transport } from '../events.ts'

const WINDOW_S = 60
const TRANSPORTS = ['socket', 'sse', 'poll'] as const satisfies readonly Transport[]

/** Counts who is connected and how much is sent; tells it to the process's events, and sums it up for the overview. */
export class Traffic {
  readonly #events: Events
  readonly #open: Record<Transport, number> = { socket: 0, sse: 0, poll: 0 }
  #subscriptions = 0
  /** Events sent since the tick began. */
  readonly #sent: Record<Transport, number> = { socket: 0, sse: 0, poll: 0 }
  #isTelling = false
  /** Events sent in each second of the last minute; a slot belongs to the second that it names. */
  readonly #seconds = Array.from({ length: WINDOW_S }, () => ({ second: -1, events: 0 }))

  constructor(events: Events) {
    this.#events = events
  }

  opened(transport: Transport): void {
    this.#open[transport]++
    this.#events.emit('gateway.opened', { transport })
  }

  /** `code` is a WebSocket close code, whatever the transport. */
  closed(transport: Transport, code: number): void {
    this.#open[transport]--
    this.#events.emit('gateway.closed', { transport, code })
  }

  subscribed(transport: Transport, mode: 'snapshot' | 'resume'): void {
    this.#subscriptions++
    this.#events.emit('gateway.subscribed', { transport, mode })
  }

  unsubscribed(transport: Transport): void {
    this.#subscriptions--
    this.#events.emit('gateway.unsubscribed', { transport })
  }

  /** Tells it on at the end of the tick, in one: one event of a job may go to thousands. */
  sent(transport: Transport, events: number): void {
    this.#sent[transport] += events
    if (this.#isTelling) return
    this.#isTelling = true
    setImmediate(() => this.#tell())
  }

  #tell(): void {
    this.#isTelling = false
    for (const transport of TRANSPORTS) {
      const events = this.#sent[transport]
      if (events === 0) continue
      this.#sent[transport] = 0
      this.#slot().events += events
      this.#events.emit('gateway.sent', { transport, events })
    }
  }

  #slot(): { events: number } {
    const second = currentSecond()
    const at = second % WINDOW_S
    const slot = this.#seconds[at]
    if (slot?.second === second) return slot
    const fresh = { second, events: 0 }
    this.#seconds[at] = fresh
    return fresh
  }

  info() {
    const now = currentSecond()
    let events = 0
    for (const slot of this.#seconds) if (now - slot.second < WINDOW_S) events += slot.events
    return {
      sockets: this.#open.socket,
      streams: this.#open.sse,
      polls: this.#open.poll,
      subscriptions: this.#subscriptions,
      ratePerSecond: Math.round((events / WINDOW_S) * 100) / 100,
    }
  }
}

function currentSecond(): number {
  return Math.floor(performance.now() / 1000)
}
