import { MAX_HOLD_S, STREAM_LIFE_MS } from '../../shared/limits.ts'
import type {
  Feed,
  JobPage,
  ListQuery,
  Position,
  Presence,
  ReadRequest,
  ReadResult,
  Submitted,
  Unsubscribe,
} from '../engine/engine.ts'
import { Unavailable } from '../engine/errors.ts'
import type { Events } from '../events.ts'
import { type Crowd, joined, members, without } from './crowd.ts'
import { OutputBudget } from './output-budget.ts'
import { CHECK_TIMES, type CheckTimes, PositionCheck } from './position-check.ts'
import { type OnStanding, QueuePlaces } from './queue-places.ts'
import type { Source, Watcher } from './session.ts'
import { SharedReads } from './shared-reads.ts'
import { StartEstimates } from './start-estimates.ts'
import { Traffic } from './traffic.ts'

export interface HubOptions {
  readonly feed: Feed
  readonly events: Events
  /** Tells who lives, for estimates of when queued jobs start; left out: nobody knows. */
  readonly presences?: () => Promise<readonly Presence[]>
  /** How often whoever watches a queued job is told its place. */
  readonly placesMs?: number
  /** How long the feed is listened to for a job without watchers: whoever reconnects finds it so. */
  readonly lingerMs?: number
  /** The longest that an answer with nothing to tell yet is held. */
  readonly holdMs?: number
  /** The longest that an event stream goes on before its reader has to come back. */
  readonly streamLifeMs?: number
  /** The time between two sweeps, each a look at everything that is open. */
  readonly sweepMs?: number
  readonly check?: Partial<CheckTimes>
  /** How much of what was made for readers may wait for them, in bytes; left out: a share of the heap. */
  readonly outputBytes?: number
}

const LINGER_MS = 5000
const SWEEP_MS = 1000

/** One watched job: opened with its first watcher, closed some time after its last. */
interface Topic {
  readonly jobId: string
  watchers: Crowd<Watcher>
  state:
    | { readonly is: 'opening'; readonly opened: Promise<void> }
    | { readonly is: 'open'; readonly unwatch: Unsubscribe }
    | { readonly is: 'lingering'; readonly unwatch: Unsubscribe; readonly timer: NodeJS.Timeout }
    | { readonly is: 'closed' }
}

type State =
  | { readonly is: 'new' }
  | { readonly is: 'running'; readonly sweeper: NodeJS.Timeout; readonly offReset: Unsubscribe }
  | { readonly is: 'stopped' }

/** Others take the place of a process that drains meanwhile: its readers come back not all at once, and a few of them soon. */
const COME_BACK_MS = [500, 15_000] as const
const COME_BACK_EACH_MS = 20

/**
 * Job -> watchers: the feed is listened to once for each watched job, however many watch it. Nothing in it matters: a gateway
 * that dies loses no event, since every watcher comes back with its cursor.
 *
 * Modes: `new`, `running`, `stopped`; and, apart from these, draining from the first `drain` or `stop` on.
 */
