const PROBE_MS = 500

/**
 * Whether the store takes writes: up until one fails, down until one succeeds. While it is down, it is tried
 * again and again, so that it comes back though nobody calls.
 */
export class Health {
  readonly #onDown: (reason: string) => void
  readonly #onUp: () => void
  readonly #probe: () => Promise<unknown>
  #state: { kind: 'up' } | { kind: 'down'; timer: NodeJS.Timeout } = { kind: 'up' }

  constructor(hooks: {
    onDown: (reason: string) => void
    onUp: () => void
    /** Tries a write; `failed` or `succeeded` is told how it went. */
    probe: () => Promise<unknown>
  }) {
    this.#onDown = hooks.onDown
    this.#onUp = hooks.onUp
    this.#probe = hooks.probe
  }

  failed(reason: string): void {
    if (this.#state.kind === 'down') return
    const timer = setInterval(() => {
      this.#probe().catch(() => {
        // Still down: the next one may succeed.
      })
    }, PROBE_MS)
    this.#state = { kind: 'down', timer: timer.unref() }
    this.#onDown(reason)
  }

  succeeded(): void {
    if (this.#state.kind === 'up') return
    this.stop()
    this.#onUp()
  }

  stop(): void {
    if (this.#state.kind === 'down') clearInterval(this.#state.timer)
    this.#state = { kind: 'up' }
  }
}
