import { parseCursor } from '../../../shared/cursor.ts'
import type { JobEvent } from '../../../shared/event.ts'
import { fold } from '../../../shared/fold.ts'
import { type JobSummary, summaryOf } from '../../../shared/job.ts'
import type { ReadResult } from '../../engine/engine.ts'
import { Session, type Sink, type Source } from '../session.ts'

/** The list that a job belongs to. */
export interface FollowedJobOwner {
  /** The summary's status, or what goes with it, is another one. */
  changed(jobId: string): void
  gone(jobId: string): void
  /** The job was read from another history than it was known from. */
  otherHistory(): void
}

type State =
  | { readonly is: 'unread' }
  | { readonly is: 'known'; readonly summary: JobSummary }
  | { readonly is: 'gone' }

/**
 * One job of a list: folds what happens to it into its summary. The session behind it repairs gaps, and reads again
 * what the store says is newer.
 *
 * Modes: `unread`; `known`, with or without a session (it could not be started, and may be once more); `gone`.
 */
export class FollowedJob implements Sink {
  readonly jobId: string
  readonly #source: Source
  readonly #owner: FollowedJobOwner
  #state: State
  #session: Session | null = null

  /** `known` is the job as it was just listed; null: to be read. */
  constructor(source: Source, owner: FollowedJobOwner, jobId: string, known: JobSummary | null) {
    this.jobId = jobId
    this.#source = source
    this.#owner = owner
    this.#state = known === null ? { is: 'unread' } : { is: 'known', summary: known }
  }

  /** Null until it was read, and where there is no such job. */
  get summary(): JobSummary | null {
    return this.#state.is === 'known' ? this.#state.summary : null
  }

  get isFollowed(): boolean {
    return this.#session !== null
  }

  /** Follows the job from what is known of it. Rejects with `Unavailable`; it may then be called again. */
  async start(): Promise<void> {
    if (this.#session !== null || this.#state.is === 'gone') return
    const after = this.#state.is === 'known' ? parseCursor(this.#state.summary.cursor) : null
    const session = new Session(this.#source, this, {
      jobId: this.jobId,
      after,
      history: false,
      places: false,
      pastTerminal: true,
    })
    this.#session = session
    try {
      if (!(await session.start())) this.over()
    } catch (error) {
      if (this.#session === session) this.#session = null
      throw error
    }
  }

  /** The owner hears nothing more. Tolerates being called twice. */
  close(): void {
    this.#state = { is: 'gone' }
    this.#session?.close()
    this.#session = null
  }

  turn(work: () => Promise<void>): Promise<void> {
    return work()
  }

  replay(result: ReadResult): void {
    const known = this.summary
    if (result.mode === 'resume') {
      this.caughtUp(result.events)
    } else if (known !== null && parseCursor(known.cursor).epoch !== result.epoch) {
      this.#owner.otherHistory()
    } else {
      this.#state = { is: 'known', summary: summaryOf(result.job) }
      this.#owner.changed(this.jobId)
    }
  }

  caughtUp(events: readonly JobEvent[]): void {
    for (const event of events) this.event(event)
  }

  event(event: JobEvent): void {
    const { summary } = this
    if (summary === null) return
    const job = fold({ ...summary, payload: null, result: null }, event)
    this.#state = { is: 'known', summary: summaryOf(job) }
    if (event.kind === 'status') this.#owner.changed(this.jobId)
  }

  lagging(): void {}

  /** A list tells no places in line. */
  standing(): boolean {
    return true
  }

  over(): void {
    if (this.#state.is === 'gone') return
    this.close()
    this.#owner.gone(this.jobId)
  }
}
