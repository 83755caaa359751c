import { isOverslept } from './time.ts'

/**
 * `paused` the page stands still from now on: frozen, or put aside for the back button. `resumed` it is back from that.
 * `shown` somebody looks at it again. `online` the browser has a network again. `woken` everything stood still for a
 * while, such as on a laptop that slept.
 */
export type PageEvent = 'paused' | 'resumed' | 'shown' | 'online' | 'woken'

/** How often it is looked whether time has passed unseen. */
const TICK_MS = 5000

/** What happens to the page, or the process, that connections may not survive without a sign. */
export class PageLife {
  readonly #happened: (event: PageEvent) => void
  #timer: ReturnType<typeof setInterval> | undefined
  #tickedAt = 0

  constructor(happened: (event: PageEvent) => void) {
    this.#happened = happened
  }

  start(): void {
    this.stop()
    this.#tickedAt = Date.now()
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    this.#listen('addEventListener')
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#listen('removeEventListener')
  }

  #listen(change: 'addEventListener' | 'removeEventListener'): void {
    for (const type of ['online', 'pagehide', 'pageshow']) globalThis[change]?.(type, this.#on)
    for (const type of ['visibilitychange', 'freeze', 'resume']) globalThis.document?.[change](type, this.#on)
  }

  #tick(): void {
    const now = Date.now()
    const lateMs = now - this.#tickedAt - TICK_MS
    this.#tickedAt = now
    if (isOverslept(lateMs)) this.#happened('woken')
  }

  readonly #on = (event: Event): void => {
    const { type } = event
    if (type === 'online') this.#happened(type)
    else if (type === 'pagehide' || type === 'freeze') this.#happened('paused')
    // The first showing of a page is nothing to come back from.
    else if (type === 'resume' || ('persisted' in event && event.persisted)) this.#happened('resumed')
    else if (type === 'visibilitychange' && document.visibilityState === 'visible') this.#happened('shown')
  }
}

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
