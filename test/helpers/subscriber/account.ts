import { advanceCursor, parseCursor } from '../../../shared/cursor.ts'
import type { JobEvent } from '../../../shared/event.ts'
import { fold } from '../../../shared/fold.ts'
import type { Job } from '../../../shared/job.ts'
import type { Sighting } from './sightings.ts'
import type { Told } from './wire.ts'

/** What was told of one job, over one connection or many, and what that makes of it. */
export class Account {
  readonly sightings: Sighting[] = []
  /** Folded from what was told. */
  job: Job | null = null
  /** To be sent with the next connection. */
  cursor: string | null

  /** `cursor`: where it begins; null: with a snapshot. */
  constructor(cursor: string | null = null) {
    this.cursor = cursor
    if (cursor !== null) this.sightings.push({ saw: 'start', ...parseCursor(cursor) })
  }

  /** Of the last thing told. */
  get epoch(): string | null {
    return this.cursor === null ? null : parseCursor(this.cursor).epoch
  }

  /** Events told, without those that a snapshot stands for. */
  get events(): JobEvent[] {
    return this.sightings.flatMap((one) => (one.saw === 'event' ? [one.event] : []))
  }

  /** Throws where it is told something that cannot follow. */
  take(told: Told): void {
    switch (told.told) {
      case 'snapshot': {
        const { reason, job, cursor } = told
        if (job.cursor !== cursor) throw new Error(`a snapshot at ${cursor} brought a job at ${job.cursor}`)
        this.job = job
        this.cursor = cursor
        this.sightings.push({ saw: 'snapshot', reason, epoch: parseCursor(cursor).epoch, job })
        break
      }
      case 'resume':
        for (const event of told.events) this.#apply(event, null)
        // Beyond its last event where progress was merged away.
        this.cursor = told.cursor
        if (this.job !== null) this.job = { ...this.job, cursor: told.cursor }
        break
      case 'event':
        this.#apply(told.event, told.prev)
        if (told.cursor !== null && told.cursor !== this.cursor) {
          throw new Error(`the cursor ${told.cursor} came where ${this.cursor} was due`)
        }
        break
      case 'place':
        // Where it was resumed from a cursor alone, nobody knows the job yet.
        if (this.job !== null && this.job.status !== 'queued')
          throw new Error(`a place came where the job is ${this.job.status}`)
        break
      case 'end':
        if (told.cursor !== null && told.cursor !== this.cursor) {
          throw new Error(`the end is at ${told.cursor}, the last event was at ${this.cursor}`)
        }
        this.sightings.push({ saw: 'end' })
        break
      case 'refused':
        if (['not_found', 'removed', 'expired'].includes(told.code)) this.sightings.push({ saw: 'gone' })
        break
      case 'nonsense':
        throw told.error
    }
  }

  #apply(event: JobEvent, prev: number | null): void {
    if (this.job !== null) this.job = fold(this.job, event)
    if (this.cursor !== null) this.cursor = advanceCursor(this.cursor, event.seq)
    this.sightings.push({ saw: 'event', event, prev })
  }
}
