import type { NewJob, Scheduled, Settlement, SettleVerdict, SubmitReceipt, Unsubscribe } from '../engine.ts'

type Listener = (scheduled: Scheduled) => void

/**
 * Tells when something is due earlier than may have been known: what this process schedules, as soon as the store has
 * answered, and what others do, as the store publishes it.
 */
export class Schedule {
  readonly #listeners = new Set<Listener>()

  listen(listener: Listener): Unsubscribe {
    // A function of its own, so that the same listener may be given twice.
    const entry: Listener = (scheduled) => listener(scheduled)
    this.#listeners.add(entry)
    return () => this.#listeners.delete(entry)
  }

  submitted(submitted: readonly NewJob[], { jobs, replayed }: SubmitReceipt): void {
    if (replayed) return
    let inMs = Infinity
    for (const [index, { status, createdAt }] of jobs.entries()) {
      const when = submitted[index]?.when
      if (status !== 'scheduled' || when === undefined) continue
      // Both times are of the store's clock.
      inMs = Math.min(inMs, 'runAt' in when ? when.runAt - Date.parse(createdAt) : when.delayMs)
    }
    this.#tell(inMs, true)
  }

  settled(settlements: readonly Settlement[], verdicts: readonly SettleVerdict[]): void {
    let inMs = Infinity
    for (const [index, { outcome }] of settlements.entries()) {
      if ('delayMs' in outcome && verdicts[index] === 'scheduled') inMs = Math.min(inMs, outcome.delayMs)
    }
    this.#tell(inMs, true)
  }

  /** `message`: in how many ms. */
  heard(message: string): void {
    this.#tell(Number(message), false)
  }

  #tell(inMs: number, isOwn: boolean): void {
    if (!Number.isFinite(inMs)) return
    for (const listener of [...this.#listeners]) listener({ inMs: Math.max(0, inMs), isOwn })
  }
}
