import type { Carrier } from '../carrier.ts'
import type { Connection, ConnectionState } from '../connection.ts'
import type { Http } from '../http.ts'
import { type PageEvent, PageLife } from '../page-life.ts'
import { Store } from '../store.ts'
import { startTimeout, type Timer } from '../timeout.ts'
import type { Route } from '../transports/link.ts'
import { Follower } from './follower.ts'
import { Hub } from './hub.ts'
import { LockClaim, type Locks } from './lock-claim.ts'
import type { Answer, Notice, Request } from './messages.ts'
import { type OpenChannel, TabChannel } from './tab-channel.ts'

export interface TabOptions {
  /** Common to the tabs that may share: same server, same credential, same transports. */
  readonly name: string
  readonly http: Http
  readonly connect: () => Connection
  readonly locks: Locks
  readonly openChannel: OpenChannel
}

type State =
  | { readonly kind: 'idle' | 'paused' | 'closed' }
  | { readonly kind: 'seeking'; readonly timer: Timer }
  | { readonly kind: 'leading'; readonly hub: Hub }
  | { readonly kind: 'following'; readonly leader: string; asked: boolean; heardAt: number; timer: Timer }
  | { readonly kind: 'alone'; readonly hub: Hub; readonly timer: ReturnType<typeof setInterval> }

/** What this tab has among the others while it takes part. */
interface Membership {
  readonly channel: TabChannel
  readonly leadership: LockClaim
  /** Held for as long as this tab lives, so that whoever leads is told when it is gone. */
  readonly presence: LockClaim
  /** Of the tabs that this one leads: their locks are granted to it when they are gone. */
  readonly departures: Map<string, LockClaim>
}

/** How long a leader may take to say that it is one. */
const SEEK_MS = 3000
/** A leader that has said nothing for so long is asked whether it is still there, and has so long to answer. */
const QUIET_MS = 2000
const ANSWER_MS = 3000

/**
 * One of the tabs of a browser that share a connection: the tab that holds the lock leads, and its hub carries what all
 * of them watch.
 *
 * `idle` until something is watched. Then it stands in line for the lock and asks who leads (`seeking`). With the lock it
 * is `leading`: its own routes and those of the others go through its hub. When another says that it leads it is
 * `following`, and asks in silences whether the leader is still there: a tab that is stuck keeps the lock. Where nobody
 * answers it is `alone`, with a hub for itself, until somebody does or the lock is its own. `paused`: the page stands
 * still; it has given everything up, so that another tab can lead, and takes part anew when it is back. At every
 * change the routes go on from their cursors, so that none misses anything or has it twice.
 */
export class Tab implements Carrier {
  readonly state = new Store<ConnectionState>({ transport: null, phase: 'idle' })
  readonly #id = crypto.randomUUID()
  readonly #options: TabOptions
  readonly #follower: Follower
  readonly #life = new PageLife((event) => this.#happened(event))
  #state: State = { kind: 'idle' }
  #membership: Membership | null = null

  constructor(options: TabOptions) {
    this.#options = options
    this.#follower = new Follower({ http: options.http })
  }

