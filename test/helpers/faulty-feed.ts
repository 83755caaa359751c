import type {
  Feed,
  FeedMessage,
  JobPage,
  ListQuery,
  PlaceQuestion,
  ReadRequest,
  ReadResult,
  Submitted,
} from '../../server/engine/engine.ts'
import { Unavailable } from '../../server/engine/errors.ts'
import { formatCursor, parseCursor } from '../../shared/cursor.ts'

/**
 * The feed of a real engine, with faults put between it and the gateway: messages dropped, repeated and delayed, a
 * store that is away, a change of history.
 */
export class FaultyFeed implements Feed {
  /** What becomes of each message; by default it is delivered. */
  disturb: (message: FeedMessage, deliver: (message: FeedMessage) => void) => void = (message, deliver) =>
    deliver(message)
  down = false
  /** Each read waits for this. */
  gate: Promise<void> = Promise.resolve()
  /** Each answer of a read, once made, waits for this. */
  answerGate: Promise<void> = Promise.resolve()
  /** What is told of submissions is lost. */
  deaf = false
  watching = 0
  /** Calls of `list`. */
  lists = 0
  readonly reads: ReadRequest[] = []
  /** Calls of `places`. */
  readonly placeQuestions: (readonly PlaceQuestion[])[] = []
  /** Calls of `read`; each holds one or more requests. */
  calls = 0
  readonly #inner: Feed
  readonly #onReset = new Set<() => void>()
  #lives = 0

  constructor(inner: Feed) {
    this.#inner = inner
  }

  get epoch(): string {
    return this.#lives === 0 ? this.#inner.epoch : `${this.#inner.epoch}-${this.#lives}`
  }

  /** As after a restart of the store: old cursors are foreign now. */
  changeHistory(): void {
    this.#lives++
    this.reset()
  }

  reset(): void {
    for (const listener of this.#onReset) listener()
  }

  get resetListeners(): number {
    return this.#onReset.size
  }

  async watch(jobId: string, listener: (message: FeedMessage) => void) {
    this.#check()
    const unwatch = await this.#inner.watch(jobId, (message) => this.disturb(message, listener))
    this.watching++
    return () => {
      this.watching--
      unwatch()
    }
  }

  async read(requests: readonly ReadRequest[]): Promise<(ReadResult | null)[]> {
    this.reads.push(...requests)
    this.calls++
    await this.gate
    this.#check()
    const translated = requests.map((request) => {
      if (request.after === null) return request
      const known = request.after.epoch === this.epoch
      return { ...request, after: { ...request.after, epoch: known ? this.#inner.epoch : '' } }
    })
    const results = await this.#inner.read(translated)
    await this.answerGate
    return results.map((result) => {
      if (result === null) return null
      const { epoch } = this
      if (result.job === null) return { ...result, epoch }
      return { ...result, epoch, job: { ...result.job, cursor: `${epoch}.${result.seq}` } }
    })
  }

  async positions(jobIds: readonly string[]) {
    this.#check()
    const positions = await this.#inner.positions(jobIds)
    return positions.map((position) => position && { ...position, epoch: this.epoch })
  }

  async places(jobs: readonly PlaceQuestion[]) {
    this.placeQuestions.push(jobs)
    this.#check()
    return this.#inner.places(jobs)
  }

  async list(query: ListQuery): Promise<JobPage> {
    this.lists++
    this.#check()
    const page = await this.#inner.list(query)
    const jobs = page.jobs.map((job) => ({
      ...job,
      cursor: formatCursor(this.epoch, parseCursor(job.cursor).seq),
    }))
    return { ...page, jobs }
  }

  async onSubmitted(listener: (submitted: Submitted) => void) {
    this.#check()
    return this.#inner.onSubmitted((submitted) => {
      if (!this.deaf) listener(submitted)
    })
  }

  onReset(listener: () => void) {
    this.#onReset.add(listener)
    return () => this.#onReset.delete(listener)
  }

  #check(): void {
    if (this.down) throw new Unavailable('the store is away')
  }
}
