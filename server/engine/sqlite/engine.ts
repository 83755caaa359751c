import { setImmediate } from 'node:timers'
import { setImmediate as turn } from 'node:timers/promises'
import type { Job } from '../../../shared/job.ts'
import {
  type Change,
  type Claim,
  type ClaimRequest,
  type Engine,
  type ExtendVerdict,
  type Feed,
  type FeedMessage,
  type JobPage,
  type LeaseRef,
  type ListQuery,
  MAX_CALL_JOBS,
  type Place,
  type PlaceAnswers,
  type PlaceQuestion,
  type Presence,
  type Report,
  type Scheduled,
  type SettleRequest,
  type SettleVerdict,
  type SubmitReceipt,
  type SubmitRequest,
  type Submitted,
  type TypeRegistration,
  type TypeState,
  type Unsubscribe,
  type Upcoming,
  type Wait,
} from '../engine.ts'
import { Unavailable } from '../errors.ts'
import { isJobId } from '../job/ids.ts'
import { NewerWords } from '../job/newer-words.ts'
import { jobOf } from '../job/stored-job.ts'
import { Claims, Waiters } from './claim.ts'
import { DatabaseError } from './database.ts'
import { guarded, Listeners, Presences } from './listeners.ts'
import { list, places, position, read } from './reads.ts'
import { Store, type StoreLocation } from './store.ts'
import type { Effects } from './transaction.ts'
import {
  cancel,
  extend,
  promote,
  prune,
  remove,
  report,
  rescue,
  retry,
  settle,
  submit,
  takeBack,
  upcoming,
} from './verbs.ts'
import { asUnavailable, Health, type Verb, Writer } from './writer.ts'

export type SqliteEngineOptions = StoreLocation & SqliteEngineHooks

interface SqliteEngineHooks {
  /** What the folder is called where it was set; left out: as the variable of the environment is. */
  readonly named?: string
  /** Tells the time in ms since 1970; left out: `Date.now`. Leases go by a clock that nobody sets. */
  readonly now?: () => number
  /** The store takes no more writes. */
  readonly onDown?: (reason: string) => void
  /** It takes them again. */
  readonly onUp?: (epoch: string, warnings: readonly string[]) => void
  /** The file holds a word that only a newer version knows; once a word. */
  readonly onNewer?: (what: string) => void
}

/**
 * The embedded engine: one SQLite file in a folder that this process owns, or in its memory. Reads see what is durable; writes
 * go through one writer. A commit and what others are told of it are one step of the event loop, so the feed
 * cannot lose a message.
 */
export function createSqliteEngine(options: SqliteEngineOptions): Engine {
  return new SqliteEngine(options)
}

/** Whoever listens to submissions, or to what is scheduled, hears of all. */
const ALL = ''
/** How long one call may prune, in ms; between its steps others have their turn. */
const PRUNE_MS = 1000
/** Jobs whose places are looked up in one go. */
const MOST_PLACES = 500

type State =
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly store: Store; readonly writer: Writer; readonly health: Health }

class SqliteEngine implements Engine {
  readonly kind = 'sqlite'
  readonly feed: Feed
  readonly #options: SqliteEngineOptions
  readonly #watchers = new Listeners<FeedMessage>()
  readonly #cancels = new Listeners<LeaseRef>()
  readonly #submissions = new Listeners<Submitted>()
  readonly #schedules = new Listeners<Scheduled>()
  readonly #waiters = new Waiters()
  readonly #presences = new Presences()
  readonly #now: () => number
  #claims = new Claims()
  #state: State = { kind: 'closed' }

  constructor(options: SqliteEngineOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.feed = this.#createFeed()
  }

