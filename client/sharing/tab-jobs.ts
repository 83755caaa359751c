import { isSameHistory, parseCursor } from '../../shared/cursor.ts'
import type { Replay } from '../../shared/protocol.ts'
import { JobcastError } from '../errors.ts'
import type { Http } from '../http.ts'
import { reconnectDelayMs } from '../retry.ts'
import type { Timer } from '../time.ts'
import type { CarriedJob, Link, LinkOwner, TransportName } from '../transports/link.ts'
import { poll } from '../transports/poll.ts'
import { type Round, StreamLink } from '../transports/stream.ts'
import type { Answer, JobAnswer, Request } from './channel.ts'

type FlowAnswer = JobAnswer & { op: 'replayed' | 'event' | 'ended' }

interface Followed {
  readonly job: CarriedJob
  start: number
  state: FollowedState
  /** What carries it at the multiplexer. */
  transport: TransportName
  /** Times in a row that it had to catch up without an event in between. */
  repeats: number
}

type FollowedState =
  /** The multiplexer's answer is awaited. */
  | { readonly kind: 'asked' }
  /** What came between its cursor and the flow is being read; the flow waits meanwhile. */
  | { readonly kind: 'catching-up'; readonly waiting: FlowAnswer[]; readonly timer: Timer | undefined }
  | { readonly kind: 'flowing' }

/** Reads once what came after the cursor. */
const readOnce: Round = async (context) => {
  await poll(0)(context)
  return { kind: 'done' }
}

/** This tab's jobs at whichever multiplexer carries them: its own, or that of the tab that leads. */
export class TabJobs implements LinkOwner {
  readonly #jobs = new Map<string, Followed>()
  readonly #reading: StreamLink
  readonly #random: () => number
  #ask: ((request: Request) => void) | null = null
  #starts = 0

