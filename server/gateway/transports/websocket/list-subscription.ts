import type { FrameErrorCode } from '../../../../shared/codes.ts'
import type { SnapshotReason } from '../../../../shared/protocol.ts'
import { Unavailable } from '../../../engine/errors.ts'
import type { Hub } from '../../hub.ts'
import { type ListFilter, sizeOf } from '../../lists/list-filter.ts'
import type { ListChanges, ListReader, Lists, Membership } from '../../lists/list-follower.ts'
import type { Outbox } from '../../outbox.ts'
import type { Permit } from '../../permit.ts'
import { HIGH_WATER_BYTES } from '../../slow-reader.ts'
import { changesFrame, listErrorFrame, listFrame, unwatchedFrame } from './server-frames.ts'

const MESSAGES = {
  unauthorized: 'a valid API key is needed to watch lists',
  forbidden: 'these credentials may not watch lists: it takes an API key',
  not_found: 'there is no such list',
  unavailable: 'the store is away; try again soon',
} as const satisfies Partial<Record<FrameErrorCode, string>>

/** What the client is to be sent once there is room. */
interface Due {
  /** The whole list, for this reason; null: only what became of these jobs. */
  reason: SnapshotReason | null
  readonly jobIds: Set<string>
  /** Its turn is being waited for. */
  isQueued: boolean
}

type State =
  | { readonly is: 'none' }
  | { readonly is: 'watching'; readonly membership: Membership; due: Due | null; joined: boolean }
  | { readonly is: 'disposed' }

/**
 * One list of one connection. What the client asks is done in the order in which it was asked. Where much is unsent,
 * what changes waits here as a set of jobs, and is told as it is when there is room: a slow reader gets less.
 *
 * Modes: `none`; `watching`, where nothing may be due or something that waits for room; `disposed` with its connection.
 */
export class ListSubscription implements ListReader {
  readonly #list: string
  readonly #lists: Lists
  readonly #hub: Hub
  readonly #outbox: Outbox
  /** Hears that nothing is watched and nothing is left to do. */
  readonly #onIdle: () => void
  #state: State = { is: 'none' }
  #size = 0
  #tail: Promise<void> = Promise.resolve()
  #unfinished = 0

  constructor(options: { list: string; lists: Lists; hub: Hub; outbox: Outbox; onIdle: () => void }) {
    this.#list = options.list
    this.#lists = options.lists
    this.#hub = options.hub
    this.#outbox = options.outbox
    this.#onIdle = options.onIdle
  }

  /** Whether the client has been sent the list. */
  get isLive(): boolean {
    return this.#state.is === 'watching' && this.#state.joined
  }

  /** The most jobs that the list which was asked for last may have. */
  get size(): number {
    return this.#size
  }

  watch(filter: ListFilter, permit: () => Promise<Permit>): void {
    this.#size = sizeOf(filter)
    this.#enqueue(async () => {
      const permitted = await permit()
      if (this.#state.is === 'disposed') return
      this.#leave()
      if (permitted.ok) await this.#start(filter)
      else this.#refuse(permitted.code)
    })
  }

  unwatch(): void {
    this.#size = 0
    this.#enqueue(() => {
      if (this.#state.is === 'disposed') return
      this.#leave()
      this.#outbox.frame(unwatchedFrame(this.#list, 'requested'))
    })
  }

  /** Ends it with its connection; nothing is sent any more. */
  dispose(): void {
    this.#leave()
    this.#state = { is: 'disposed' }
  }

  replaced(reason: SnapshotReason): void {
    if (this.#state.is !== 'watching') return
    this.#state.due = { reason, jobIds: new Set(), isQueued: this.#state.due?.isQueued ?? false }
    this.#offer()
  }

  changed(changes: ListChanges): void {
    if (this.#state.is !== 'watching') return
    const { due } = this.#state
    if (due === null && this.#outbox.unsent() < HIGH_WATER_BYTES) {
      this.#outbox.frame(changesFrame(this.#list, changes))
      return
    }
    const waiting = due ?? { reason: null, jobIds: new Set<string>(), isQueued: false }
    this.#state.due = waiting
    for (const { jobId } of changes.jobs) waiting.jobIds.add(jobId)
    for (const jobId of changes.gone) waiting.jobIds.add(jobId)
    this.#offer()
  }

  sweep(): void {
    this.#offer()
  }

  async #start(filter: ListFilter): Promise<void> {
    try {
      const membership = await this.#lists.join(filter, this)
      if (this.#state.is === 'disposed') return membership.leave()
      this.#state = { is: 'watching', membership, due: null, joined: false }
      this.replaced('new')
    } catch (error) {
      if (!(error instanceof Unavailable)) this.#hub.noteFailure('list', error)
      if (this.#state.is !== 'disposed') this.#refuse('unavailable')
    }
  }

  /** Waits for the turn of what is due. Another's failure may end the wait: the next sweep then begins another. */
  #offer(): void {
    if (this.#state.is !== 'watching' || this.#state.due === null || this.#state.due.isQueued) return
    this.#state.due.isQueued = true
    const state = this.#state
    this.#outbox
      .turn(async () => {
        if (this.#state === state) this.#send(state)
      })
      .catch(() => {
        if (state.due !== null) state.due.isQueued = false
      })
  }

  #send(state: Extract<State, { is: 'watching' }>): void {
    const { due, joined, membership } = state
    state.due = null
    if (due === null) return
    const { follower } = membership
    if (due.reason === null) {
      this.#outbox.frame(changesFrame(this.#list, follower.changesOf(due.jobIds)))
      return
    }
    this.#outbox.frame(listFrame(this.#list, due.reason, follower.show()))
    if (!joined) this.#hub.traffic.subscribed('socket', 'snapshot')
    state.joined = true
  }

  #refuse(code: keyof typeof MESSAGES): void {
    this.#outbox.frame(listErrorFrame(this.#list, code, MESSAGES[code]))
  }

  #leave(): void {
    if (this.#state.is !== 'watching') return
    const { membership, joined } = this.#state
    this.#state = { is: 'none' }
    membership.leave()
    if (joined) this.#hub.traffic.unsubscribed('socket')
  }

  #enqueue(work: () => Promise<void> | void): void {
    this.#unfinished++
    this.#tail = this.#tail
      .then(work)
      .catch((error: unknown) => this.#hub.noteFailure('list', error))
      .then(() => {
        this.#unfinished--
        if (this.#state.is === 'none' && this.#unfinished === 0) this.#onIdle()
      })
  }
}
