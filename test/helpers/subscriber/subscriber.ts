import type { Job } from '../../../shared/job.ts'
import type { SnapshotReason } from '../../../shared/protocol.ts'
import { Account } from './account.ts'
import type { Sighting } from './sightings.ts'
import type { Told, Wire } from './wire.ts'
import { type Transport, WIRES } from './wires.ts'

/** Whoever watches one job to its end, and remembers all that it was told. */
export interface Watching {
  readonly jobId: string
  readonly sightings: readonly Sighting[]
  /** The first thing that it could not understand, or that broke it off for good. */
  readonly failure: Error | null
  /** Folded from what it was told. */
  readonly job: Job | null
  readonly isOver: boolean
  /** Of the last thing it was told. */
  readonly epoch: string | null
  stop(): void
}

/** One connection of a subscriber, or one series of polls. Times on `performance.now()`. */
export interface Leg {
  readonly transport: Transport
  readonly address: string
  readonly openedAt: number
  /** How the server took it up; null: it did not. */
  mode: 'snapshot' | 'resume' | null
  /** When the server announced its end, if it did. */
  drainedAt: number | null
  /** What the server closed a WebSocket with. */
  code: number | null
}

export interface SubscriberOptions {
  readonly jobId: string
  /** Of each connection. */
  readonly transport: () => Transport
  /** Where to connect, one after the other. */
  readonly addresses: () => readonly string[]
  /** In ms; `n` counts the connections that were lost so far, from 0. */
  readonly comeBackAfter?: (n: number) => number
  /** How long a connection is kept before it is dropped, in ms; left out: for as long as it lasts. */
  readonly dropAfter?: () => number
}

/** Between two tries to connect. */
const RECONNECT_MS = 150

/** The delay of section 8 of the protocol. */
export function politeDelay(n: number): number {
  return Math.min(10_000, 500 + Math.random() * Math.min(10_000, 500 * 2 ** n))
}

/** A percentile (0.5: the median) of how late live events were, in ms. */
export function delayOf(subscribers: readonly Subscriber[], percentile: number): number {
  const delays = subscribers.flatMap(({ delays }) => delays).sort((one, other) => one - other)
  return delays[Math.floor(delays.length * percentile)] ?? Number.POSITIVE_INFINITY
}

/**
 * Watches one job to its end, as the protocol tells a client to: whenever its connection is lost, it connects again,
 * to the next address, with its cursor; where it was told when to come back, no sooner.
 */
export class Subscriber implements Watching {
  readonly jobId: string
  readonly legs: Leg[] = []
  /** How late live events were, in ms, from when they were stored. */
  readonly delays: number[] = []
  failure: Error | null = null
  readonly #account = new Account()
  #state: 'watching' | 'over' = 'watching'
  #floorMs = 0
  #wire: Wire | null = null
  #timer: NodeJS.Timeout | undefined
  readonly #options: SubscriberOptions

  constructor(options: SubscriberOptions) {
    this.jobId = options.jobId
    this.#options = options
    this.#connect()
  }

  get isOver(): boolean {
    return this.#state === 'over'
  }

  get sightings(): readonly Sighting[] {
    return this.#account.sightings
  }

  get job(): Job | null {
    return this.#account.job
  }

  get epoch(): string | null {
    return this.#account.epoch
  }

  get reasons(): SnapshotReason[] {
    return this.sightings.flatMap((one) => (one.saw === 'snapshot' ? [one.reason] : []))
  }

  /** The present connection, or the last. */
  get leg(): Leg | null {
    return this.legs.at(-1) ?? null
  }

  stop(): void {
    this.#state = 'over'
    clearTimeout(this.#timer)
    this.#wire?.close()
  }

  #connect(): void {
    const { jobId, addresses, transport, dropAfter } = this.#options
    const all = addresses()
    const address = all[this.legs.length % all.length]
    if (address === undefined) {
      this.#timer = setTimeout(() => this.#connect(), RECONNECT_MS)
      return
    }
    const openedAt = performance.now()
    const leg: Leg = { transport: transport(), address, openedAt, mode: null, drainedAt: null, code: null }
    this.legs.push(leg)
    this.#wire = WIRES[leg.transport]({ address, jobId, after: this.#account.cursor }, (told) => {
      if (this.leg === leg && !this.isOver) this.#hear(leg, told)
    })
    if (dropAfter !== undefined) this.#timer = setTimeout(() => this.#reconnect(), dropAfter())
  }

  #reconnect(): void {
    if (this.isOver) return
    const { comeBackAfter = () => RECONNECT_MS } = this.#options
    this.#wire?.close()
    clearTimeout(this.#timer)
    const delayMs = Math.max(this.#floorMs, comeBackAfter(this.legs.length - 1))
    this.#floorMs = 0
    this.#timer = setTimeout(() => this.#connect(), delayMs)
  }

  #hear(leg: Leg, told: Told): void {
    try {
      this.#account.take(told)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
      return
    }
    if (told.told === 'snapshot') leg.mode ??= 'snapshot'
    else if (told.told === 'resume' || told.told === 'event') leg.mode ??= 'resume'
    if (told.told === 'event') this.#noteDelay(leg, Date.parse(told.event.at))
    if (told.told === 'end') this.stop()
    else if (told.told === 'refused') this.#refused(told.code, told.retry)
    else if (told.told === 'drain') this.#drained(leg, told.comeBackMs)
    else if (told.told === 'closed') this.#lost(leg, told.code)
  }

  #noteDelay(leg: Leg, storedAt: number): void {
    // What is older was replayed.
    if (storedAt > performance.timeOrigin + leg.openedAt) this.delays.push(Date.now() - storedAt)
  }

  #refused(code: string, retry: boolean): void {
    if (this.sightings.at(-1)?.saw === 'gone') this.stop()
    else if (retry) this.#reconnect()
    else this.#fail(new Error(`refused: ${code}`))
  }

  #drained(leg: Leg, [from, to]: readonly [number, number]): void {
    leg.drainedAt = performance.now()
    this.#floorMs = from + Math.random() * (to - from)
  }

  #lost(leg: Leg, code: number | null): void {
    leg.code = code
    if (code !== null && code >= 4500) this.#fail(new Error(`closed for good: ${code}`))
    else this.#reconnect()
  }

  #fail(error: Error): void {
    this.failure ??= error
    this.stop()
  }
}
