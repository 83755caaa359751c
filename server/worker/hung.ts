/** What a job whose earlier attempt still hangs here is put off by: this long (ms), twice as long each time. */
const FIRST_DELAY_MS = 250
const LONGEST_DELAY_MS = 10_000

interface HungRun {
  readonly jobId: string
  readonly claim: { readonly type: string }
}

/** The slots of one type that are held by handlers which hang. */
export interface HungType {
  readonly type: string
  readonly runs: number
}

/**
 * Runs whose handlers go on after they were told to stop: at their timeout, a cancel, or the loss of their lease. In this
 * process nothing can end them, so each holds its slot until it ends by itself or the process does. At most one of a job is
 * allowed here: while it hangs, another attempt of the job is put off, and any other process may take it.
 */
export class HungRuns {
  readonly #runs = new Set<HungRun>()
  /** By job: what it is put off by the next time. */
  readonly #delays = new Map<string, number>()

  get size(): number {
    return this.#runs.size
  }

  add(run: HungRun): void {
    this.#runs.add(run)
    this.#delays.set(run.jobId, FIRST_DELAY_MS)
  }

  /** False for a run that did not hang. */
  remove(run: HungRun): boolean {
    if (!this.#runs.delete(run)) return false
    this.#delays.delete(run.jobId)
    return true
  }

  /** For how long to put the job off, in ms; null where none of its attempts hangs here. */
  delayOf(jobId: string): number | null {
    const delayMs = this.#delays.get(jobId)
    if (delayMs === undefined) return null
    this.#delays.set(jobId, Math.min(LONGEST_DELAY_MS, 2 * delayMs))
    return delayMs
  }

  /** Those that hold most slots first. */
  types(): HungType[] {
    const counts = new Map<string, number>()
    for (const { claim } of this.#runs) counts.set(claim.type, (counts.get(claim.type) ?? 0) + 1)
    return [...counts].map(([type, runs]) => ({ type, runs })).sort((one, other) => other.runs - one.runs)
  }
}

/** What of a worker's slots is held by handlers that hang. */
export interface HungSlots {
  readonly slots: number
  /** Every slot is: nothing runs here any more. */
  readonly all: boolean
  /** With the slots that the type may use. */
  readonly types: readonly (HungType & { readonly limit: number })[]
}

/** Why nothing runs here any more; null where something may. */
export function stuckReason({ slots, all, types }: HungSlots): string | null {
  if (!all) return null
  const held = types.map(({ type, runs }) => `${runs} of ${type}`).join(', ')
  return `nothing runs here any more: ${slots === 1 ? 'the only slot is' : `all ${slots} slots are`} held by handlers that go on after they were told to stop (${held}); start the process again`
}

/** Of each type none of whose jobs can run here, a sentence. */
export function hungWarnings({ all, types }: HungSlots): string[] {
  if (all) return []
  return types
    .filter(({ runs, limit }) => runs >= limit)
    .map(
      ({ type, limit }) =>
        `nothing of type ${type} runs in this process any more: ${limit === 1 ? 'its only slot is' : `its ${limit} slots are all`} held by handlers that go on after they were told to stop; start the process again`,
    )
}