  constructor({ http, random = Math.random }: { readonly http: Http; readonly random?: () => number }) {
    this.#random = random
    this.#reading = new StreamLink({
      http,
      owner: this,
      transport: 'polling',
      round: readOnce,
      capacity: Number.POSITIVE_INFINITY,
      last: true,
      random,
      n: 0,
      delayMs: 0,
    })
  }

  get isEmpty(): boolean {
    return this.#jobs.size === 0
  }

  /** Goes on at this multiplexer, from the cursors. */
  follow(ask: (request: Request) => void): void {
    this.#ask = ask
    for (const { job } of [...this.#jobs.values()]) this.carry(job)
  }

  /** There is no multiplexer now. */
  pause(): void {
    this.#ask = null
    for (const followed of this.#jobs.values()) {
      this.#rest(followed, { kind: 'asked' })
      followed.job.interrupted()
    }
  }

  /** The page is back from something that what is being read may not have survived. */
  revive(): void {
    this.#reading.revive()
  }

  carry(job: CarriedJob): void {
    const { jobId, cursor, history, credential } = job
    const former = this.#jobs.get(jobId)
    if (former !== undefined) this.#rest(former, { kind: 'asked' })
    this.#starts += 1
    const start = this.#starts
    const transport = former?.transport ?? 'websocket'
    this.#jobs.set(jobId, { job, start, state: { kind: 'asked' }, transport, repeats: 0 })
    this.#ask?.({ op: 'subscribe', jobId, start, cursor, history, credential })
  }

  drop(job: CarriedJob): void {
    const followed = this.#jobs.get(job.jobId)
    if (followed?.job !== job) return
    this.#rest(followed, { kind: 'asked' })
    this.#jobs.delete(job.jobId)
    this.#ask?.({ op: 'unsubscribe', jobId: job.jobId, start: followed.start })
  }

  credentialChanged({ jobId, credential }: CarriedJob): void {
    const start = this.#jobs.get(jobId)?.start
    if (start !== undefined) this.#ask?.({ op: 'credential', jobId, start, credential })
  }

  hear(answer: Exclude<Answer, { op: 'state' }>): void {
    const followed = this.#jobs.get(answer.jobId)
    if (followed === undefined || followed.start !== answer.start) return
    switch (answer.op) {
      case 'joined':
        followed.transport = answer.transport
        this.#catchUp(followed, [])
        break
      case 'placed':
        followed.job.placed(answer.queue)
        break
      case 'interrupted':
        followed.job.interrupted()
        break
      case 'restored':
        // One that is catching up is told by what it reads.
        if (followed.state.kind === 'flowing') followed.job.restored()
        break
      case 'renew':
        this.#renew(followed)
        break
      case 'refused':
        this.#rest(followed, { kind: 'asked' })
        this.#jobs.delete(answer.jobId)
        followed.job.refused(new JobcastError(answer.code, answer.message, answer.details))
        break
      default:
        this.#flowed(followed, answer)
    }
  }

  replayed(_link: Link, job: CarriedJob, replay: Replay): void {
    const followed = this.#jobs.get(job.jobId)
    if (followed?.job !== job || followed.state.kind !== 'catching-up') return
    const { waiting } = followed.state
    job.replayed(replay, followed.transport)
    followed.state = { kind: 'flowing' }
    for (const [index, answer] of waiting.entries()) {
      if (apply(followed, answer)) continue
      this.#catchUp(followed, waiting.slice(index))
      return
    }
  }

  interrupted(_link: Link, job: CarriedJob): void {
    job.interrupted()
  }

  restored(_link: Link, job: CarriedJob): void {
    job.restored()
  }

  // It reads on by itself, or refuses the job.
  worked(): void {}
  failed(): void {}
  changed(): void {}

  #flowed(followed: Followed, answer: FlowAnswer): void {
    const { state } = followed
    if (answer.op === 'replayed') followed.transport = answer.transport
    const isSnapshot = answer.op === 'replayed' && answer.replay.mode === 'snapshot'
    if (state.kind === 'asked') {
      if (answer.op !== 'replayed') return
      followed.state = { kind: 'flowing' }
      if (!apply(followed, answer)) this.#catchUp(followed, [])
    } else if (state.kind === 'flowing') {
      if (!apply(followed, answer)) this.#catchUp(followed, [answer])
    } else if (isSnapshot) {
      // It tells nothing of what came before it, which this tab may not have seen yet.
      this.#catchUp(followed, [])
    } else state.waiting.push(answer)
  }

  /** Reads what is missing: at once, and ever later where that does not help. */
  #catchUp(followed: Followed, waiting: FlowAnswer[]): void {
    followed.repeats += 1
    const read = () => this.#reading.carry(followed.job)
    const delayMs = reconnectDelayMs(followed.repeats - 2, this.#random)
    const timer = followed.repeats === 1 ? undefined : setTimeout(read, delayMs)
    this.#rest(followed, { kind: 'catching-up', waiting, timer })
    if (timer === undefined) read()
  }

  #renew({ job, start }: Followed): void {
    const { jobId } = job
    const tell = (verdict: 'yes' | 'no' | 'later') => {
      const { credential } = job
      if (verdict === 'yes') this.#ask?.({ op: 'credential', jobId, start, credential })
      this.#ask?.({ op: 'renewed', jobId, start, verdict })
    }
    job.renew().then(
      (renewed) => tell(renewed ? 'yes' : 'no'),
      () => tell('later'),
    )
  }

  /** The one way out of a state in which something is under way. */
  #rest(followed: Followed, next: FollowedState): void {
    if (followed.state.kind === 'catching-up') {
      clearTimeout(followed.state.timer)
      this.#reading.drop(followed.job)
    }
    followed.state = next
  }
}

/** False: something is missing in between, or it is of another history. */
function apply(followed: Followed, answer: FlowAnswer): boolean {
  const { job } = followed
  if (answer.op === 'ended') return job.ended(answer.cursor)
  if (answer.op === 'replayed') {
    const { replay, transport } = answer
    const strange = replay.mode === 'resume' && !isSameHistory(replay.cursor, job.cursor ?? '')
    if (!strange) job.replayed(replay, transport)
    return !strange
  }
  if (!isSameHistory(answer.after, job.cursor ?? '')) return false
  if (!job.event(answer.event, parseCursor(answer.after).seq)) return false
  followed.repeats = 0
  return true
}
