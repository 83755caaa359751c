import { type TypePace, WorkerPace, WorkerTypes } from '../../shared/pace.ts'
import type { Presence } from '../engine/engine.ts'
import { Unavailable } from '../engine/errors.ts'

/** How old what workers say may be, in ms; they say it every two seconds. */
const FRESH_MS = 2500

/** Whether and when queued jobs will start, from what the workers announce; read again only while somebody asks. */
export class StartEstimates {
  readonly #presences: (() => Promise<readonly Presence[]>) | null
  readonly #onFailure: (error: unknown) => void
  #slots: ReadonlyMap<string, TypeSlots> = new Map()
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

  /** Tells in how many ms the job at a place of its type is expected to start; null where nobody knows. */
  startsInMs(type: string, place: number): number | null {
    const slots = this.#slots.get(type)
    return slots === undefined ? null : startsInMs(slots, place, performance.now() - this.#readAt)
  }

  async #read(): Promise<void> {
    if (this.#presences === null) return
    try {
      const presences = await this.#presences()
      this.#served = new Set(presences.flatMap(typesOf))
      this.#slots = slotsByType(presences.flatMap(paceOf))
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

/** The slots that run one type, over all workers, at the moment when they were heard of. Times in ms. */
export interface TypeSlots {
  /** What a slot takes for one job, on average. */
  readonly meanMs: number
  /** The times until each slot is expected to be free, soonest first; there is at least one. */
  readonly freeInMs: readonly number[]
}

/** The slots of each type, from what the workers say; of types of which no run has ended yet there are none. */
export function slotsByType(paces: readonly TypePace[]): Map<string, TypeSlots> {
  const byType = new Map<string, TypePace[]>()
  for (const pace of paces) {
    const same = byType.get(pace.type)
    if (same === undefined) byType.set(pace.type, [pace])
    else same.push(pace)
  }
  const slots = new Map<string, TypeSlots>()
  for (const [type, same] of byType) {
    const meanMs = meanOf(same)
    if (meanMs === null) continue
    const freeInMs = same.flatMap((pace) => freeTimes(pace, pace.meanMs ?? meanMs)).sort((a, b) => a - b)
    slots.set(type, { meanMs, freeInMs })
  }
  return slots
}

/**
 * Tells in how many ms the job at a place starts, `sinceMs` after the slots were heard of: with the slot that becomes free as its
 * turn comes, every slot serving one job a round. A run that takes longer than the mean is over at any moment.
 */
export function startsInMs({ meanMs, freeInMs }: TypeSlots, place: number, sinceMs: number): number {
  const rounds = Math.floor((place - 1) / freeInMs.length)
  const first = freeInMs[(place - 1) % freeInMs.length] ?? 0
  return Math.max(0, first - sinceMs) + rounds * meanMs
}

/** The mean of all slots of a type; null where no worker knows how long it takes. */
function meanOf(paces: readonly TypePace[]): number | null {
  let sum = 0
  let slots = 0
  for (const pace of paces) {
    if (pace.meanMs === null) continue
    sum += pace.meanMs * pace.slots
    slots += pace.slots
  }
  return slots === 0 ? null : sum / slots
}

/** When each slot of a worker is free: of those of which nothing is told, one after the other over the time of a run. */
function freeTimes({ slots, free, busyMs }: TypePace, meanMs: number): number[] {
  const told = busyMs.map((ranMs) => Math.max(0, meanMs - ranMs))
  const untold = Math.max(0, slots - free - told.length)
  return [
    ...Array<number>(free).fill(0),
    ...told,
    ...Array.from({ length: untold }, (_, n) => (meanMs * (n + 0.5)) / untold),
  ]
}
