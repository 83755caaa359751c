import type { Replay } from '../shared/protocol.ts'
import { Assignments } from './assignments.ts'
import { JobcastError } from './errors.ts'
import type { Http } from './http.ts'
import { type PageEvent, PageLife } from './page-life.ts'
import { STEADY_MS } from './retry.ts'
import { Store } from './store.ts'
import type { Timer } from './time.ts'
import { openLink, TransportMemory } from './transports/ladder.ts'
import type { CarriedJob, CarriedList, Failure, Link, LinkOwner, TransportName } from './transports/link.ts'
import type { SocketConstructor } from './transports/socket.ts'

export interface ConnectionState {
  /** What is in use, or being tried. */
  readonly transport: TransportName | null
  /**
   * `idle` nothing is watched; `unavailable` connected, but the server cannot reach its store: what was told last may be
   * old; `waiting` between two attempts.
   */
  readonly phase: 'idle' | 'connecting' | 'open' | 'unavailable' | 'waiting'
}

export interface ConnectionOptions {
  readonly http: Http
  readonly transports: readonly TransportName[]
  readonly WebSocket: SocketConstructor | undefined
  readonly random?: () => number
}

/** `link` is at work; `trial` is tried beside it; `old` is being relieved by it. */
type State =
  | (Without<'link' | 'trial' | 'old'> & { readonly kind: 'idle' | 'paused' | 'closed' })
  | (Without<'trial' | 'old'> & { readonly kind: 'seeking' | 'settled'; readonly link: Link })
  /** `timer` runs while the trial works and has to show that it holds. */
  | (Without<'old'> & {
      readonly kind: 'trying'
      readonly link: Link
      readonly trial: Link
      timer?: Timer
    })
  | (Without<'trial'> & {
      readonly kind: 'moving'
      readonly link: Link
      readonly old: Link
      readonly staying: Set<CarriedJob>
    })

type Without<Name extends string> = { readonly [name in Name]?: undefined }

/** How often a better transport is tried. */
const TRIAL_MS = 5 * 60_000
/** How long an unused connection is kept for the next watch. */
const LINGER_MS = 1000

/**
 * The client's way to the server: which transport carries the watched jobs, and when that changes.
 *
 * `idle`: nothing is watched and nothing open. With the first job a link is opened, on the transport that worked
 * last in this tab, at first on the top of the ladder: `seeking`, until it works or fails (three quick failures
 * in a row, or one silence), which leads one rung down. When the last rung fails as well it is the server that is away,
 * not the transport: back to the top. A link that works makes it `settled`; it mends its own interruptions. Below the
 * top a better one is tried beside it (`trying`) every 5 minutes, when the browser comes online or the machine wakes,
 * and at once when an outage rather than the transport had led down. A trial that works takes the jobs over (`moving`): it has
 * subscribed with their cursors already, and the old link loses a job only when the new one has answered for it, so
 * that nothing is missed and what comes twice is dropped by its seq. A transport that opened and was cut three times in a row
 * carries one job as a trial, and takes over once it has held for 5 s. `paused`: the page stands still (frozen, or kept
 * for the back button) and must not hold a connection that nobody reads; it goes on from the cursors when it is back.
 * `closed` is final.
 *
 * What a link has no room for is carried by a spare link, which polls.
 */
