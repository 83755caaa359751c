import type { Job } from '../../../shared/job.ts'
import { MAX_PLACE } from '../../../shared/limits.ts'
import type {
  Feed,
  FeedMessage,
  JobPage,
  ListQuery,
  Place,
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
import { decodePage, encodePage } from '../job/pages.ts'
import { judgeCursor } from '../job/stored-job.ts'
import { Batcher } from './batcher.ts'
import type { Channels } from './channels.ts'
import { decodeMessage, JobHash, knownStatus } from './codec.ts'
import { asUnavailable, type Commands } from './commands.ts'
import { ANSWER_MS } from './connection.ts'
import { jobChannel, type Keyspace } from './keys.ts'
import { Submissions } from './messages.ts'
import { list, SCRIPTS, text, whole } from './scripts.ts'

const MOST_READS = 200
const MOST_POSITIONS = 500
const MOST_JOBS = 200
/** Jobs of one call of the script, which takes about 1 ms then. */
const MOST_PLACES = 250
const NOT_QUEUED = '-'
/** A page is named by order and id of the last job looked at, and the newest job by its own. */
const PAGE = /^before ([1-9]\d{0,14}) (\S{36})$/

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
    this.#submissions = new Submissions(commands, channels, keys)
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
    const channel = jobChannel(this.#keys.ofJob(jobId), jobId)
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

  /** Asks for any number of jobs, some at a time, so that nobody waits long in between. */
  async places(jobs: readonly PlaceQuestion[]): Promise<PlaceAnswers> {
    const [partition] = this.#keys.every
    const found = new Map<string, Place>()
    const known = jobs.filter(({ jobId }) => isJobId(jobId))
    let now = Date.now()
    for (let first = 0; first < known.length; first += MOST_PLACES) {
      const groups = byType(known.slice(first, first + MOST_PLACES))
      const args = [...groups].flatMap(([type, jobIds]) => [type, jobIds.length, ...jobIds])
      const { reply } = await this.#commands.read(SCRIPTS.places, partition, args)
      const [clock, ...cells] = list(reply)
      now = whole(clock)
      collectPlaces([...groups.values()].flat(), cells, found)
    }
    return { now, places: jobs.map(({ jobId }) => found.get(jobId) ?? null) }
  }

  /** Newest first, by order of submission. Throws `BadPage`. */
  async list(query: ListQuery): Promise<JobPage> {
    const [partition] = this.#keys.every
    const { types, statuses, tags, limit, withBodies = true } = query
    const args = [
      ...boundary(query.page),
      ...boundary(query.since ?? null),
      Math.min(limit, MOST_JOBS),
      withBodies ? 'bodies' : '',
      types.length,
      ...types,
      statuses.length,
      ...statuses,
      tags.length,
      ...tags.map((tag) => JSON.stringify(tag)),
    ]
    const { reply, epoch } = withBodies
      ? await this.#commands.readLarge(SCRIPTS.list, partition, args)
      : await this.#commands.read(SCRIPTS.list, partition, args)
    const [next, rows, newest] = list(reply)
    const jobs: Job[] = []
    for (const entry of list(rows)) {
      const [jobId, row] = list(entry)
      const job = new JobHash(row, this.#newer).job(text(jobId), epoch)
      // The script looks for tags in their text, where `,` may be found between two others.
      if (!tags.every((tag) => job.tags.includes(tag))) continue
      jobs.push(withBodies ? job : { ...job, payload: null, result: null })
    }
    return { jobs, nextPage: pageOf(next), newest: pageOf(newest) }
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
    const { reply, epoch } = await this.#commands.readLarge(SCRIPTS.read, this.#keys.ofJob(request.jobId), [
      'large',
      ...this.#encode([request]),
    ])
    const [row] = list(reply)
    return row === 'missing' ? 'missing' : { row: new JobHash(row, this.#newer), epoch }
  }

  async #readAll(requests: readonly ReadRequest[], deadlineMs: number): Promise<(Answered | 'large')[]> {
    const [partition] = this.#keys.every
    const results: (Answered | 'large')[] = []
    let left = deadlineMs
    while (results.length < requests.length) {
      const args = ['', ...this.#encode(requests.slice(results.length))]
      const { reply, epoch } = await this.#commands.read(SCRIPTS.read, partition, args, left)
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
    const [partition] = this.#keys.every
    const { reply, epoch } = await this.#commands.read(SCRIPTS.positions, partition, known)
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

function pageOf(job: unknown): string | null {
  return job === '' ? null : encodePage(`before ${text(job)}`)
}

function boundary(page: string | null): readonly [order: string, jobId: string] {
  if (page === null) return ['', '']
  return decodePage(page, (words) => {
    const [, order, jobId] = PAGE.exec(words) ?? []
    return order === undefined || jobId === undefined ? null : ([order, jobId] as const)
  })
}

function byType(jobs: readonly PlaceQuestion[]): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const { jobId, type } of jobs) {
    const group = groups.get(type ?? '')
    if (group === undefined) groups.set(type ?? '', [jobId])
    else group.push(jobId)
  }
  return groups
}

/** What the script says of each group (lua/places.lua), job by job. */
function collectPlaces(
  jobIds: readonly string[],
  cells: readonly unknown[],
  found: Map<string, Place>,
): void {
  let job = 0
  for (let at = 0; at < cells.length; at += 3) {
    const type = text(cells[at])
    const paused = whole(cells[at + 1]) === 1
    for (const rank of text(cells[at + 2]).split(' ')) {
      const jobId = jobIds[job++]
      if (jobId === undefined || rank === NOT_QUEUED) continue
      const place = whole(rank) + 1
      found.set(jobId, { type, place: place > MAX_PLACE ? null : place, paused })
    }
  }
}
