/** Unsent bytes up to which a reader keeps up, whatever waits for it. */
export const HIGH_WATER_BYTES = 64 * 1024
/** More live events waiting than this for a whole moment: the reader is too slow. */
const MAX_LIVE_BYTES = 1024 * 1024
/** What a burst gets to be taken; and a reader that takes so much of it in a moment gets another one. */
const MOMENT_MS = 250
const MOMENT_BYTES = 256 * 1024
/** More live events waiting than this: no further moment, and at once where they wait in memory. */
const MAX_BURST_BYTES = 8 * 1024 * 1024
/** No byte taken for this long while some wait: the reader is too slow. */
export const STALL_MS = 10_000

/** How much a reader takes, as its pipe knows it. Sizes in bytes. */
export interface Uptake {
  /** How much was written, and not yet taken over by the other side. */
  unsent(): number
  /** A number that changes whenever the other side takes something. */
  taken(): number
}

interface Moment {
  readonly timer: NodeJS.Timeout
  /** `performance.now()`, and what the reader had taken, when it began. */
  readonly beganAt: number
  readonly taken: number
}

/**
 * Judges whether one reader is too slow: it takes nothing at all while something waits, or more and more live events wait
 * for it. What was read from the store for it counts for nothing, since that is read only when it has room.
 *
 * Modes: no moment (little waits, or the reader has little unsent); a moment, at whose end it is judged.
 */
export class SlowReaderJudge {
  readonly #uptake: Uptake
  readonly #stallMs: number
  readonly #onSlow: () => void
  /** Bytes of live events that wait in memory. */
  #liveBytes = 0
  /** Bytes of live events that wait in the store. */
  #laggingBytes = 0
  #moment: Moment | null = null
  #taken = 0
  #takenAt = performance.now()

  /** `onSlow` gets the verdict, and has to call `stop`. */
  constructor(options: { uptake: Uptake; stallMs: number; onSlow: () => void }) {
    this.#uptake = options.uptake
    this.#stallMs = options.stallMs
    this.#onSlow = options.onSlow
  }

  /** Hears that so many more bytes of live events wait in memory; negative: so many fewer. */
  addLive(bytes: number): void {
    this.#liveBytes += bytes
  }

  /** Hears the same of the store. */
  addLagging(bytes: number): void {
    this.#laggingBytes += bytes
  }

  /** Hears that what waits in the store will not be read for this reader any more. */
  forgetLagging(): void {
    this.#laggingBytes = 0
  }

  /** Judges by what waits; called whenever the pipe was given all that it had room for. */
  judgeWaiting(): void {
    if (!this.#isTooMuch()) this.#endMoment()
    else if (this.#moment === null) this.#beginMoment()
    if (this.#liveBytes > MAX_BURST_BYTES) this.#onSlow()
  }

  /** Judges by whether anything is taken; every sweep calls it, with `performance.now()` and all that is unsent. */
  judgeTaking(now: number, unsent: number): void {
    if (unsent === 0) {
      this.#takenAt = now
      return
    }
    const taken = this.#uptake.taken()
    if (taken === this.#taken) {
      if (now - this.#takenAt >= this.#stallMs) this.#onSlow()
      return
    }
    this.#taken = taken
    this.#takenAt = now
  }

  stop(): void {
    this.#endMoment()
  }

  // A reader that has little unsent keeps up, whatever its next read will bring.
  #isTooMuch(): boolean {
    return this.#waitingBytes() > MAX_LIVE_BYTES && this.#uptake.unsent() >= HIGH_WATER_BYTES
  }

  #waitingBytes(): number {
    return this.#liveBytes + this.#laggingBytes
  }

  #beginMoment(): void {
    const moment: Moment = {
      timer: setTimeout(() => this.#judgeMoment(moment), MOMENT_MS),
      beganAt: performance.now(),
      taken: this.#uptake.taken(),
    }
    this.#moment = moment
  }

  #endMoment(): void {
    if (this.#moment !== null) clearTimeout(this.#moment.timer)
    this.#moment = null
  }

  #judgeMoment({ beganAt, taken }: Moment): void {
    this.#moment = null
    if (!this.#isTooMuch()) return
    // A moment that is long over was spent on other work by this process, not by the reader.
    const isFair = performance.now() - beganAt < 2 * MOMENT_MS
    const isTaking = this.#uptake.taken() - taken >= MOMENT_BYTES
    if (isFair && (this.#waitingBytes() > MAX_BURST_BYTES || !isTaking)) this.#onSlow()
    else this.#beginMoment()
  }
}