  async start(): Promise<void> {
    if (this.#state.kind === 'open') return
    const store = this.#openStore()
    const health = new Health({
      onDown: (reason) => guarded(() => this.#options.onDown?.(reason)),
      onUp: () => guarded(() => this.#options.onUp?.(store.epoch, [])),
      probe: () => this.check(),
    })
    const writer = new Writer(store, {
      isWatched: (jobId) => this.#watchers.has(jobId),
      onCommitted: (effects) => {
        health.succeeded()
        this.#tell(store, effects)
      },
      onFailed: (reason) => health.failed(reason),
    })
    this.#claims = new Claims()
    this.#state = { kind: 'open', store, writer, health }
    try {
      await this.check()
      // Whoever ran these is gone, or this process would not have the folder.
      while ((await this.#write((tx) => takeBack(tx, MAX_CALL_JOBS))) > 0);
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    if (this.#state.kind === 'closed') return
    const { store, writer, health } = this.#state
    writer.flush()
    this.#state = { kind: 'closed' }
    health.stop()
    this.#waiters.wakeAll()
    store.close()
  }

  async check(): Promise<readonly string[]> {
    await this.#write((tx) => tx.store.touch(tx.now))
    return []
  }

  async submit(request: SubmitRequest): Promise<SubmitReceipt> {
    return this.#write((tx) => submit(tx, request))
  }

  async get(jobId: string): Promise<Job | null> {
    return this.#read((store, now) => {
      const row = store.liveJob(jobId, now)
      return row === null ? null : jobOf(row, store.bodies(row), store.epoch)
    })
  }

  async list(query: ListQuery): Promise<JobPage> {
    return this.#read((store, now) => list(store, query, now))
  }

  /** Nothing is handed over: a claim is no round trip here. So one that has waited is simply made, unless nobody wants it any more. */
  async claim(request: ClaimRequest & Partial<Wait>): Promise<Claim[]> {
    const { claimId, types, waitMs = 0, signal } = request
    const { catalog } = this.#open().store
    if (waitMs > 0 && !types.some(({ type }) => catalog.claimable(type) > 0)) {
      if ((await this.#waiters.wait(claimId, types, waitMs, signal)) === 'taken') return []
    }
    this.#waiters.take(claimId)
    return this.#write((tx) => (signal?.aborted ? [] : this.#claims.claim(tx, request)))
  }

  async extend(request: { leases: readonly LeaseRef[]; leaseMs: number }): Promise<ExtendVerdict[]> {
    return this.#write((tx) => extend(tx, request.leases, request.leaseMs))
  }

  async report(reports: readonly Report[]): Promise<('ok' | 'stale')[]> {
    return this.#write((tx) => report(tx, reports))
  }

  async settle(request: SettleRequest): Promise<{ verdicts: SettleVerdict[]; claims: Claim[] }> {
    const { settlements, next } = request
    if (next !== undefined) this.#waiters.take(next.claimId)
    return this.#write((tx) => ({
      verdicts: settle(tx, settlements),
      claims: next === undefined ? [] : this.#claims.claim(tx, next),
    }))
  }

  async cancel(jobId: string): Promise<Change<'not_found' | 'already_finished'>> {
    return this.#write((tx) => cancel(tx, jobId))
  }

  async retry(jobId: string): Promise<Change<'not_found' | 'not_retryable'>> {
    return this.#write((tx) => retry(tx, jobId))
  }

  async remove(jobId: string): Promise<'removed' | 'not_found' | 'not_finished'> {
    return this.#write((tx) => remove(tx, jobId))
  }

  async promote(request: { limit: number }): Promise<{ promoted: number; nextInMs: number | null }> {
    return this.#write((tx) => promote(tx, request.limit))
  }

  async rescue(request: { limit: number }): Promise<{ rescued: number }> {
    return this.#write((tx) => rescue(tx, request.limit))
  }

  async prune(request: { limit: number }): Promise<{ pruned: number }> {
    const deadline = performance.now() + PRUNE_MS
    let pruned = 0
    for (let isDone = false; !isDone && performance.now() < deadline; ) {
      const step = await this.#write((tx) => prune(tx, request.limit - pruned))
      pruned += step.pruned
      isDone = step.isDone
    }
    return { pruned }
  }

  async upcoming(): Promise<Upcoming> {
    return this.#read(upcoming)
  }

  onScheduled(listener: (scheduled: Scheduled) => void): Unsubscribe {
    return this.#schedules.add(ALL, listener)
  }

  async types(): Promise<TypeState[]> {
    return this.#read((store) => store.catalog.states())
  }

  async hasQueued(): Promise<boolean> {
    return this.#read((store) => store.catalog.states().some(({ counts }) => counts.queued > 0))
  }

  async registerTypes(types: readonly TypeRegistration[]): Promise<void> {
    await this.#write((tx) => {
      for (const type of types) tx.store.catalog.register(type, tx.undo)
    })
  }

  async pause(type: string): Promise<void> {
    await this.#write((tx) => tx.store.catalog.setPaused(type, true, tx.undo))
  }

  async resume(type: string): Promise<void> {
    await this.#write((tx) => {
      const { catalog } = tx.store
      catalog.setPaused(type, false, tx.undo)
      tx.ready(type, catalog.claimable(type))
    })
  }

