import { setImmediate } from 'node:timers'
import type { Feed, ReadRequest, ReadResult } from '../engine/engine.ts'
import { Unavailable } from '../engine/errors.ts'

/** As many requests make one read. */
const MAX_BATCH = 100
/** As many reads are under way at once; answers may be large, and what waits costs nothing. */
const MAX_IN_FLIGHT = 4

interface Pending {
  readonly request: ReadRequest
  readonly answer: Promise<ReadResult | null>
  readonly resolve: (result: ReadResult | null) => void
  readonly reject: (error: unknown) => void
}

/**
 * Joins the reads of one tick into one call of the store, and equal ones into one read. A read that is under way is
 * not joined: whoever asks now must see what was stored until now.
 */
export class SharedReads {
  readonly #feed: Feed
  readonly #onFailure: (error: unknown) => void
  #waiting = new Map<string, Pending>()
  #inFlight = 0
  #scheduled = false

  /** `onFailure` hears of what is no absence of the store; who asked is told that it is unavailable all the same. */
  constructor(feed: Feed, onFailure: (error: unknown) => void) {
    this.#feed = feed
    this.#onFailure = onFailure
  }

  /** Rejects with `Unavailable`. */
  read(request: ReadRequest): Promise<ReadResult | null> {
    const key = keyOf(request)
    const same = this.#waiting.get(key)
    if (same !== undefined) return same.answer
    const pending = newPending(request)
    this.#waiting.set(key, pending)
    if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(() => {
        this.#scheduled = false
        this.#send()
      })
    }
    return pending.answer
  }

  #send(): void {
    while (this.#waiting.size > 0 && this.#inFlight < MAX_IN_FLIGHT) {
      const batch = [...this.#waiting].slice(0, MAX_BATCH)
      for (const [key] of batch) this.#waiting.delete(key)
      this.#inFlight++
      void this.#run(batch.map(([, pending]) => pending)).finally(() => {
        this.#inFlight--
        this.#send()
      })
    }
  }

  async #run(batch: readonly Pending[]): Promise<void> {
    try {
      const results = await this.#feed.read(batch.map(({ request }) => request))
      batch.forEach((pending, index) => {
        pending.resolve(results[index] ?? null)
      })
    } catch (error) {
      const known = error instanceof Unavailable
      if (!known) this.#onFailure(error)
      const reason = known ? error : new Unavailable('the store gave an answer that cannot be used')
      for (const pending of batch) pending.reject(reason)
    }
  }
}

function newPending(request: ReadRequest): Pending {
  let resolve: Pending['resolve'] = () => {}
  let reject: Pending['reject'] = () => {}
  const answer = new Promise<ReadResult | null>((onResult, onError) => {
    resolve = onResult
    reject = onError
  })
  return { request, answer, resolve, reject }
}

function keyOf({ jobId, after, history, withJob }: ReadRequest): string {
  return JSON.stringify([jobId, after?.epoch, after?.seq, history, withJob])
}
