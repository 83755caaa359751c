import { type TypePace, WorkerPace, WorkerTypes } from '../../shared/pace.ts'
import type { Presence } from '../engine/engine.ts'
import { Unavailable } from '../engine/errors.ts'
import { type Schedule, schedulesOf, startsInMs } from './start-estimates.ts'

/** How old what workers say may be, in ms; they say it every two seconds. */
const FRESH_MS = 2500

/** Whether and when queued jobs will start, from what the workers announce; read again only while somebody asks. */
export class Paces {
  readonly #presences: (() => Promise<readonly Presence[]>) | null
  readonly #onFailure: (error: unknown) => void
  #schedules: ReadonlyMap<string, Schedule> = new Map()
  /** The types that live workers run; null before they were heard of. */
  #served: ReadonlySet<string> | null = null
  #readAt = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | null = null

  /** `presences` is null where nobody knows who lives. */
  constructor(presences: (() => Promise<readonly Presence[]>) | null, onFailure: (error: unknown) => void) {
    this.#presences = presences
    this.#onFailure = onFailure
  }

  /** Never rejects: while the store is away, what was heard last has to do. */
  refresh(): Promise<void> {
    if (performance.now() - this.#readAt < FRESH_MS) return Promise.resolve()
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null
    })
    return this.#reading
  }

  /** Whether a live worker runs this type, or nobody knows. */
  isServed(type: string): boolean {
    return this.#served === null || this.#served.has(type)
  }

  /** In how many ms the job at a place of its type is expected to start; null where nobody knows. */
  startsInMs(type: string, place: number): number | null {
    const schedule = this.#schedules.get(type)
    return schedule === undefined ? null : startsInMs(schedule, place, performance.now() - this.#readAt)
  }

  async #read(): Promise<void> {
    if (this.#presences === null) return
    try {
      const presences = await this.#presences()
      this.#served = new Set(presences.flatMap(typesOf))
      this.#schedules = schedulesOf(presences.flatMap(paceOf))
      this.#readAt = performance.now()
    } catch (error) {
      if (!(error instanceof Unavailable)) this.#onFailure(error)
    }
  }
}

function typesOf({ role, info }: Presence): string[] {
  const parsed = role === 'worker' ? WorkerTypes.safeParse(info) : undefined
  return parsed?.data?.types ?? []
}

/** A gateway has none, nor has a worker of another version. */
function paceOf({ info }: Presence): TypePace[] {
  const parsed = WorkerPace.safeParse(info)
  return parsed.success ? parsed.data.pace : []
}