  async announce(presence: Presence & { ttlMs: number }): Promise<void> {
    this.#open()
    this.#presences.announce(presence)
  }

  async withdraw(id: string): Promise<void> {
    this.#presences.withdraw(id)
  }

  async presences(): Promise<Presence[]> {
    this.#open()
    return this.#presences.all()
  }

  async onCancel(workerId: string, listener: (lease: LeaseRef) => void): Promise<Unsubscribe> {
    this.#open()
    return this.#cancels.add(workerId, listener)
  }

  async secret(name: string, candidate: string): Promise<string> {
    return this.#write(({ store }) => {
      const key = JSON.stringify(name)
      store.run('INSERT OR IGNORE INTO secrets (name, value) VALUES (?, ?)', [key, JSON.stringify(candidate)])
      return JSON.parse(store.get('SELECT value FROM secrets WHERE name = ?', [key])?.[0] as string)
    })
  }

  #createFeed(): Feed {
    const epoch = () => (this.#state.kind === 'open' ? this.#state.store.epoch : '')
    return {
      get epoch() {
        return epoch()
      },
      watch: async (jobId, listener) => {
        this.#open()
        return this.#watchers.add(jobId, listener)
      },
      read: async (requests) =>
        this.#read((store, now) => requests.map((request) => read(store, request, now))),
      positions: async (jobIds) =>
        this.#read((store, now) => jobIds.map((jobId) => position(store, jobId, now))),
      places: (jobs) => this.#places(jobs),
      // In one process no message is lost, and the file's history never changes.
      onReset: () => () => {},
      list: (query) => this.list(query),
      onSubmitted: async (listener) => {
        this.#open()
        return this.#submissions.add(ALL, listener)
      },
    }
  }

  /** Some at a time, so that others have their turn in between. */
  async #places(jobs: readonly PlaceQuestion[]): Promise<PlaceAnswers> {
    const jobIds = jobs.map(({ jobId }) => jobId).filter(isJobId)
    const found = new Map<string, Place>()
    for (let first = 0; first < jobIds.length; first += MOST_PLACES) {
      if (first > 0) await turn()
      const some = await this.#read((store) => places(store, jobIds.slice(first, first + MOST_PLACES)))
      for (const [jobId, place] of some) found.set(jobId, place)
    }
    return { now: this.#now(), places: jobs.map(({ jobId }) => found.get(jobId) ?? null) }
  }

  #openStore(): Store {
    const newer = new NewerWords((what) => guarded(() => this.#options.onNewer?.(what)))
    try {
      const { named } = this.#options
      return new Store(this.#options, { newer, named, now: this.#now })
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      const advice = error.isDamage
        ? 'restore it from a backup, or move it away to start with an empty one'
        : 'see that the disk has room, and that no other program uses the files or keeps them from this user'
      const name = 'folder' in this.#options ? this.#options.folder : 'memory'
      throw new Unavailable(`the store in ${name} cannot be opened (${error.message}): ${advice}`)
    }
  }

  #open(): Extract<State, { kind: 'open' }> {
    if (this.#state.kind === 'open') return this.#state
    throw new Unavailable('the store is closed')
  }

  /**
   * Looks at the file after everything that was called before: whoever asks finds what he has just changed.
   */
  async #read<T>(look: (store: Store, now: number) => T): Promise<T> {
    await this.#open().writer.barrier()
    try {
      return look(this.#open().store, this.#now())
    } catch (error) {
      throw asUnavailable(error)
    }
  }

  #write<T>(verb: Verb<T>): Promise<T> {
    return this.#open().writer.write(verb)
  }

  #tell({ catalog }: Store, { messages, cancels, ready, submitted, scheduledFor }: Effects): void {
    for (const { jobId, message } of messages) this.#watchers.emit(jobId, message)
    // Whoever has claimed the job in this very transaction does not know the run yet.
    if (cancels.length > 0)
      setImmediate(() => {
        for (const { worker, lease } of cancels) this.#cancels.emit(worker, lease)
      })
    if (submitted.types.size > 0) {
      this.#submissions.emit(ALL, { types: [...submitted.types], tags: [...submitted.tags] })
    }
    if (scheduledFor !== null) {
      this.#schedules.emit(ALL, { inMs: Math.max(0, scheduledFor - this.#now()), isOwn: true })
    }
    for (const [type, jobs] of ready) {
      if (catalog.claimable(type) > 0) this.#waiters.wake(type, jobs)
    }
  }
}
