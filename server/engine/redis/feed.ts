import type { Job } from '../../../shared/job.ts'
import type {
  Feed,
  FeedMessage,
  JobPage,
  ListQuery,
  PlaceAnswers,
  PlaceQuestion,
  Position,
  ReadRequest,
  ReadResult,
  Submitted,
  Unsubscribe,
} from '../engine.ts'
import { isJobId } from '../job/ids.ts'
import type { NewerWords } from '../job/newer-words.ts'
import { judgeCursor } from '../job/stored-job.ts'
import { Batcher } from './batcher.ts'
import type { Channels } from './channels.ts'
import { decodeMessage, JobHash, knownStatus } from './codec.ts'
import { asUnavailable, type Commands } from './commands.ts'
import { ANSWER_MS } from './connection.ts'
import { jobChannel, type Keyspace } from './keys.ts'
import { listJobs } from './listing.ts'
import { readPlaces } from './places.ts'
import { list, text, whole } from './reply.ts'
import { SCRIPTS } from './scripts.ts'
import { Submissions } from './submissions.ts'

const MOST_READS = 200
const MOST_POSITIONS = 500

interface Read {
  readonly row: JobHash
  readonly epoch: string
}

type Answered = Read | 'missing'

/** Retained events over the command connection, live ones over the subscriber's. */
export class RedisFeed implements Feed {
  readonly #commands: Commands
  readonly #channels: Channels
  readonly #keys: Keyspace
  readonly #newer: NewerWords
  readonly #epoch: () => string
  readonly #reads: Batcher<ReadRequest, Answered | 'large'>
  readonly #submissions: Submissions
  readonly #resetListeners = new Set<() => void>()

  constructor(
    commands: Commands,
    channels: Channels,
    keys: Keyspace,
    newer: NewerWords,
    epoch: () => string,
  ) {
    this.#newer = newer
    this.#commands = commands
    this.#channels = channels
    this.#keys = keys
    this.#epoch = epoch
    this.#submissions = new Submissions(commands, channels, keys.all)
    this.#reads = new Batcher({
      send: (requests, deadlineMs) => this.#readAll(requests, deadlineMs),
      weigh: () => 1,
      maxWeight: MOST_READS,
      deadlineMs: ANSWER_MS,
      explain: asUnavailable,
    })
  }

  get epoch(): string {
    return this.#epoch()
  }

  async watch(jobId: string, listener: (message: FeedMessage) => void): Promise<Unsubscribe> {
    const channel = jobChannel(this.#keys.partitionOf(jobId), jobId)
    return this.#channels.listen(channel, (message) => listener(decodeMessage(message, this.#newer)))
  }

  async read(requests: readonly ReadRequest[]): Promise<(ReadResult | null)[]> {
    return Promise.all(requests.map((request) => this.#readOne(request)))
  }

  async positions(jobIds: readonly string[]): Promise<(Position | null)[]> {
    const positions: (Position | null)[] = []
    for (let first = 0; first < jobIds.length; first += MOST_POSITIONS) {
      positions.push(...(await this.#positions(jobIds.slice(first, first + MOST_POSITIONS))))
    }
    return positions
  }

  places(jobs: readonly PlaceQuestion[]): Promise<PlaceAnswers> {
    return readPlaces(this.#commands, this.#keys.home, jobs)
  }

  list(query: ListQuery): Promise<JobPage> {
    return listJobs(this.#commands, this.#keys, this.#newer, query)
  }

  onSubmitted(listener: (submitted: Submitted) => void): Promise<Unsubscribe> {
    return this.#submissions.listen(listener)
  }

  onReset(listener: () => void): Unsubscribe {
    // A function of its own, so that the same listener may be given twice.
    const entry = () => listener()
    this.#resetListeners.add(entry)
    return () => this.#resetListeners.delete(entry)
  }

  reset(): void {
    this.#submissions.renew()
    for (const listener of [...this.#resetListeners]) listener()
  }

  stop(): void {
    this.#submissions.stop()
  }

  async get(jobId: string): Promise<Job | null> {
    if (!isJobId(jobId)) return null
    const read = await this.#ask({ jobId, after: null, history: false, withJob: true })
    return read === 'missing' ? null : read.row.job(jobId, read.epoch)
  }

  async #readOne(request: ReadRequest): Promise<ReadResult | null> {
    const { jobId, after, history, withJob } = request
    if (!isJobId(jobId)) return null
    let asked = request
    for (;;) {
      const read = await this.#ask(asked)
      if (read === 'missing') return null
      const { row, epoch } = read
      const { seq, status, trimmed } = row
      const reason = judgeCursor(after, { epoch, seq, trimmed })
      // The epoch may have changed between question and answer: then the script saw another cursor than this. And it
      // knows nothing of events that count as no longer retained: then it is asked for a snapshot.
      if ((reason === null) !== (row.mode === 'resume')) {
        asked = reason === 'trimmed' ? { ...request, after: null } : request
        continue
      }
      const position = { epoch, seq, status }
      if (reason === null) {
        const job = withJob ? row.job(jobId, epoch) : null
        return { ...position, mode: 'resume', job, events: row.events(after?.seq ?? 0) }
      }
      const events = history ? row.events(0) : []
      return { ...position, mode: 'snapshot', reason, job: row.job(jobId, epoch), trimmed, events }
    }
  }

  /** Together with others, unless that turns out to be large. */
  async #ask(request: ReadRequest): Promise<Answered> {
    const answer = await this.#reads.add(request)
    if (answer !== 'large') return answer
    const { reply, epoch } = await this.#commands.readLarge(SCRIPTS.read, this.#keys.home, [
      'large',
      ...this.#encode([request]),
    ])
    const [row] = list(reply)
    return row === 'missing' ? 'missing' : { row: new JobHash(row, this.#newer), epoch }
  }

  async #readAll(requests: readonly ReadRequest[], deadlineMs: number): Promise<(Answered | 'large')[]> {
    const results: (Answered | 'large')[] = []
    let left = deadlineMs
    while (results.length < requests.length) {
      const args = ['', ...this.#encode(requests.slice(results.length))]
      const { reply, epoch } = await this.#commands.read(SCRIPTS.read, this.#keys.home, args, left)
      for (const row of list(reply)) {
        if (row === 'later') break
        results.push(
          row === 'missing' || row === 'large' ? row : { row: new JobHash(row, this.#newer), epoch },
        )
      }
      // What did not fit into one reply is a question of its own.
      left = ANSWER_MS
    }
    return results
  }

  #encode(requests: readonly ReadRequest[]): (string | number)[] {
    const args = requests.flatMap(({ jobId, after, history, withJob }) => [
      jobId,
      after !== null && after.epoch === this.#epoch() ? after.seq : '',
      history ? 'history' : '',
      withJob ? 'job' : '',
    ])
    return [requests.length, ...args]
  }

  async #positions(jobIds: readonly string[]): Promise<(Position | null)[]> {
    const known = jobIds.filter(isJobId)
    if (known.length === 0) return jobIds.map(() => null)
    const { reply, epoch } = await this.#commands.read(SCRIPTS.positions, this.#keys.home, known)
    const found = new Map<string, Position>()
    for (const [index, row] of list(reply).entries()) {
      const jobId = known[index]
      if (row === 'missing' || jobId === undefined) continue
      const [seq, status] = list(row)
      found.set(jobId, { epoch, seq: whole(seq), status: knownStatus(text(status), this.#newer) })
    }
    return jobIds.map((jobId) => found.get(jobId) ?? null)
  }
}
