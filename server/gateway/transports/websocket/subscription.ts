import type { FrameErrorCode, UnsubscribedCode } from '../../../../shared/codes.ts'
import { parseCursor } from '../../../../shared/cursor.ts'
import type { JobEvent } from '../../../../shared/event.ts'
import type { ReadResult, Unsubscribe } from '../../../engine/engine.ts'
import { Unavailable } from '../../../engine/errors.ts'
import type { EncodedEvent } from '../../encoded-event.ts'
import type { Hub } from '../../hub.ts'
import { type Dialect, Lane, type Outbox } from '../../outbox.ts'
import { onExpiry, type Permit } from '../../permit.ts'
import type { Standing } from '../../queue-places.ts'
import { type Ending, Session } from '../../session.ts'
import {
  encodeFrame,
  errorFrame,
  eventFrame,
  placeFrame,
  subscribedFrame,
  unsubscribedFrame,
} from './server-frames.ts'

const MESSAGES = {
  unauthorized: 'a valid API key or job token is needed to watch this job',
  forbidden: 'these credentials may not watch this job',
  not_found: 'there is no such job',
  unavailable: 'the store is away; try again soon',
} as const satisfies Partial<Record<FrameErrorCode, string>>
/** One for all: most subscriptions have nothing to do. */
const DONE = Promise.resolve()
const NOT_SUBSCRIBED = 'this connection has no subscription to this job'

export interface SubscriptionOwner {
  /** Nothing of the job is watched and nothing is left to do. */
  idle(jobId: string): void
}

export interface SubscribeRequest {
  /** The cursor as the client sent it; empty: none. */
  readonly after: string
  readonly history: boolean
  /** Judged when its turn comes. */
  readonly permit: () => Promise<Permit>
}

type State =
  | { readonly is: 'none' }
  /** `joined` once the client was sent `subscribed`. */
  | {
      readonly is: 'watching'
      readonly session: Session
      readonly lane: Lane
      readonly history: boolean
      joined: boolean
    }
  | { readonly is: 'disposed' }

/**
 * What one connection has to do with one job. What the client asks is done in the order in which it was asked, one
 * thing after the other, so that every frame has its answer and the last one decides.
 *
 * Modes: `none`; `watching`; `disposed` with its connection.
 */
export class Subscription implements Dialect {
  readonly #jobId: string
  readonly #hub: Hub
  readonly #outbox: Outbox
  readonly #owner: SubscriptionOwner
  #state: State = { is: 'none' }
  #offExpiry: Unsubscribe | null = null
  #tail = DONE
  #unfinished = 0

  constructor(options: {
    jobId: string
    hub: Hub
    outbox: Outbox
    owner: SubscriptionOwner
  }) {
    this.#jobId = options.jobId
    this.#hub = options.hub
    this.#outbox = options.outbox
    this.#owner = options.owner
  }

  /** Whether the client has been told `subscribed` and not yet that it is over. */
  get isLive(): boolean {
    return this.#state.is === 'watching' && this.#state.joined
  }

  subscribe(request: SubscribeRequest): void {
    this.#enqueue(async () => {
      const permit = await request.permit()
      if (this.#state.is === 'disposed') return
      if (!permit.ok) return this.#refuse(permit.code)
      await this.#start(request, permit.expiresAt)
    })
  }

  unsubscribe(): void {
    this.#enqueue(() => this.#finish('requested'))
  }

  /** A new token for a subscription that goes on. */
  renew(permit: () => Promise<Permit>): void {
    this.#enqueue(async () => {
      const renewed = await permit()
      if (this.#state.is === 'disposed') return
      if (!renewed.ok) this.#refuse(renewed.code)
      else if (this.#state.is === 'none') this.#refuse('not_found', NOT_SUBSCRIBED)
      else this.#expireAt(renewed.expiresAt)
    })
  }

  /** Ends it with its connection; nothing is sent any more. */
  dispose(): void {
    this.#leave()
    this.#state = { is: 'disposed' }
  }

  encode({ seq }: JobEvent, prev: number, encoded: EncodedEvent): Buffer {
    return eventFrame(this.#jobId, seq, encoded, prev)
  }

  replay(result: ReadResult): void {
    if (this.#state.is !== 'watching') return
    const { lane, joined, history } = this.#state
    if (!joined) this.#hub.traffic.subscribed('socket', result.mode)
    this.#state.joined = true
    this.#outbox.frame(subscribedFrame(this.#jobId, result, history), lane, result.seq)
  }

  place(standing: Standing): Buffer {
    return placeFrame(this.#jobId, standing)
  }

  over(ending: Ending): void {
    if (ending.kind === 'end') {
      const { cursor, status } = ending
      this.#leave()
      this.#outbox.frame(encodeFrame({ op: 'end', jobId: this.#jobId, cursor, status }))
    } else {
      this.#finish(ending.code)
    }
    this.#settle()
  }

  async #start({ after, history }: SubscribeRequest, expiresAt: number | null): Promise<void> {
    this.#abandon()
    const cursor = after === '' ? null : parseCursor(after)
    const lane = new Lane(this.#outbox, this)
    const session = new Session(this.#hub, lane, { jobId: this.#jobId, after: cursor, history, places: true })
    this.#state = { is: 'watching', session, lane, history, joined: false }
    this.#expireAt(expiresAt)
    try {
      if (!(await session.start())) this.#fail(session, 'not_found')
    } catch (error) {
      if (!(error instanceof Unavailable)) this.#hub.noteFailure('subscription', error)
      this.#fail(session, 'unavailable')
    }
  }

  #fail(session: Session, code: keyof typeof MESSAGES): void {
    // It may have expired, or the connection may have gone, in the meantime.
    if (this.#state.is !== 'watching' || this.#state.session !== session) return
    this.#leave()
    this.#refuse(code)
  }

  #refuse(code: keyof typeof MESSAGES, message: string = MESSAGES[code]): void {
    this.#outbox.frame(errorFrame(code, message, this.#jobId))
  }

  #finish(code: UnsubscribedCode): void {
    if (this.#state.is === 'disposed') return
    this.#abandon()
    this.#outbox.frame(unsubscribedFrame(this.#jobId, code))
  }

  /** Leaves, and takes back what still waits: it would be of no use to the client any more. */
  #abandon(): void {
    if (this.#state.is === 'watching') this.#outbox.drop(this.#state.lane)
    this.#leave()
  }

  #leave(): void {
    this.#offExpiry?.()
    this.#offExpiry = null
    if (this.#state.is !== 'watching') return
    const { session, lane, joined } = this.#state
    this.#state = { is: 'none' }
    lane.lagging(0)
    session.close()
    if (joined) this.#hub.traffic.unsubscribed('socket')
  }

  #expireAt(time: number | null): void {
    this.#offExpiry?.()
    this.#offExpiry = onExpiry(time, () => {
      this.#finish('token_expired')
      this.#settle()
    })
  }

  #enqueue(work: () => Promise<void> | void): void {
    this.#unfinished++
    this.#tail = this.#tail
      .then(work)
      .catch((error: unknown) => this.#hub.noteFailure('subscription', error))
      .then(() => {
        this.#unfinished--
        if (this.#unfinished === 0) this.#tail = DONE
        this.#settle()
      })
  }

  #settle(): void {
    if (this.#state.is === 'none' && this.#unfinished === 0) this.#owner.idle(this.#jobId)
  }
}
