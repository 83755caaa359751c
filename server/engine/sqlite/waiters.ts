/** `taken`: another claim under the same id takes its place. */
type Ending = 'over' | 'taken'

interface Waiter {
  readonly types: ReadonlySet<string>
  readonly end: (ending: Ending) => void
}

/** Claims that have found nothing. Whoever has waited longest is woken first, one a job. */
export class Waiters {
  /** By claim id. */
  readonly #waiting = new Map<string, Waiter>()

  /** Resolves when woken or taken, after `waitMs`, or when the signal fires. */
  wait(
    claimId: string,
    types: readonly { readonly type: string }[],
    waitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Ending> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve('over')
      const end = (ending: Ending) => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', stop)
        if (this.#waiting.get(claimId) === waiter) this.#waiting.delete(claimId)
        resolve(ending)
      }
      const stop = () => end('over')
      const timer = setTimeout(stop, waitMs)
      const waiter: Waiter = { types: new Set(types.map(({ type }) => type)), end }
      signal?.addEventListener('abort', stop)
      this.take(claimId)
      this.#waiting.set(claimId, waiter)
    })
  }

  /** Ends the wait of the claim of this id, if there is one: it is made by somebody else. */
  take(claimId: string): void {
    this.#waiting.get(claimId)?.end('taken')
  }

  /** Wakes a waiter a job, as far as there are any. */
  wake(type: string, jobs: number): void {
    let left = jobs
    for (const { types, end } of this.#waiting.values()) {
      if (left <= 0) return
      if (!types.has(type)) continue
      end('over')
      left--
    }
  }

  wakeAll(): void {
    for (const { end } of this.#waiting.values()) end('over')
  }
}
