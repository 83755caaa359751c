import type { Feed, Place, PlaceAnswers, Unsubscribe } from '../engine/engine.ts'
import { Unavailable } from '../engine/errors.ts'
import { type Crowd, joined, members, without } from './crowd.ts'
import type { Paces } from './paces.ts'
import { isNews, type Standing } from './standing.ts'

/** Is told where a job stands; false: has no room for it now. */
export type OnStanding = (standing: Standing) => boolean

interface Follower {
  readonly onStanding: OnStanding
  told: Standing | null
  /** On `performance.now()`. */
  toldAt: number
}

/** A queued job that somebody follows. */
interface Entry {
  readonly jobId: string
  type: string | null
  /** Undefined: not asked yet. Null: not queued any more, as its followers will hear. */
  standing: Standing | null | undefined
  followers: Crowd<Follower>
}

const EVERY_MS = 1000
/** Timers are not exact: a little less than a second is a second. */
const SLACK = 0.9
/** Of a second: what a job that was just watched has to wait for its first place. Most are claimed sooner, and cost nothing. */
const PATIENCE = 0.1

/**
 * Tells whoever follows a queued job where it stands: soon, then about every second where that is news. All jobs are
 * asked about in one go, however many follow each, and nothing is asked where nobody follows any.
 */
export class PlaceBoard {
  readonly #feed: Pick<Feed, 'places'>
  readonly #paces: Paces
  readonly #onFailure: (error: unknown) => void
  readonly #everyMs: number
  readonly #entries = new Map<string, Entry>()
  /** Followed, and not asked about yet. */
  #fresh = new Set<Entry>()
  /** Looked at, to be asked about at the end of this tick. */
  #looks: { readonly entries: Entry[]; readonly asked: Promise<void> } | null = null
  #isAsking = false
  #askedAt = Number.NEGATIVE_INFINITY
  /** The store's clock, as of its last answer. */
  #nowMs = 0

  constructor(options: {
    feed: Pick<Feed, 'places'>
    paces: Paces
    onFailure: (error: unknown) => void
    everyMs?: number | undefined
  }) {
    this.#feed = options.feed
    this.#paces = options.paces
    this.#onFailure = options.onFailure
    this.#everyMs = options.everyMs ?? EVERY_MS
  }

  /**
   * Calls back, also within this call, where the job stands, and whenever that is news beside what was told, `told` at
   * first. Whoever follows a job knows from its events when it is no longer queued, and stops then.
   */
  follow(
    jobId: string,
    type: string | null,
    onStanding: OnStanding,
    told: Standing | null = null,
  ): Unsubscribe {
    const entry = this.#entryOf(jobId, type)
    const follower: Follower = { onStanding, told, toldAt: Number.NEGATIVE_INFINITY }
    entry.followers = joined(entry.followers, follower)
    if (entry.standing) this.#tell(follower, entry.standing)
    return () => {
      entry.followers = without(entry.followers, follower)
      if (entry.followers === null && this.#entries.get(jobId) === entry) this.#entries.delete(jobId)
    }
  }

  /** Where the job stands now; null where it is not queued, or the store is away. */
  async look(jobId: string, type: string): Promise<Standing | null> {
    const followed = this.#entries.get(jobId)?.standing
    if (followed !== undefined) return followed
    const entry = newEntry(jobId, type)
    await this.#askAtOnce(entry)
    return entry.standing ?? null
  }

  /** To be called every second, or more often. */
  tick(now: number): void {
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
    const wanted = [...this.#fresh].filter(({ followers }) => followers !== null)
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
      const [answers] = await Promise.all([this.#feed.places(entries), this.#paces.refresh()])
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
      for (const follower of members(entry.followers)) this.#tell(follower, entry.standing)
    }
  }

  #standing({ type, place, paused }: Place, now: number): Standing {
    const held = paused ? 'paused' : this.#paces.isServed(type) ? null : 'no_worker'
    const inMs = place === null || held !== null ? null : this.#paces.startsInMs(type, place)
    return { place, startsAtMs: inMs === null ? null : Math.round(now + inMs), held }
  }

  #tell(follower: Follower, standing: Standing): void {
    const at = performance.now()
    if (at - follower.toldAt < this.#everyMs * SLACK) return
    if (!isNews(follower.told, standing, this.#nowMs) || !follower.onStanding(standing)) return
    follower.told = standing
    follower.toldAt = at
  }
}

function newEntry(jobId: string, type: string | null): Entry {
  return { jobId, type, standing: undefined, followers: null }
}
