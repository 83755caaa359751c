import type { Connection, ConnectionState } from '../connection.ts'
import type { Http } from '../http.ts'
import { type Readable, Store } from '../store.ts'
import type { CarriedJob, TransportName } from '../transports/link.ts'

/** What brings the watched jobs to this client: a connection of its own, or what it shares with other tabs. */
export interface JobCarrier {
  readonly state: Readable<ConnectionState>
  /** Carries the job; one that is carried already, afresh. */
  carry(job: CarriedJob): void
  drop(job: CarriedJob): void
  credentialChanged(job: CarriedJob): void
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

/** True where there are tabs, or workers of a page, with what they need to speak with each other; never in Node. */
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
 * Loads the code for sharing, which only those need who share, with the first job (`opening`), and keeps the jobs
 * until it is there. While no job is watched it shows the state of the client's own connection, which carries the lists.
 */
class LateCarrier implements JobCarrier {
  readonly state: Store<ConnectionState>
  readonly #own: Connection
  readonly #options: SharedOptions
  readonly #jobs = new Set<CarriedJob>()
  #state: State = { kind: 'none' }

  constructor(own: Connection, options: SharedOptions) {
    this.#own = own
    this.#options = options
    this.state = new Store(own.state.getSnapshot())
    own.state.subscribe(this.#show)
  }

  carry(job: CarriedJob): void {
    const { kind, carrier } = this.#state
    if (carrier !== undefined) carrier.carry(job)
    else if (kind !== 'closed') this.#jobs.add(job)
    if (kind !== 'none') return
    this.#become({ kind: 'opening' })
    // Code that cannot be loaded, such as after a new version took the old one's place: then without it.
    this.#open().then(
      (opened) => this.#opened(opened),
      () => this.#opened(this.#own),
    )
  }

  drop(job: CarriedJob): void {
    this.#jobs.delete(job)
    this.#state.carrier?.drop(job)
  }

  credentialChanged(job: CarriedJob): void {
    this.#state.carrier?.credentialChanged(job)
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
    for (const job of this.#jobs) carrier.carry(job)
    this.#jobs.clear()
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