export class Connection implements LinkOwner {
  readonly state = new Store<ConnectionState>({ transport: null, phase: 'idle' })
  readonly #options: ConnectionOptions
  /** What may be used here, best first. */
  #ladder: TransportName[]
  readonly #jobs = new Set<CarriedJob>()
  readonly #assignments: Assignments
  readonly #lists = new Set<CarriedList>()
  #state: State = { kind: 'idle' }
  /** What has worked here. */
  readonly #proven = new Set<TransportName>()
  /** What opened here and was cut soon, again and again, and has not held since. */
  readonly #fragile = new Set<TransportName>()
  readonly #life = new PageLife((event) => this.#happened(event))
  #memory: TransportMemory | null = null
  #trialTimer: ReturnType<typeof setTimeout> | undefined
  #lingerTimer: ReturnType<typeof setTimeout> | undefined
  /**
   * The way down began with something that had worked, or led past the last rung, or the network has come back since: it
   * was an outage, it seems. Or nobody has tried the top yet.
   */
  #outage = false

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#ladder = options.transports.filter(
      (transport) => transport !== 'websocket' || options.WebSocket !== undefined,
    )
    const canPoll = () => this.#ladder.includes('polling')
    this.#assignments = new Assignments(this.#jobs, canPoll, () => this.#open('polling'))
  }

  /** Carries the job; one that is carried already, afresh. */
  carry(job: CarriedJob): void {
    if (this.#state.kind === 'closed') return
    clearTimeout(this.#lingerTimer)
    this.#jobs.add(job)
    if (this.#state.kind === 'paused') return
    if (this.#state.kind === 'idle') {
      this.#wake()
      return
    }
    const assigned = this.#assignments.linkOf(job)
    if (assigned === undefined) this.#assign()
    else assigned.carry(job)
    const { trial } = this.#state
    if (trial !== undefined && this.#assignments.fitting(trial).has(job)) trial.carry(job)
  }

  drop(job: CarriedJob): void {
    if (!this.#jobs.delete(job)) return
    const { link, trial, old } = this.#state
    for (const one of [link, trial, old]) one?.drop(job)
    this.#assignments.drop(job, link)
    if (this.#state.kind === 'moving') this.#arrived(job)
    if (trial !== undefined) this.#occupy(trial)
    this.#lingerIfUnused()
  }

  carryList(list: CarriedList): void {
    if (this.#state.kind === 'closed') return
    clearTimeout(this.#lingerTimer)
    this.#lists.add(list)
    if (this.#state.kind === 'idle') this.#wake()
    this.#carryLists()
  }

  dropList(list: CarriedList): void {
    if (!this.#lists.delete(list)) return
    this.#state.link?.carrierOf?.(list).drop(list)
    this.#lingerIfUnused()
  }

  credentialChanged(job: CarriedJob): void {
    this.#assignments.linkOf(job)?.credentialChanged(job)
  }

  close(): void {
    this.#jobs.clear()
    this.#lists.clear()
    this.#rest('closed')
  }

  worked(link: Link): void {
    const state = this.#state
    if (state.link === undefined || (link !== state.link && link !== state.trial)) return
    this.#proven.add(link.transport)
    if (state.kind === 'trying' && link === state.trial) {
      if (!this.#fragile.has(link.transport)) this.#move(state.link, link)
      else state.timer ??= setTimeout(() => this.#held(link), STEADY_MS)
    }
    if (link !== state.link) return
    if (state.kind === 'seeking') {
      this.#become({ kind: 'settled', link })
      this.#scheduleTrial(link)
    }
    // A server may allow fewer subscriptions than was thought.
    this.#assign()
  }

  failed(link: Link, failure: Failure): void {
    const state = this.#state
    if (state.link === undefined) return
    this.#heedPassing()
    const rung = this.#ladder.indexOf(link.transport)
    const next = this.#ladder[rung + 1]
    const isHopeless = rung < 0
    const { barred } = failure
    if (barred?.forGood) this.#ladder = this.#ladder.filter((one) => one !== link.transport)
    if (state.kind === 'trying' && link === state.trial) {
      link.close()
      this.#become({ kind: 'settled', link: state.link })
      if (next !== undefined && next !== state.link.transport) this.#try(next)
      else this.#tryIn(TRIAL_MS)
      return
    }
    if (link !== state.link) return
    const mayStay = barred === null && !isHopeless
    if (mayStay && !failure.silent && !failure.repeated) return
    // Further down nothing carries lists: where there is nothing else, the link goes on trying.
    if (mayStay && link.carrierOf !== undefined && this.#jobs.size === 0) return
    if (failure.brief) this.#fragile.add(link.transport)
    const isKnownGood = this.#proven.has(link.transport) && !this.#fragile.has(link.transport)
    if (mayStay && (isKnownGood || next === undefined)) this.#outage = true
    const target = next ?? this.#ladder[0]
    if (target === undefined) this.#giveUp(barred?.error)
    // Down at once; up again only after the pause that the link itself would have made.
    else if (target !== link.transport || barred !== null) {
      this.#descend(target, { n: failure.n, delayMs: next === undefined ? failure.delayMs : 0 })
    }
  }

  changed(link: Link): void {
    if (link === this.#state.link) this.#publish()
  }

  interrupted(link: Link, job: CarriedJob): void {
    const state = this.#state
    // Another link carries it on: the one that a trial was to replace, or that has not been relieved yet.
    if (this.#assignments.linkOf(job) !== link) return
    if (state.kind === 'moving' && link === state.link && state.staying.has(job)) return
    job.interrupted()
  }

  restored(link: Link, job: CarriedJob): void {
    if (this.#assignments.linkOf(job) === link) job.restored()
  }

  replayed(link: Link, job: CarriedJob, replay: Replay): void {
    const state = this.#state
    if (state.kind === 'moving' && link === state.link && state.staying.has(job)) {
      // The old link is left before the replay is applied: what it still brings belongs before it.
      state.old.drop(job)
      job.replayed(replay, link.transport)
      this.#arrived(job)
      return
    }
    // The first to arrive of what a trial brings is as good, but it is not what carries the job.
    const carrying = state.kind === 'trying' && link === state.trial ? state.link : link
    job.replayed(replay, carrying.transport)
  }

  /** The one place that changes the state. */
  #become(state: State): void {
    if ('timer' in this.#state) clearTimeout(this.#state.timer)
    this.#state = state
    this.#carryLists()
    this.#publish()
  }

  /** The link at work carries the lists, where it can. */
  #carryLists(): void {
    const { link } = this.#state
    if (link === undefined) return
    for (const list of this.#lists) {
      list.carried(link.carrierOf !== undefined)
      const carrier = link.carrierOf?.(list)
      if (carrier?.carries(list) === false) carrier.carry(list)
    }
  }

  #lingerIfUnused(): void {
    if (this.#jobs.size > 0 || this.#lists.size > 0) return
    clearTimeout(this.#lingerTimer)
    this.#lingerTimer = setTimeout(() => this.#rest('idle'), LINGER_MS)
  }

  #publish(): void {
    const { link } = this.#state
    const shown = this.state.getSnapshot()
    const transport = link?.transport ?? null
    const phase = link?.phase ?? 'idle'
    if (shown.transport !== transport || shown.phase !== phase) this.state.set({ transport, phase })
  }

  #wake(): void {
    this.#heedPassing()
    const { http } = this.#options
    this.#memory ??= new TransportMemory(http.url(''), http.isBelowPath)
    const remembered = this.#ladder.find((transport) => transport === this.#memory?.transport)
    const transport = remembered ?? this.#firstOf(this.#ladder)
    if (transport === undefined) {
      this.#giveUp()
      return
    }
    this.#life.start()
    this.#become({ kind: 'seeking', link: this.#open(transport) })
    this.#assign()
  }

  /**
   * What to begin with where nothing is known. Below a path something stands before the server that may pass no WebSocket
   * on: the first answer over HTTP says so, or else the top is tried beside it, at once. A page that tries a WebSocket in
   * vain has an error in its console, which nobody can keep out of it.
   */
  #firstOf(ladder: readonly TransportName[]): TransportName | undefined {
    const { passing, isBelowPath } = this.#options.http
    const [top, next] = ladder
    if (top !== 'websocket' || passing !== null || !isBelowPath || this.#jobs.size === 0) return top
    this.#outage = next !== undefined
    return next ?? top
  }

  /** Leaves out what does not get through to the server. */
  #heedPassing(): void {
    const { passing } = this.#options.http
    if (passing !== null) this.#ladder = this.#ladder.filter((one) => passing.includes(one))
  }

  /** Closes everything. */
  #rest(kind: 'idle' | 'paused' | 'closed'): void {
    const former = this.#state
    this.#assignments.clear()
    clearTimeout(this.#trialTimer)
    clearTimeout(this.#lingerTimer)
    if (kind !== 'paused') this.#life.stop()
    this.#become({ kind })
    closeLinks(former)
  }

  #giveUp(
    error = new JobcastError('unsupported', 'none of the transports asked for can be used here'),
  ): void {
    const jobs = [...this.#jobs]
    const lists = [...this.#lists]
    this.#jobs.clear()
    this.#lists.clear()
    this.#rest('idle')
    for (const job of jobs) job.refused(error)
    for (const list of lists) list.refused(error)
  }

  #open(transport: TransportName, from: { n: number; delayMs: number } = { n: 0, delayMs: 0 }): Link {
    const last = transport === this.#ladder.at(-1)
    return openLink(transport, { random: Math.random, ...this.#options, owner: this, last, ...from })
  }

  #descend(transport: TransportName, from: { n: number; delayMs: number }): void {
    const former = this.#state
    clearTimeout(this.#trialTimer)
    this.#assignments.release()
    this.#become({ kind: 'seeking', link: this.#open(transport, from) })
    closeLinks(former)
    this.#assign()
  }

  #assign(): void {
    const { link } = this.#state
    if (link !== undefined) this.#assignments.assign(link)
  }

  #happened(event: PageEvent): void {
    if (event === 'paused') {
      this.#rest('paused')
      for (const job of this.#jobs) job.interrupted()
      return
    }
    if (this.#state.kind === 'paused') {
      if (this.#jobs.size > 0) this.#wake()
      else this.#rest('idle')
      return
    }
    this.#state.link?.revive()
    this.#assignments.revive()
    if (event !== 'shown') this.#tryAnew()
  }

  /** The network may be another one. What is being tried just now was begun on the old one. */
  #tryAnew(): void {
    const state = this.#state
    if (state.kind === 'trying') {
      state.trial.close()
      this.#become({ kind: 'settled', link: state.link })
    }
    if (state.kind === 'seeking' || state.kind === 'moving') this.#outage = true
    else this.#try(this.#ladder[0])
  }

  #scheduleTrial(link: Link): void {
    this.#heedPassing()
    if (link.transport === this.#ladder[0] || this.#outage) {
      this.#outage = false
      this.#memory?.note(link.transport, null)
      this.#try(this.#ladder[0])
      return
    }
    const trialAt = this.#memory?.trialAt ?? Date.now() + TRIAL_MS
    this.#tryIn(Math.min(Math.max(0, trialAt - Date.now()), TRIAL_MS))
  }

  #tryIn(delayMs: number): void {
    clearTimeout(this.#trialTimer)
    this.#memory?.note(this.#state.link?.transport ?? null, Date.now() + delayMs)
    this.#trialTimer = setTimeout(() => this.#try(this.#ladder[0]), delayMs)
  }

  /** Tries a better transport beside the one at work, for all jobs, with the cursors they have now. */
  #try(transport: TransportName | undefined): void {
    const state = this.#state
    if (state.kind !== 'settled' || transport === undefined || transport === state.link.transport) return
    clearTimeout(this.#trialTimer)
    const trial = this.#open(transport)
    this.#become({ kind: 'trying', link: state.link, trial })
    if (this.#fragile.has(transport)) this.#occupy(trial)
    else this.#assignments.fill(trial)
  }

  /** A trial without a job would show nothing. */
  #occupy(trial: Link): void {
    const fitting = [...this.#assignments.fitting(trial)]
    const [first] = fitting
    if (first !== undefined && !fitting.some((job) => trial.carries(job))) trial.carry(first)
  }

  /** The trial of a transport that had not held has held. */
  #held(trial: Link): void {
    const state = this.#state
    if (state.kind !== 'trying' || state.trial !== trial) return
    this.#fragile.delete(trial.transport)
    this.#assignments.fill(trial)
    this.#move(state.link, trial)
  }

  #move(old: Link, link: Link): void {
    const staying = this.#assignments.relieve(old, link)
    this.#become({ kind: 'moving', link, old, staying })
    this.#assign()
    if (this.#ladder[0] === link.transport) this.#memory?.note(link.transport, null)
    else this.#tryIn(TRIAL_MS)
    if (staying.size === 0) this.#moved(link, old)
  }

  #arrived(job: CarriedJob): void {
    const state = this.#state
    if (state.kind !== 'moving') return
    state.staying.delete(job)
    if (state.staying.size === 0) this.#moved(state.link, state.old)
  }

  #moved(link: Link, old: Link): void {
    this.#become({ kind: 'settled', link })
    old.close()
    if (this.#outage) this.#scheduleTrial(link)
  }
}

function closeLinks({ link, trial, old }: State): void {
  for (const one of [link, trial, old]) one?.close()
}
