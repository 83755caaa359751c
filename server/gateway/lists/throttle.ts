/** What happens together is told together. */
const GATHER_MS = 10

type State =
  | { readonly is: 'idle'; readonly nextAt: number }
  | { readonly is: 'waiting'; readonly timer: NodeJS.Timeout }
  | { readonly is: 'running'; again: boolean }
  | { readonly is: 'stopped' }

/**
 * Runs something when it is asked for, soon, but never twice within an interval and never beside itself.
 *
 * Modes: `idle`; `waiting` for its time; `running` (what is asked for meanwhile is another run); `stopped`.
 */
export class Throttle {
  readonly #run: () => Promise<void>
  readonly #intervalMs: number
  #state: State = { is: 'idle', nextAt: 0 }

  /** `run` may not reject. */
  constructor(intervalMs: number, run: () => Promise<void>) {
    this.#intervalMs = intervalMs
    this.#run = run
  }

  request(): void {
    if (this.#state.is === 'running') this.#state.again = true
    else if (this.#state.is === 'idle') this.#wait(this.#state.nextAt)
  }

  stop(): void {
    if (this.#state.is === 'waiting') clearTimeout(this.#state.timer)
    this.#state = { is: 'stopped' }
  }

  #wait(nextAt: number): void {
    const delayMs = Math.max(nextAt - performance.now(), GATHER_MS)
    this.#state = { is: 'waiting', timer: setTimeout(() => void this.#begin(), delayMs) }
  }

  async #begin(): Promise<void> {
    const running: State = { is: 'running', again: false }
    this.#state = running
    await this.#run()
    if (this.#state !== running) return
    // Counted from the end: what the run had to tell was told just now.
    const nextAt = performance.now() + this.#intervalMs
    if (running.again) this.#wait(nextAt)
    else this.#state = { is: 'idle', nextAt }
  }
}
