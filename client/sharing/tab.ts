import type { Connection, ConnectionState } from '../connection.ts'
import type { Http } from '../http.ts'
import { type PageEvent, PageLife } from '../page-life.ts'
import { Store } from '../store.ts'
import { startTimeout, type Timer } from '../time.ts'
import type { CarriedJob } from '../transports/link.ts'
import { type Answer, type Notice, type OpenChannel, type Request, TabChannel } from './channel.ts'
import { Multiplexer } from './multiplexer.ts'
import type { JobCarrier, SharedOptions } from './share.ts'
import { TabJobs } from './tab-jobs.ts'

/** Tabs understand each other only where they run the same version of the messages. */
const VERSION = 1

/** Takes part among the tabs of this origin that have the same server, credential and transports, and no others. */
export async function openTab({ http, credential, transports, connect }: SharedOptions): Promise<JobCarrier> {
  // A hash, since names of locks and channels are there for every script of the origin to see.
  const text = new TextEncoder().encode(JSON.stringify([http.url(''), credential ?? null, transports]))
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', text))
  const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return new Tab({
    name: `jobcast/${VERSION}/${hex}`,
    http,
    connect,
    locks: navigator.locks,
    openChannel: (name) => new BroadcastChannel(name),
  })
}

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
  | { readonly kind: 'leading'; readonly multiplexer: Multiplexer }
  | { readonly kind: 'following'; readonly leader: string; asked: boolean; heardAt: number; timer: Timer }
  | {
      readonly kind: 'alone'
      readonly multiplexer: Multiplexer
      readonly timer: ReturnType<typeof setInterval>
    }

/** What this tab has among the others while it takes part. */
interface Membership {
  readonly channel: TabChannel
  readonly leadership: LockRequest
  /** Held for as long as this tab lives, so that whoever leads is told when it is gone. */
  readonly presence: LockRequest
  /** The locks of the tabs that this one leads are granted to it when those are gone. */
  readonly departures: Map<string, LockRequest>
}

/** How long a leader may take to say that it is one. */
const SEEK_MS = 3000
/** A leader that has said nothing for so long is asked whether it is still there, and has so long to answer. */
const QUIET_MS = 2000
const ANSWER_MS = 3000

/**
 * One of the tabs of a browser that share a connection: the tab that holds the lock leads, and its multiplexer carries what all
 * of them watch.
 *
 * `idle` until something is watched. Then it stands in line for the lock and asks who leads (`seeking`). With the lock it
 * is `leading`: its own jobs and those of the others go through its multiplexer. When another says that it leads it is
 * `following`, and asks in silences whether the leader is still there: a tab that is stuck keeps the lock. Where nobody
 * answers it is `alone`, with a multiplexer for itself, until somebody does or the lock is its own. `paused`: the page stands
 * still; it has given everything up, so that another tab can lead, and takes part anew when it is back. At every
 * change the jobs go on from their cursors, so that none misses anything or has it twice.
 */
export class Tab implements JobCarrier {
  readonly state = new Store<ConnectionState>({ transport: null, phase: 'idle' })
  readonly #id = crypto.randomUUID()
  readonly #options: TabOptions
  readonly #jobs: TabJobs
  readonly #life = new PageLife((event) => this.#happened(event))
  #state: State = { kind: 'idle' }
  #membership: Membership | null = null

  constructor(options: TabOptions) {
    this.#options = options
    this.#jobs = new TabJobs({ http: options.http })
  }

