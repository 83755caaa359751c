import type { Claim, WaitRequest } from '../engine.ts'

interface Waiter {
  readonly types: ReadonlySet<string>
  readonly wake: () => void
}

/** Workers with nothing to do. Whoever has waited longest is woken first, one a job. */
export class Waiters {
  readonly #waiting = new Set<Waiter>()

  /** Resolves when woken, after the timeout, or when the signal fires. Hands nothing over: a claim is no round trip here. */
  wait({ types, timeoutMs, signal }: WaitRequest): Promise<Claim[]> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve([])
      const wake = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', wake)
        this.#waiting.delete(waiter)
        resolve([])
      }
      const timer = setTimeout(wake, timeoutMs)
      const waiter: Waiter = { types: new Set(types), wake }
      signal.addEventListener('abort', wake)
      this.#waiting.add(waiter)
    })
  }

  /** Wakes a waiter a job, as far as there are any. */
  wake(type: string, jobs: number): void {
    let left = jobs
    for (const waiter of this.#waiting) {
      if (left <= 0) return
      if (!waiter.types.has(type)) continue
      waiter.wake()
      left--
    }
  }

  wakeAll(): void {
    for (const waiter of this.#waiting) waiter.wake()
  }
}
