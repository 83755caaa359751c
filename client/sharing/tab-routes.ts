import { isSameHistory, parseCursor } from '../../shared/cursor.ts'
import type { Replay } from '../../shared/protocol.ts'
import { JobcastError } from '../errors.ts'
import type { Http } from '../http.ts'
import { reconnectDelayMs } from '../retry.ts'
import type { Timer } from '../time.ts'
import type { Link, LinkOwner, Route, TransportName } from '../transports/link.ts'
import { poll } from '../transports/poll.ts'
import { type Round, StreamLink } from '../transports/stream.ts'
import type { Answer, JobAnswer, Request } from './channel.ts'

type FlowAnswer = JobAnswer & { op: 'replayed' | 'event' | 'ended' }

interface Followed {
  readonly route: Route
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

/** This tab's routes at whichever multiplexer carries them: its own, or that of the tab that leads. */
export class TabRoutes implements LinkOwner {
  readonly #routes = new Map<string, Followed>()
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
    return this.#routes.size === 0
  }

  /** Goes on at this multiplexer, from the cursors. */
  follow(ask: (request: Request) => void): void {
    this.#ask = ask
    for (const { route } of [...this.#routes.values()]) this.carry(route)
  }

  /** There is no multiplexer now. */
  pause(): void {
    this.#ask = null
    for (const followed of this.#routes.values()) {
      this.#rest(followed, { kind: 'asked' })
      followed.route.interrupted()
    }
  }

  /** The page is back from something that what is being read may not have survived. */
  revive(): void {
    this.#reading.revive()
  }

  carry(route: Route): void {
    const { jobId, cursor, history, credential } = route
    const former = this.#routes.get(jobId)
    if (former !== undefined) this.#rest(former, { kind: 'asked' })
    this.#starts += 1
    const start = this.#starts
    const transport = former?.transport ?? 'websocket'
    this.#routes.set(jobId, { route, start, state: { kind: 'asked' }, transport, repeats: 0 })
    this.#ask?.({ op: 'subscribe', jobId, start, cursor, history, credential })
  }

  drop(route: Route): void {
    const followed = this.#routes.get(route.jobId)
    if (followed?.route !== route) return
    this.#rest(followed, { kind: 'asked' })
    this.#routes.delete(route.jobId)
    this.#ask?.({ op: 'unsubscribe', jobId: route.jobId, start: followed.start })
  }

  credentialChanged({ jobId, credential }: Route): void {
    const start = this.#routes.get(jobId)?.start
    if (start !== undefined) this.#ask?.({ op: 'credential', jobId, start, credential })
  }

  hear(answer: Exclude<Answer, { op: 'state' }>): void {
    const followed = this.#routes.get(answer.jobId)
    if (followed === undefined || followed.start !== answer.start) return
    switch (answer.op) {
      case 'joined':
        followed.transport = answer.transport
        this.#catchUp(followed, [])
        break
      case 'placed':
        followed.route.placed(answer.queue)
        break
      case 'interrupted':
        followed.route.interrupted()
        break
      case 'restored':
        // One that is catching up is told by what it reads.
        if (followed.state.kind === 'flowing') followed.route.restored()
        break
      case 'renew':
        this.#renew(followed)
        break
      case 'refused':
        this.#rest(followed, { kind: 'asked' })
        this.#routes.delete(answer.jobId)
        followed.route.refused(new JobcastError(answer.code, answer.message, answer.details))
        break
      default:
        this.#flowed(followed, answer)
    }
  }

  replayed(_link: Link, route: Route, replay: Replay): void {
    const followed = this.#routes.get(route.jobId)
    if (followed?.route !== route || followed.state.kind !== 'catching-up') return
    const { waiting } = followed.state
    route.replayed(replay, followed.transport)
    followed.state = { kind: 'flowing' }
    for (const [index, answer] of waiting.entries()) {
      if (apply(followed, answer)) continue
      this.#catchUp(followed, waiting.slice(index))
      return
    }
  }

  interrupted(_link: Link, route: Route): void {
    route.interrupted()
  }

  restored(_link: Link, route: Route): void {
    route.restored()
  }

  // It reads on by itself, or refuses the route.
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

  /** At once, and ever later where that does not help. */
  #catchUp(followed: Followed, waiting: FlowAnswer[]): void {
    followed.repeats += 1
    const read = () => this.#reading.carry(followed.route)
    const delayMs = reconnectDelayMs(followed.repeats - 2, this.#random)
    const timer = followed.repeats === 1 ? undefined : setTimeout(read, delayMs)
    this.#rest(followed, { kind: 'catching-up', waiting, timer })
    if (timer === undefined) read()
  }

  #renew({ route, start }: Followed): void {
    const { jobId } = route
    const tell = (verdict: 'yes' | 'no' | 'later') => {
      const { credential } = route
      if (verdict === 'yes') this.#ask?.({ op: 'credential', jobId, start, credential })
      this.#ask?.({ op: 'renewed', jobId, start, verdict })
    }
    route.renew().then(
      (renewed) => tell(renewed ? 'yes' : 'no'),
      () => tell('later'),
    )
  }

  /** The one way out of a state in which something is under way. */
  #rest(followed: Followed, next: FollowedState): void {
    if (followed.state.kind === 'catching-up') {
      clearTimeout(followed.state.timer)
      this.#reading.drop(followed.route)
    }
    followed.state = next
  }
}

/** False: something is missing in between, or it is of another history. */
function apply(followed: Followed, answer: FlowAnswer): boolean {
  const { route } = followed
  if (answer.op === 'ended') return route.ended(answer.cursor)
  if (answer.op === 'replayed') {
    const { replay, transport } = answer
    const strange = replay.mode === 'resume' && !isSameHistory(replay.cursor, route.cursor ?? '')
    if (!strange) route.replayed(replay, transport)
    return !strange
  }
  if (!isSameHistory(answer.after, route.cursor ?? '')) return false
  if (!route.event(answer.event, parseCursor(answer.after).seq)) return false
  followed.repeats = 0
  return true
}