  carry(route: Route): void {
    if (this.#state.kind === 'closed') return
    this.#follower.carry(route)
    if (this.#state.kind === 'idle') this.#begin()
  }

  drop(route: Route): void {
    this.#follower.drop(route)
  }

  credentialChanged(route: Route): void {
    this.#follower.credentialChanged(route)
  }

  close(): void {
    this.#retire()
    this.#life.stop()
    this.#become({ kind: 'closed' })
  }

  /** The one place that changes the state. */
  #become(state: State): void {
    if ('timer' in this.#state) clearTimeout(this.#state.timer)
    this.#state = state
    if (state.kind === 'seeking') this.state.set({ ...this.state.getSnapshot(), phase: 'connecting' })
    else if (!('hub' in state) && state.kind !== 'following')
      this.state.set({ transport: null, phase: 'idle' })
  }

  #begin(): void {
    this.#life.start()
    this.#seek()
    try {
      this.#membership = this.#join()
    } catch {
      this.#goAlone()
    }
  }

  /** Takes part. Throws where the browser forbids that, as it may do in frames of other origins. */
  #join(): Membership {
    const { name, locks, openChannel } = this.#options
    const channel = new TabChannel({
      open: openChannel,
      name,
      id: this.#id,
      noticed: (from, notice) => this.#noticed(from, notice),
      asked: (from, request) => this.#asked(from, request),
      answered: (from, answer) => this.#answered(from, answer),
    })
    const failed = () => {
      if (this.#state.kind === 'seeking') this.#goAlone()
    }
    const presence = new LockClaim({
      locks,
      name: `${name}/${this.#id}`,
      granted: () => channel.announce('who'),
      failed,
    })
    const leadership = new LockClaim({ locks, name, granted: () => this.#lead(), failed })
    return { channel, leadership, presence, departures: new Map() }
  }

  #seek(): void {
    this.#follower.pause()
    this.#become({ kind: 'seeking', timer: startTimeout(SEEK_MS, () => this.#goAlone()) })
  }

  #lead(): void {
    const hub = this.#state.kind === 'alone' ? this.#state.hub : this.#openHub()
    this.#become({ kind: 'leading', hub })
    this.#membership?.channel.announce('leading')
  }

  #goAlone(): void {
    const hub = this.#openHub()
    const timer = setInterval(() => this.#membership?.channel.announce('who'), QUIET_MS)
    this.#become({ kind: 'alone', hub, timer })
  }

  #openHub(): Hub {
    this.#follower.pause()
    const hub = new Hub(this.#options.connect())
    hub.admit(this.#id, (answer) => this.#hear(answer))
    this.#follower.follow((request) => hub.hear(this.#id, request))
    return hub
  }

  #follow(leader: string): void {
    const former = this.#state
    this.#become({
      kind: 'following',
      leader,
      asked: false,
      heardAt: performance.now(),
      timer: this.#attend(QUIET_MS),
    })
    this.#follower.follow((request) => this.#membership?.channel.ask(leader, request))
    if (former.kind === 'alone') former.hub.close()
  }

  /** Is the leader still there? */
  #attend(ms: number): Timer {
    return startTimeout(ms, (slept) => {
      const state = this.#state
      if (state.kind !== 'following') return
      if (state.asked && !slept) {
        this.#goAlone()
        return
      }
      const quietMs = performance.now() - state.heardAt
      if (slept || quietMs >= QUIET_MS) this.#askLeader(state)
      else state.timer = this.#attend(QUIET_MS - quietMs)
    })
  }

  #askLeader(state: State & { kind: 'following' }): void {
    clearTimeout(state.timer)
    state.asked = true
    state.timer = this.#attend(ANSWER_MS)
    this.#membership?.channel.announce('who')
  }

  #noticed(from: string, notice: Notice): void {
    const state = this.#state
    if (notice === 'who') {
      if (state.kind === 'leading') this.#membership?.channel.announce('leading')
    } else if (notice === 'resigned') {
      if (state.kind === 'following' && state.leader === from) this.#seek()
    } else if (state.kind === 'following' && state.leader === from) this.#heard(state)
    else if (state.kind !== 'leading') this.#follow(from)
  }

  #heard(state: State & { kind: 'following' }): void {
    state.asked = false
    state.heardAt = performance.now()
  }

  #answered(from: string, answer: Answer): void {
    const state = this.#state
    if (state.kind !== 'following' || state.leader !== from) return
    this.#heard(state)
    this.#hear(answer)
  }

  #hear(answer: Answer): void {
    if (answer.op === 'state') this.state.set(answer.state)
    else this.#follower.hear(answer)
  }

  #asked(from: string, request: Request): void {
    const state = this.#state
    const membership = this.#membership
    if (state.kind !== 'leading' || membership === null) return
    if (request.op === 'leave') this.#departed(from)
    else {
      if (!state.hub.has(from)) this.#admit(from, state.hub, membership)
      state.hub.hear(from, request)
    }
  }

  #admit(tab: string, hub: Hub, { channel, departures }: Membership): void {
    const { name, locks } = this.#options
    const granted = () => this.#departed(tab)
    departures.set(tab, new LockClaim({ locks, name: `${name}/${tab}`, granted }))
    hub.admit(tab, (answer) => channel.answer(tab, answer))
  }

  #departed(tab: string): void {
    if (this.#state.kind === 'leading') this.#state.hub.dismiss(tab)
    this.#membership?.departures.get(tab)?.release()
    this.#membership?.departures.delete(tab)
    this.#membership?.channel.forget(tab)
  }

  #happened(event: PageEvent): void {
    if (event === 'paused') {
      this.#retire()
      this.#become({ kind: 'paused' })
    } else if (this.#state.kind === 'paused') {
      if (this.#follower.isEmpty) this.#become({ kind: 'idle' })
      else this.#begin()
    } else {
      this.#follower.revive()
      if (this.#state.kind === 'following') this.#askLeader(this.#state)
    }
  }

  /** Takes no part any more: says so, and lets another lead. */
  #retire(): void {
    const state = this.#state
    const membership = this.#membership
    this.#membership = null
    this.#follower.pause()
    if (state.kind === 'leading') membership?.channel.announce('resigned')
    if (state.kind === 'following') membership?.channel.ask(state.leader, { op: 'leave' })
    if ('hub' in state) state.hub.close()
    if (membership === null) return
    for (const departure of membership.departures.values()) departure.release()
    membership.leadership.release()
    membership.presence.release()
    membership.channel.close()
  }
}
