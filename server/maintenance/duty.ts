/** Jobs that were dealt with, and in how many ms there will be more; undefined: not known, so it is to be asked. */
export interface Done {
  readonly jobs: number
  readonly nextInMs?: number | null
}

export interface DutyTimes {
  /** Whether it matters that it is done to the moment. */
  readonly isPunctual: boolean
  /** How late who acts only in case that nobody else does comes, in ms: from once to twice as much. 0: there is nobody else. */
  readonly patienceMs: number
  /** After an action until the next that need not be to the moment, in ms. */
  readonly restMs: number
}

export interface DutyOptions extends DutyTimes {
  /** Deals with what is due now, up to a limit. */
  readonly act: () => Promise<Done>
  /** From so many jobs on there may be more that is due now. */
  readonly limit: number
  /** It is not known what comes next. */
  readonly ask: () => void
  readonly failed: (error: unknown) => void
  /** 0 up to 1. */
  readonly random: () => number
}

/** Before the first try after a failure, and the longest while the store is away, in ms. */
const FIRST_RETRY_MS = 250
const LONGEST_RETRY_MS = 4000
/** Who finds nothing though something is due this soon was early, by the difference of two clocks. */
const EARLY_MS = 50
/** What timers reach. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/**
 * When to act, on `performance.now()`. told: to the moment, as the store said. hinted: to the moment, for what this process
 * brought about, unless that is done already. late: in case that nobody else has acted by then.
 */
interface Moment {
  readonly at: number
  readonly why: 'told' | 'hinted' | 'late'
}

const NEVER: Moment = { at: Infinity, why: 'late' }

function earlier(one: Moment, other: Moment): Moment {
  return other.at < one.at ? other : one
}

/** acting: a call is under way. */
type State =
  | { readonly is: 'stopped' }
  | { readonly is: 'waiting'; readonly moment: Moment; readonly timer: NodeJS.Timeout | undefined }
  | { readonly is: 'acting' }

/**
 * Something that becomes due, which any of the processes that share a store may do. Who found something to do, or brought it
 * about, is at hand to the moment when the next is due. Who was, and found that another had been there first, is late on
 * purpose from then on, and so finds something only where that other one does not act. So each time is one process's, nobody
 * is elected, and who dies, stands still or is cut off is stood in for within moments.
 */
export class Duty {
  readonly #options: DutyOptions
  #state: State = { is: 'stopped' }
  #acted: Promise<void> = Promise.resolve()
  /** At first everybody is. */
  #isAtHand = true
  #restsUntil = 0
  /** The first of what came up since the store was asked last. */
  #hint = NEVER
  #failures = 0

  constructor(options: DutyOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#state.is === 'stopped') this.#waitFor(NEVER)
  }

  /** Resolves when no call is under way. */
  stop(): Promise<void> {
    if (this.#state.is === 'waiting') clearTimeout(this.#state.timer)
    this.#state = { is: 'stopped' }
    return this.#acted
  }

  /** What the store says: in how many ms the next is due, or null. */
  expect(inMs: number | null): void {
    // A store that failed is tried again in its own time.
    if (this.#state.is === 'waiting' && this.#failures === 0) this.#waitFor(this.#momentOf(inMs))
  }

  /** There is something that is due in so many ms; `isOwn`: this process brought it about. */
  hint(inMs: number, isOwn: boolean): void {
    if (isOwn) this.#isAtHand = true
    const moment = isOwn ? this.#momentOf(inMs, 'hinted') : this.#lateMomentOf(inMs)
    this.#hint = earlier(this.#hint, moment)
    if (this.#state.is === 'waiting' && this.#failures === 0) this.#waitFor(this.#state.moment)
  }

  /** The store can be used again. */
  startOver(): void {
    this.#failures = 0
  }

  #momentOf(inMs: number | null, why: 'told' | 'hinted' = 'told'): Moment {
    if (inMs === null) return NEVER
    const { isPunctual, patienceMs } = this.#options
    if (!isPunctual || (!this.#isAtHand && patienceMs > 0)) return this.#lateMomentOf(inMs)
    // A little late, so that it is due by the store's clock as well.
    return { at: performance.now() + inMs + 1, why }
  }

  #lateMomentOf(inMs: number): Moment {
    const { patienceMs, random } = this.#options
    const at = performance.now() + inMs + 1 + patienceMs * (1 + random())
    return { at: Math.max(at, this.#restsUntil), why: 'late' }
  }

  /** Or for the one that it was told of, where that is earlier. */
  #waitFor(known: Moment): void {
    if (this.#state.is === 'waiting') clearTimeout(this.#state.timer)
    const moment = earlier(known, this.#hint)
    const delayMs = Math.max(0, moment.at - performance.now())
    const act = () => {
      this.#acted = this.#act(moment.why)
    }
    // What is further away than timers reach is told again until then.
    const timer = delayMs > LONGEST_TIMER_MS ? undefined : setTimeout(act, delayMs)
    this.#state = { is: 'waiting', moment, timer }
  }

  /** Never rejects. */
  async #act(why: Moment['why']): Promise<void> {
    const { act, limit, restMs, ask, failed, random } = this.#options
    const acting: State = { is: 'acting' }
    this.#state = acting
    this.#hint = NEVER
    let next = NEVER
    try {
      const { jobs, nextInMs } = await act()
      const wasEarly = typeof nextInMs === 'number' && nextInMs < EARLY_MS
      if (jobs > 0) this.#isAtHand = true
      else if (why === 'told' && !wasEarly) this.#isAtHand = false
      this.#failures = 0
      this.#restsUntil = performance.now() + restMs
      if (jobs >= limit) next = { at: 0, why: 'told' }
      else if (nextInMs === undefined) ask()
      else next = this.#momentOf(nextInMs)
    } catch (error) {
      failed(error)
      const delayMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures)
      this.#failures += 1
      this.#hint = NEVER
      next = { at: performance.now() + delayMs * (0.75 + random() / 2), why: 'late' }
    }
    if (this.#state === acting) this.#waitFor(next)
  }
}
