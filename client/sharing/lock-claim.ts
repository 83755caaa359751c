/** What is used of the browser's `navigator.locks`. */
export type Locks = Pick<LockManager, 'request'>

export interface LockClaimOptions {
  readonly locks: Locks
  readonly name: string
  /** It is ours, until it is released or this tab is gone: the browser sees to that. */
  readonly granted: () => void
  /** It never will be: the browser forbids it here. */
  readonly failed?: () => void
}

/** A place in line for a lock (Web Locks), and the lock once it is granted. */
export class LockClaim {
  readonly #abort = new AbortController()
  #release: () => void = () => {}

  constructor({ locks, name, granted, failed = () => {} }: LockClaimOptions) {
    const { signal } = this.#abort
    const hold = () =>
      new Promise<void>((resolve) => {
        this.#release = resolve
        if (signal.aborted) resolve()
        else granted()
      })
    locks.request(name, { signal }, hold).catch(() => {
      if (!signal.aborted) failed()
    })
  }

  /** Leaves the line, or gives the lock to the next. */
  release(): void {
    this.#abort.abort()
    this.#release()
  }
}