export class Hub implements Source {
  readonly traffic: Traffic
  readonly places: QueuePlaces
  /** It bounds what waits for all readers of the process together. */
  readonly outputBudget: OutputBudget
  readonly #feed: Feed
  readonly #events: Events
  readonly holdMs: number
  readonly streamLifeMs: number
  readonly #lingerMs: number
  readonly #sweepMs: number
  readonly #reads: SharedReads
  readonly #check: PositionCheck
  readonly #topics = new Map<string, Topic>()
  readonly #onSweep = new Set<(now: number) => void>()
  readonly #onDrain = new Set<() => void>()
  #state: State = { is: 'new' }
  #draining = false
  #unavailable = false
  readonly #onDown = () => {
    this.#unavailable = true
  }
  readonly #onUp = () => {
    this.#unavailable = false
  }

  constructor(options: HubOptions) {
    this.#feed = options.feed
    this.#events = options.events
    this.holdMs = options.holdMs ?? MAX_HOLD_S * 1000
    this.streamLifeMs = options.streamLifeMs ?? STREAM_LIFE_MS
    this.#lingerMs = options.lingerMs ?? LINGER_MS
    this.#sweepMs = options.sweepMs ?? SWEEP_MS
    this.traffic = new Traffic(options.events)
    this.outputBudget = new OutputBudget(options.outputBytes)
    options.events.on('store.down', this.#onDown).on('store.up', this.#onUp)
    this.#reads = new SharedReads(options.feed, (error) => this.noteFailure('feed read', error))
    this.places = new QueuePlaces({
      feed: options.feed,
      estimates: new StartEstimates(options.presences ?? null, (error) =>
        this.noteFailure('presences', error),
      ),
      onFailure: (error) => this.noteFailure('places', error),
      everyMs: options.placesMs,
    })
    this.#check = new PositionCheck({
      feed: options.feed,
      events: options.events,
      watched: {
        jobIds: () => this.#watchedJobs(),
        watchersOf: (jobId) => [...members(this.#topics.get(jobId)?.watchers ?? null)],
      },
      times: { ...CHECK_TIMES, ...options.check },
    })
  }

  get epoch(): string {
    return this.#feed.epoch
  }

  get draining(): boolean {
    return this.#draining
  }

  /** The store cannot be reached: what watchers were told last may be old. */
  get unavailable(): boolean {
    return this.#unavailable
  }

  start(): void {
    if (this.#state.is !== 'new') return
    // Whoever is open here, or waits for somebody, keeps the process alive by itself; that goes for the timers below, too.
    const sweeper = setInterval(() => this.#sweep(), this.#sweepMs).unref()
    const offReset = this.#feed.onReset(() => {
      this.#events.emit('feed.reset', { epoch: this.#feed.epoch })
      this.#check.reset()
    })
    this.#state = { is: 'running', sweeper, offReset }
    this.#check.start()
  }

  /** Tells every stream and held poll to end; those that come later end at once. */
  drain(): void {
    this.#draining = true
    const listeners = [...this.#onDrain]
    this.#onDrain.clear()
    for (const listener of listeners) listener()
  }

  /** Lets go of the feed. Tolerates being called twice, and before `start`. */
  async stop(): Promise<void> {
    this.drain()
    if (this.#state.is === 'running') {
      clearInterval(this.#state.sweeper)
      this.#state.offReset()
    }
    this.#state = { is: 'stopped' }
    this.#check.stop()
    this.#events.off('store.down', this.#onDown).off('store.up', this.#onUp)
    const opening = [...this.#topics.values()].map((topic) =>
      topic.state.is === 'opening' ? topic.state.opened : undefined,
    )
    await Promise.allSettled(opening)
    for (const topic of [...this.#topics.values()]) this.#closeTopic(topic)
  }

  /** Sums up what the overview tells of this gateway. */
  info() {
    return this.traffic.info()
  }

  /** When readers of a draining process come back, in ms: at random between the two. */
  comeBackMs(): [number, number] {
    const { sockets, streams } = this.traffic.info()
    const [least, most] = COME_BACK_MS
    return [least, Math.min(most, least + COME_BACK_EACH_MS * (sockets + streams))]
  }

  /** Calls back from when the promise resolves until `unwatch`, and starts where that was not done. Rejects with `Unavailable`. */
  async watch(jobId: string, watcher: Watcher): Promise<void> {
    this.start()
    if (this.#state.is !== 'running') throw new Unavailable('the gateway does not run')
    const topic = this.#topicOf(jobId)
    topic.watchers = joined(topic.watchers, watcher)
    if (topic.state.is === 'lingering') {
      clearTimeout(topic.state.timer)
      topic.state = { is: 'open', unwatch: topic.state.unwatch }
    }
    if (topic.state.is === 'opening') await topic.state.opened
  }

  /** Tolerates being called by who does not watch. */
  unwatch(jobId: string, watcher: Watcher): void {
    const topic = this.#topics.get(jobId)
    if (topic === undefined || topic.watchers === null) return
    topic.watchers = without(topic.watchers, watcher)
    if (topic.watchers === null && topic.state.is === 'open') this.#linger(topic, topic.state.unwatch)
  }

  /** Rejects with `Unavailable`. */
  read(request: ReadRequest): Promise<ReadResult | null> {
    return this.outputBudget.read(() => this.#reads.read(request))
  }

  /** Null where there is no such job. Rejects with `Unavailable`. */
  async position(jobId: string): Promise<Position | null> {
    const [position] = await this.#feed.positions([jobId])
    return position ?? null
  }

  watchPlace(jobId: string, type: string | null, onStanding: OnStanding): Unsubscribe {
    return this.places.watch(jobId, type, onStanding)
  }

  /** Does the same as `Feed.list`. Rejects with `Unavailable`. */
  list(query: ListQuery): Promise<JobPage> {
    return this.#feed.list(query)
  }

  /** Does the same as `Feed.onSubmitted`. Rejects with `Unavailable`. */
  onSubmitted(listener: (submitted: Submitted) => void): Promise<Unsubscribe> {
    return this.#feed.onSubmitted(listener)
  }

  /** Does the same as `Feed.onReset`. */
  onReset(listener: () => void): Unsubscribe {
    return this.#feed.onReset(listener)
  }

  noteGap(jobId: string): void {
    this.#events.emit('feed.gap', { jobId })
  }

  checkSoon(): void {
    this.#check.soon()
  }

  /** Something failed that no reader can be told about. */
  noteFailure(where: string, error: unknown): void {
    this.#events.emit('failure', { where, error })
  }

  /** Calls back about once a second, with `performance.now()`. */
  onSweep(listener: (now: number) => void): Unsubscribe {
    this.#onSweep.add(listener)
    return () => this.#onSweep.delete(listener)
  }

  /** Calls back once when the process begins to drain; where it drains already, at once. */
  onDrain(listener: () => void): Unsubscribe {
    if (this.#draining) listener()
    else this.#onDrain.add(listener)
    return () => this.#onDrain.delete(listener)
  }

  #sweep(): void {
    const now = performance.now()
    for (const listener of this.#onSweep) listener(now)
    this.places.sweep(now)
  }

  #watchedJobs(): string[] {
    const jobIds: string[] = []
    for (const { jobId, watchers } of this.#topics.values()) if (watchers !== null) jobIds.push(jobId)
    return jobIds
  }

  #topicOf(jobId: string): Topic {
    const known = this.#topics.get(jobId)
    if (known !== undefined) return known
    const topic: Topic = { jobId, watchers: null, state: { is: 'closed' } }
    this.#topics.set(jobId, topic)
    topic.state = { is: 'opening', opened: Promise.resolve().then(() => this.#open(topic)) }
    return topic
  }

  async #open(topic: Topic): Promise<void> {
    try {
      const unwatch = await this.#feed.watch(topic.jobId, (message) => {
        for (const watcher of members(topic.watchers)) watcher.message(message)
      })
      topic.state = { is: 'open', unwatch }
      if (topic.watchers === null) this.#linger(topic, unwatch)
    } catch (error) {
      topic.state = { is: 'closed' }
      topic.watchers = null
      this.#topics.delete(topic.jobId)
      throw error
    }
  }

  #linger(topic: Topic, unwatch: Unsubscribe): void {
    const timer = setTimeout(() => this.#closeTopic(topic), this.#lingerMs).unref()
    topic.state = { is: 'lingering', unwatch, timer }
  }

  #closeTopic(topic: Topic): void {
    if (topic.state.is === 'lingering') clearTimeout(topic.state.timer)
    if (topic.state.is === 'open' || topic.state.is === 'lingering') topic.state.unwatch()
    topic.state = { is: 'closed' }
    topic.watchers = null
    if (this.#topics.get(topic.jobId) === topic) this.#topics.delete(topic.jobId)
  }
}
