/** Calls every `ms` while the page is visible (always, where there is no page), and when it becomes visible again. */
export class VisibleTimer {
  readonly #call: () => void
  readonly #ms: number
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(ms: number, call: () => void) {
    this.#ms = ms
    this.#call = call
  }

  start(): void {
    this.stop()
    this.#timer = setInterval(() => {
      if (isVisible()) this.#call()
    }, this.#ms)
    if (typeof document !== 'undefined') document.addEventListener('visibilitychange', this.#shown)
  }

  stop(): void {
    clearInterval(this.#timer)
    if (typeof document !== 'undefined') document.removeEventListener('visibilitychange', this.#shown)
  }

  readonly #shown = (): void => {
    if (isVisible()) this.#call()
  }
}

function isVisible(): boolean {
  return typeof document === 'undefined' || document.visibilityState === 'visible'
}
