import { setImmediate } from 'node:timers'
import type { Held, QueuePlace } from '../../shared/job.ts'
import type { Feed, Place, PlaceAnswers, Unsubscribe } from '../engine/engine.ts'
import { Unavailable } from '../engine/errors.ts'
import { type Crowd, joined, members, without } from './crowd.ts'
import type { StartEstimates } from './start-estimates.ts'

/** Where a queued job stands, with its time in ms since the epoch. */
export interface Standing {
  readonly place: number | null
  readonly startsAtMs: number | null
  readonly held: Held | null
}

export function toQueuePlace({ place, startsAtMs, held }: Standing): QueuePlace {
  return { place, startsAt: startsAtMs === null ? null : new Date(startsAtMs).toISOString(), held }
}

/** Is told where a job stands; false: has no room for it now. */
export type OnStanding = (standing: Standing) => boolean

interface PlaceWatcher {
  readonly onStanding: OnStanding
  told: Standing | null
  /** When that was, on the clock of `performance.now()`. */
  toldAt: number
}

/** A queued job that somebody watches. */
interface Entry {
  readonly jobId: string
  type: string | null
  /** Undefined: not asked yet. Null: not queued any more, as its watchers will hear. */
  standing: Standing | null | undefined
  watchers: Crowd<PlaceWatcher>
}

const EVERY_MS = 1000
/** Timers are not exact: a little less than a second is a second. */
const SLACK = 0.9
/** The part of a second that a job which was just watched has to wait for its first place. Most are claimed sooner, and cost nothing. */
const PATIENCE = 0.1
/** Further back than this place, steps of a hundredth are told, and not every one. */
const EXACT_PLACES = 100
/** An estimate is told anew when it has moved by more than this, and by more than a fifth of what was left. */
const MIN_SHIFT_MS = 1000
const MIN_SHIFT_SHARE = 1 / 5

/**
 * Tells whoever watches a queued job where it stands: soon, then about every second where that is news. All jobs are
 * asked about in one go, however many watch each, and nothing is asked where nobody watches any.
 */
export class QueuePlaces {
  readonly #feed: Pick<Feed, 'places'>
  readonly #estimates: StartEstimates
  readonly #onFailure: (error: unknown) => void
  readonly #everyMs: number
  readonly #entries = new Map<string, Entry>()
  /** Jobs that are watched, and not asked about yet. */
  #fresh = new Set<Entry>()
  /** Jobs that are looked at, to be asked about at the end of this tick. */
  #looks: { readonly entries: Entry[]; readonly asked: Promise<void> } | null = null
  #isAsking = false
  #askedAt = Number.NEGATIVE_INFINITY
  /** The store's clock, as of its last answer. */
  #nowMs = 0

  constructor(options: {
    feed: Pick<Feed, 'places'>
    estimates: StartEstimates
    onFailure: (error: unknown) => void
    everyMs?: number | undefined
  }) {
    this.#feed = options.feed
    this.#estimates = options.estimates
    this.#onFailure = options.onFailure
    this.#everyMs = options.everyMs ?? EVERY_MS
  }

