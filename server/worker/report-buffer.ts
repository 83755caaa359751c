import { RETAINED_BYTES, RETAINED_EVENTS } from '../../shared/limits.ts'
import type { RunEvent } from '../engine/engine.ts'

interface Entry {
  readonly event: RunEvent
  readonly bytes: number
}

export interface TakenEvents {
  readonly events: readonly RunEvent[]
  readonly bytes: number
}

/**
 * What one run reported and nobody has sent yet, in call order. A later progress takes the place of an unsent earlier
 * one. A handler that reports faster than anything can be sent does not fill the memory: beyond twice what the store
 * would retain of a job, the oldest lines and chunks go, which the store would have dropped as well.
 */
export class ReportBuffer {
  #entries: Entry[] = []
  #bytes = 0
  #progress: Entry | null = null
  #added = 0

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  add(event: RunEvent, bytes: number): void {
    // The store knows an event that is sent again by its number.
    const entry = { event: { ...event, n: ++this.#added }, bytes }
    if (event.kind === 'progress') {
      this.#dropProgress()
      this.#progress = entry
    }
    this.#entries.push(entry)
    this.#bytes += bytes
    if (this.#entries.length > 2 * RETAINED_EVENTS || this.#bytes > 2 * RETAINED_BYTES) this.#trim()
  }

  /** The oldest events up to about `maxBytes`, and always one where there is one; they leave the buffer. */
  take(maxBytes = Number.POSITIVE_INFINITY): TakenEvents {
    let count = 0
    let bytes = 0
    for (const entry of this.#entries) {
      if (count > 0 && bytes + entry.bytes > maxBytes) break
      bytes += entry.bytes
      count += 1
    }
    const taken = this.#entries.splice(0, count)
    this.#bytes -= bytes
    if (this.#progress !== null && taken.includes(this.#progress)) this.#progress = null
    return { events: taken.map(({ event }) => event), bytes }
  }

  /** Puts back what was taken and could not be sent, in front of what came since. */
  putBack({ events, bytes }: TakenEvents): void {
    const each = bytes / events.length
    const newer = this.#progress
    const entries = events
      .map((event): Entry => ({ event, bytes: each }))
      .filter(({ event }) => event.kind !== 'progress' || newer === null)
    this.#progress = newer ?? entries.findLast(({ event }) => event.kind === 'progress') ?? null
    this.#entries = [...entries, ...this.#entries]
    this.#bytes += each * entries.length
  }

  /** The unsent progress is the newest one or near it: looked for from the end. */
  #dropProgress(): void {
    if (this.#progress === null) return
    const at = this.#entries.lastIndexOf(this.#progress)
    this.#entries.splice(at, 1)
    this.#bytes -= this.#progress.bytes
  }

  #trim(): void {
    let kept = 0
    let bytes = 0
    const survivors = this.#entries
      .toReversed()
      .filter((entry) => {
        if (entry === this.#progress) return true
        kept += 1
        bytes += entry.bytes
        return kept <= RETAINED_EVENTS && bytes <= RETAINED_BYTES
      })
      .toReversed()
    this.#entries = survivors
    this.#bytes = survivors.reduce((sum, entry) => sum + entry.bytes, 0)
  }
}
