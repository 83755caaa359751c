import type { TypePace } from '../../shared/pace.ts'

/** The slots that run one type, over all workers, at the moment when they were heard of. Times in ms. */
export interface Schedule {
  /** What a slot takes for one job, on average. */
  readonly meanMs: number
  /** Of each slot, when it is expected to be free, soonest first; at least one. */
  readonly freeInMs: readonly number[]
}

/** Schedules by type, of what the workers say; of types of which no run has ended yet there is none. */
export function schedulesOf(paces: readonly TypePace[]): Map<string, Schedule> {
  const byType = new Map<string, TypePace[]>()
  for (const pace of paces) {
    const same = byType.get(pace.type)
    if (same === undefined) byType.set(pace.type, [pace])
    else same.push(pace)
  }
  const schedules = new Map<string, Schedule>()
  for (const [type, same] of byType) {
    const meanMs = meanOf(same)
    if (meanMs === null) continue
    const freeInMs = same.flatMap((pace) => slotsOf(pace, pace.meanMs ?? meanMs)).sort((a, b) => a - b)
    schedules.set(type, { meanMs, freeInMs })
  }
  return schedules
}

/**
 * In how many ms the job at a place starts, `sinceMs` after the schedule was made: with the slot that becomes free as its
 * turn comes, every slot serving one job a round. A run that takes longer than the mean is over at any moment.
 */
export function startsInMs({ meanMs, freeInMs }: Schedule, place: number, sinceMs: number): number {
  const rounds = Math.floor((place - 1) / freeInMs.length)
  const first = freeInMs[(place - 1) % freeInMs.length] ?? 0
  return Math.max(0, first - sinceMs) + rounds * meanMs
}

/** Of all slots of a type; null where no worker knows how long it takes. */
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
function slotsOf({ slots, free, busyMs }: TypePace, meanMs: number): number[] {
  const told = busyMs.map((ranMs) => Math.max(0, meanMs - ranMs))
  const untold = Math.max(0, slots - free - told.length)
  return [
    ...Array<number>(free).fill(0),
    ...told,
    ...Array.from({ length: untold }, (_, n) => (meanMs * (n + 0.5)) / untold),
  ]
}
