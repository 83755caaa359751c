import type { Connection, ConnectionState } from '../connection.ts'
import type { Http } from '../http.ts'
import { type Readable, Store } from '../store.ts'
import type { Route, TransportName } from '../transports/link.ts'

/** What brings the watched jobs to this client: a connection of its own, or what it shares with other tabs. */
export interface JobCarrier {
  readonly state: Readable<ConnectionState>
  /** Carries the route; one that is carried already, afresh. */
  carry(route: Route): void
  drop(route: Route): void
  credentialChanged(route: Route): void
  close(): void
}

/** What the tabs that share a connection have in common, and how to make one. */
export interface SharedOptions {
  readonly http: Http
  readonly credential: string | undefined
  readonly transports: readonly TransportName[]
  readonly connect: () => Connection
}

/** What is shared with other tabs; `own` where there can be none. */
export function carrierOf(own: Connection, options: SharedOptions): JobCarrier {
  return canShare() ? new LateCarrier(own, options) : own
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

const CONNECTING: ConnectionState = { transport: null, phase: 'connecting' }

type State =
  | { readonly kind: 'none' | 'opening' | 'closed'; readonly carrier?: undefined }
  | { readonly kind: 'open'; readonly carrier: JobCarrier }

/**
 * Loads the code for sharing, which only those need who share, with the first route (`opening`), and keeps the routes
 * until it is there. While no job is watched it shows the state of the client's own connection, which carries the lists.
 */
class LateCarrier implements JobCarrier {
  readonly state: Store<ConnectionState>
  readonly #own: Connection
  readonly #options: SharedOptions
  readonly #routes = new Set<Route>()
  #state: State = { kind: 'none' }

  constructor(own: Connection, options: SharedOptions) {
    this.#own = own
    this.#options = options
    this.state = new Store(own.state.getSnapshot())
    own.state.subscribe(this.#show)
  }

  carry(route: Route): void {
    const { kind, carrier } = this.#state
    if (carrier !== undefined) carrier.carry(route)
    else if (kind !== 'closed') this.#routes.add(route)
    if (kind !== 'none') return
    this.#become({ kind: 'opening' })
    // Code that cannot be loaded, such as after a new version took the old one's place: then without it.
    this.#open().then(
      (opened) => this.#opened(opened),
      () => this.#opened(this.#own),
    )
  }

  drop(route: Route): void {
    this.#routes.delete(route)
    this.#state.carrier?.drop(route)
  }

  credentialChanged(route: Route): void {
    this.#state.carrier?.credentialChanged(route)
  }

  close(): void {
    this.#state.carrier?.close()
    this.#become({ kind: 'closed' })
  }

  async #open(): Promise<JobCarrier> {
    const { openTab } = await import('./tab.ts')
    return openTab(this.#options)
  }

  #opened(carrier: JobCarrier): void {
    if (this.#state.kind === 'closed') {
      carrier.close()
      return
    }
    carrier.state.subscribe(this.#show)
    this.#become({ kind: 'open', carrier })
    for (const route of this.#routes) carrier.carry(route)
    this.#routes.clear()
  }

  /** The one place that changes the state. */
  #become(state: State): void {
    this.#state = state
    this.#show()
  }

  readonly #show = (): void => {
    const { kind, carrier } = this.#state
    const state = kind === 'opening' ? CONNECTING : carrier?.state.getSnapshot()
    this.state.set(state === undefined || state.phase === 'idle' ? this.#own.state.getSnapshot() : state)
  }
}
