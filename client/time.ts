/** A `Date` header has whole seconds (RFC 9110 section 5.6.7): it was written up to so much later than it says. */
const RESOLUTION_MS = 1000

/**
 * The server's time, as far as its answers told. The machine's own clock may be wrong by anything: only its differences are
 * used, and those of the monotonic clock, whichever has gone further, since that one may stand still while a machine sleeps.
 */
export class ServerClock {
  /** It was at least so late at the server at this time of ours. */
  #told: { readonly at: Moment; readonly time: number } | null = null

  get isKnown(): boolean {
    return this.#told !== null
  }

  /** The time in ms since 1970; by the machine's own clock, where no answer has told. */
  now(): number {
    const told = this.#told
    return told === null ? Date.now() : told.time + msSince(told.at)
  }

  /** An answer that was asked for at `asked` says a time, in ms since 1970. */
  note(time: number, asked: Moment): void {
    if (Number.isNaN(time)) return
    const isBehind = time > this.now()
    const isAhead = time + RESOLUTION_MS + msSince(asked) < this.now()
    // What is known is as good in between: of two lower bounds the later one.
    if (this.#told === null || isBehind || isAhead) this.#told = { at: moment(), time }
  }
}

/** A point in time on this machine, to be counted from. */
export interface Moment {
  readonly monotonic: number
  readonly wall: number
}

export function moment(): Moment {
  return { monotonic: performance.now(), wall: Date.now() }
}

export function msSince({ monotonic, wall }: Moment): number {
  return Math.max(performance.now() - monotonic, Date.now() - wall)
}

/** Calls when the signal fires, at once where it has; what it returns calls that off. */
export function onAbort(signal: AbortSignal | undefined, call: () => void): () => void {
  signal?.addEventListener('abort', call)
  if (signal?.aborted) call()
  return () => signal?.removeEventListener('abort', call)
}

export type Timer = ReturnType<typeof setTimeout>

/** Timers of a page that is looked at are late by this much only where everything stood still. */
const LATE_MS = 5000
/** Browsers let those of hidden pages wait for a minute. */
const HIDDEN_LATE_MS = 90_000

/** True where a timer that is this late means that the machine slept, or the page was frozen. */
export function isOverslept(lateMs: number): boolean {
  const hidden = typeof document !== 'undefined' && document.visibilityState === 'hidden'
  return lateMs >= (hidden ? HIDDEN_LATE_MS : LATE_MS)
}

/**
 * A timeout that says whether the time was slept through: whoever was waited for then had no chance to answer. By the
 * wall clock, since the monotonic one may stand still while a machine sleeps.
 */
export function startTimeout(ms: number, call: (slept: boolean) => void): Timer {
  const due = Date.now() + ms
  return setTimeout(() => call(isOverslept(Date.now() - due)), ms)
}