  /**
   * Calls back, also within this call, where the job stands, and whenever that is news beside what was told, `told` at
   * first. Whoever watches a job knows from its events when it is no longer queued, and stops then.
   */
  watch(
    jobId: string,
    type: string | null,
    onStanding: OnStanding,
    told: Standing | null = null,
  ): Unsubscribe {
    const entry = this.#entryOf(jobId, type)
    const watcher: PlaceWatcher = { onStanding, told, toldAt: Number.NEGATIVE_INFINITY }
    entry.watchers = joined(entry.watchers, watcher)
    if (entry.standing) this.#tell(watcher, entry.standing)
    return () => {
      entry.watchers = without(entry.watchers, watcher)
      if (entry.watchers === null && this.#entries.get(jobId) === entry) this.#entries.delete(jobId)
    }
  }

  /** Where the job stands now; null where it is not queued, or the store is away. */
  async look(jobId: string, type: string): Promise<Standing | null> {
    const watched = this.#entries.get(jobId)?.standing
    if (watched !== undefined) return watched
    const entry = newEntry(jobId, type)
    await this.#askAtOnce(entry)
    return entry.standing ?? null
  }

  /** Asks where the watched jobs stand, if that was a second ago; every sweep calls it. */
  sweep(now: number): void {
    if (this.#entries.size === 0 || this.#isAsking) return
    if (now - this.#askedAt < this.#everyMs * SLACK) return
    this.#askedAt = now
    this.#isAsking = true
    const known = [...this.#entries.values()].filter((entry) => !this.#fresh.has(entry))
    void this.#ask(known).finally(() => {
      this.#isAsking = false
    })
  }

  #entryOf(jobId: string, type: string | null): Entry {
    const known = this.#entries.get(jobId)
    if (known !== undefined) return known
    const entry = newEntry(jobId, type)
    this.#entries.set(jobId, entry)
    if (this.#fresh.size === 0) setTimeout(() => this.#askFresh(), this.#everyMs * PATIENCE)
    this.#fresh.add(entry)
    return entry
  }

  #askFresh(): void {
    const wanted = [...this.#fresh].filter(({ watchers }) => watchers !== null)
    this.#fresh = new Set()
    void this.#ask(wanted)
  }

  #askAtOnce(entry: Entry): Promise<void> {
    this.#looks ??= {
      entries: [],
      asked: new Promise((resolve) => setImmediate(() => resolve(this.#askLooks()))),
    }
    this.#looks.entries.push(entry)
    return this.#looks.asked
  }

  async #askLooks(): Promise<void> {
    const entries = this.#looks?.entries ?? []
    this.#looks = null
    await this.#ask(entries)
  }

  /** Never rejects: a place that cannot be had now is asked for again in a second. */
  async #ask(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return
    try {
      const [answers] = await Promise.all([this.#feed.places(entries), this.#estimates.refresh()])
      this.#apply(entries, answers)
    } catch (error) {
      if (!(error instanceof Unavailable)) this.#onFailure(error)
    }
  }

  #apply(entries: readonly Entry[], { now, places }: PlaceAnswers): void {
    this.#nowMs = now
    for (const [index, entry] of entries.entries()) {
      const place = places[index] ?? null
      entry.type ??= place?.type ?? null
      entry.standing = place === null ? null : this.#standing(place, now)
      if (entry.standing === null) continue
      for (const watcher of members(entry.watchers)) this.#tell(watcher, entry.standing)
    }
  }

  #standing({ type, place, paused }: Place, now: number): Standing {
    const held = paused ? 'paused' : this.#estimates.isServed(type) ? null : 'no_worker'
    const inMs = place === null || held !== null ? null : this.#estimates.startsInMs(type, place)
    return { place, startsAtMs: inMs === null ? null : Math.round(now + inMs), held }
  }

  #tell(watcher: PlaceWatcher, standing: Standing): void {
    const at = performance.now()
    if (at - watcher.toldAt < this.#everyMs * SLACK) return
    if (!isNews(watcher.told, standing, this.#nowMs) || !watcher.onStanding(standing)) return
    watcher.told = standing
    watcher.toldAt = at
  }
}

function newEntry(jobId: string, type: string | null): Entry {
  return { jobId, type, standing: undefined, watchers: null }
}

/** Whether who was told the one should be told the other; `nowMs` on the same clock as they. */
export function isNews(told: Standing | null, is: Standing, nowMs: number): boolean {
  if (told === null || told.held !== is.held) return true
  return isAnotherPlace(told.place, is.place) || isAnotherTime(told.startsAtMs, is.startsAtMs, nowMs)
}

function isAnotherPlace(told: number | null, is: number | null): boolean {
  if (told === null || is === null) return told !== is
  return Math.abs(is - told) >= Math.max(1, Math.min(told, is) / EXACT_PLACES)
}

/** Whatever is past is "at any moment". */
function isAnotherTime(told: number | null, is: number | null, nowMs: number): boolean {
  if (told === null || is === null) return told !== is
  const leftMs = Math.max(0, told - nowMs)
  const shiftMs = Math.abs(Math.max(0, is - nowMs) - leftMs)
  return shiftMs >= MIN_SHIFT_MS && shiftMs > leftMs * MIN_SHIFT_SHARE
}
