import type { Connection, ConnectionState } from '../connection.ts'
import { type Readable, Store } from '../store.ts'
import type { Route } from '../transports/link.ts'

/** What brings the watched jobs to this client: a connection of its own, or what it shares with other tabs. */
export interface JobCarrier {
  readonly state: Readable<ConnectionState>
  /** Carries the route; one that is carried already, afresh. */
  carry(route: Route): void
  drop(route: Route): void
  credentialChanged(route: Route): void
  close(): void
}

export interface CarrierOptions {
  /** False: a connection of its own. Undefined: shared where a page can. */
  readonly share: boolean | undefined
  /** The page brought its own `fetch` or `WebSocket`, of which it is not known what other tabs have. */
  readonly isCustom: boolean
  readonly connect: () => Connection
  /** Loaded only by those who share. */
  readonly openShared: () => Promise<JobCarrier>
}

export function openCarrier({ share, isCustom, connect, openShared }: CarrierOptions): JobCarrier {
  const wanted = share ?? (typeof document !== 'undefined' && !isCustom)
  return wanted && canShare() ? new LateCarrier(openShared, connect) : connect()
}

/** Whether there are tabs, or workers of a page, and what they need to speak with each other. Never in Node. */
function canShare(): boolean {
  const { BroadcastChannel, crypto, location, navigator } = globalThis
  return (
    location !== undefined &&
    BroadcastChannel !== undefined &&
    navigator?.locks !== undefined &&
    crypto?.subtle !== undefined
  )
}

/** Keeps the routes until the real carrier is there, which is asked for with the first of them. */
class LateCarrier implements JobCarrier {
  readonly state = new Store<ConnectionState>({ transport: null, phase: 'idle' })
  readonly #open: () => Promise<JobCarrier>
  readonly #otherwise: () => JobCarrier
  readonly #routes = new Set<Route>()
  #carrier: JobCarrier | 'none' | 'opening' | 'closed' = 'none'

  constructor(open: () => Promise<JobCarrier>, otherwise: () => JobCarrier) {
    this.#open = open
    this.#otherwise = otherwise
  }

  carry(route: Route): void {
    if (typeof this.#carrier === 'object') {
      this.#carrier.carry(route)
      return
    }
    if (this.#carrier === 'closed') return
    this.#routes.add(route)
    if (this.#carrier === 'opening') return
    this.#carrier = 'opening'
    this.state.set({ transport: null, phase: 'connecting' })
    // Code that cannot be loaded, such as after a new version took the old one's place: then without it.
    this.#open().then(
      (carrier) => this.#opened(carrier),
      () => this.#opened(this.#otherwise()),
    )
  }

  drop(route: Route): void {
    this.#routes.delete(route)
    if (typeof this.#carrier === 'object') this.#carrier.drop(route)
  }

  credentialChanged(route: Route): void {
    if (typeof this.#carrier === 'object') this.#carrier.credentialChanged(route)
  }

  close(): void {
    if (typeof this.#carrier === 'object') this.#carrier.close()
    this.#carrier = 'closed'
  }

  #opened(carrier: JobCarrier): void {
    if (this.#carrier === 'closed') {
      carrier.close()
      return
    }
    this.#carrier = carrier
    const show = () => this.state.set(carrier.state.getSnapshot())
    carrier.state.subscribe(show)
    show()
    for (const route of this.#routes) carrier.carry(route)
    this.#routes.clear()
  }
}