  carry(job: CarriedJob): void {
    if (this.#state.kind === 'closed') return
    this.#jobs.carry(job)
    if (this.#state.kind === 'idle') this.#begin()
  }

  drop(job: CarriedJob): void {
    this.#jobs.drop(job)
  }

  credentialChanged(job: CarriedJob): void {
    this.#jobs.credentialChanged(job)
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
    else if (!('multiplexer' in state) && state.kind !== 'following')
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
    const presence = new LockRequest({
      locks,
      name: `${name}/${this.#id}`,
      granted: () => channel.broadcast('who'),
      failed,
    })
    const leadership = new LockRequest({ locks, name, granted: () => this.#lead(), failed })
    return { channel, leadership, presence, departures: new Map() }
  }

  #seek(): void {
    this.#jobs.pause()
    this.#become({ kind: 'seeking', timer: startTimeout(SEEK_MS, () => this.#goAlone()) })
  }

  #lead(): void {
    const multiplexer = this.#state.kind === 'alone' ? this.#state.multiplexer : this.#openMultiplexer()
    this.#become({ kind: 'leading', multiplexer })
    this.#membership?.channel.broadcast('leading')
  }

  #goAlone(): void {
    const multiplexer = this.#openMultiplexer()
    const timer = setInterval(() => this.#membership?.channel.broadcast('who'), QUIET_MS)
    this.#become({ kind: 'alone', multiplexer, timer })
  }

  #openMultiplexer(): Multiplexer {
    this.#jobs.pause()
    const multiplexer = new Multiplexer(this.#options.connect())
    multiplexer.admit(this.#id, (answer) => this.#hear(answer))
    this.#jobs.follow((request) => multiplexer.hear(this.#id, request))
    return multiplexer
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
    this.#jobs.follow((request) => this.#membership?.channel.ask(leader, request))
    if (former.kind === 'alone') former.multiplexer.close()
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
    this.#membership?.channel.broadcast('who')
  }

  #noticed(from: string, notice: Notice): void {
    const state = this.#state
    if (notice === 'who') {
      if (state.kind === 'leading') this.#membership?.channel.broadcast('leading')
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
    else this.#jobs.hear(answer)
  }

  #asked(from: string, request: Request): void {
    const state = this.#state
    const membership = this.#membership
    if (state.kind !== 'leading' || membership === null) return
    if (request.op === 'leave') this.#departed(from)
    else {
      if (!state.multiplexer.has(from)) this.#admit(from, state.multiplexer, membership)
      state.multiplexer.hear(from, request)
    }
  }

  #admit(tab: string, multiplexer: Multiplexer, { channel, departures }: Membership): void {
    const { name, locks } = this.#options
    const granted = () => this.#departed(tab)
    departures.set(tab, new LockRequest({ locks, name: `${name}/${tab}`, granted }))
    multiplexer.admit(tab, (answer) => channel.answer(tab, answer))
  }

  #departed(tab: string): void {
    if (this.#state.kind === 'leading') this.#state.multiplexer.dismiss(tab)
    this.#membership?.departures.get(tab)?.release()
    this.#membership?.departures.delete(tab)
    this.#membership?.channel.forget(tab)
  }

  #happened(event: PageEvent): void {
    if (event === 'paused') {
      this.#retire()
      this.#become({ kind: 'paused' })
    } else if (this.#state.kind === 'paused') {
      if (this.#jobs.isEmpty) this.#become({ kind: 'idle' })
      else this.#begin()
    } else {
      this.#jobs.revive()
      if (this.#state.kind === 'following') this.#askLeader(this.#state)
    }
  }

  /** Takes no part any more: says so, and lets another lead. */
  #retire(): void {
    const state = this.#state
    const membership = this.#membership
    this.#membership = null
    this.#jobs.pause()
    if (state.kind === 'leading') membership?.channel.broadcast('resigned')
    if (state.kind === 'following') membership?.channel.ask(state.leader, { op: 'leave' })
    if ('multiplexer' in state) state.multiplexer.close()
    if (membership === null) return
    for (const departure of membership.departures.values()) departure.release()
    membership.leadership.release()
    membership.presence.release()
    membership.channel.close()
  }
}

/** What is used of the browser's `navigator.locks`. */
export type Locks = Pick<LockManager, 'request'>

interface LockRequestOptions {
  readonly locks: Locks
  readonly name: string
  /** It is ours, until it is released or this tab is gone: the browser sees to that. */
  readonly granted: () => void
  /** It never will be: the browser forbids it here. */
  readonly failed?: () => void
}

/** A place in line for a lock (Web Locks), and the lock once it is granted. */
class LockRequest {
  readonly #abort = new AbortController()
  #release: () => void = () => {}

  constructor({ locks, name, granted, failed = () => {} }: LockRequestOptions) {
    const { signal } = this.#abort
    const hold = () =>
      new Promise<void>((resolve) => {
        this.#release = resolve
        if (signal.aborted) resolve()
        else granted()
      })
    locks.request(name, { signal }, hold).catch(() => {
      if (!signal.aborted) failed()
    })
  }

  /** Leaves the line, or gives the lock to the next. */
  release(): void {
    this.#abort.abort()
    this.#release()
  }
}
