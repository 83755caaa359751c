import type { ClaimRequest, LeaseRef, Unsubscribe, WaitRequest } from '../engine.ts'
import type { Channels } from './channels.ts'
import type { Commands } from './commands.ts'
import { type Partition, workerChannel, workerName } from './keys.ts'
import type { Pool, Pools, Room } from './pools.ts'
import { word } from './reply.ts'
import { SCRIPTS } from './scripts.ts'

/** Ends a wait. `passOn`: whoever waits no longer cares, so that a wake-up it may have had is another's. */
type End = (passOn: boolean) => void

/**
 * Idle workers. A wait enters the worker among the idle of its pool, in the same step in which it is checked that
 * there is no work; whoever queues a job takes the longest idle worker out and publishes to that worker alone. The
 * same channel carries cancel requests. A message that gets lost costs no more than the wait's own timeout.
 */
export class Waiting {
  readonly #commands: Commands
  readonly #channels: Channels
  readonly #partition: Partition
  readonly #pools: Pools
  readonly #join: (pool: Pool) => Promise<void>
  readonly #waits = new Map<End, { readonly workerId: string; readonly entry: string }>()

  constructor(options: {
    commands: Commands
    channels: Channels
    partition: Partition
    pools: Pools
    join: (pool: Pool) => Promise<void>
  }) {
    this.#commands = options.commands
    this.#channels = options.channels
    this.#partition = options.partition
    this.#pools = options.pools
    this.#join = options.join
  }

  /** Resolves when there may be work, after the timeout, or when the signal fires. Rejects with `Unavailable`. */
  async wait({ workerId, types, timeoutMs, signal }: WaitRequest): Promise<void> {
    if (signal.aborted || types.length === 0) return
    const room = this.#pools.room(
      workerId,
      types.map((type) => ({ type, limit: 1 })),
      1,
    )
    let end: End = () => undefined
    const ended = new Promise<boolean>((resolve) => {
      end = resolve
    })
    const stop = () => end(true)
    const timer = setTimeout(stop, timeoutMs)
    signal.addEventListener('abort', stop, { once: true })
    this.#waits.set(end, { workerId, entry: room.idleEntry })
    let silence: Unsubscribe = () => undefined
    try {
      const listening = this.#channels.listen(workerChannel(this.#partition, room.worker), (message) => {
        if (message === 'wake') end(false)
      })
      silence = await listening
      if (signal.aborted || (await this.#enter(room)) === 'work') return
      if (await ended) this.#leave(room)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      this.#waits.delete(end)
      silence()
    }
  }

  /**
   * The worker claims: its waits end where it got something, or asked for other types than the wait, since its entry
   * among the idle is no longer true then.
   */
  claimed({ workerId, types, limit }: ClaimRequest, jobs: number): void {
    for (const [end, wait] of this.#waits) {
      if (wait.workerId !== workerId) continue
      if (jobs > 0 || this.#pools.room(workerId, types, limit).idleEntry !== wait.entry) end(true)
    }
  }

  /** Ends all waits: wake-ups may have been lost. */
  endAll(): void {
    for (const end of [...this.#waits.keys()]) end(true)
  }

  /** Calls back when a cancel is requested of a job that this worker runs. */
  onCancel(workerId: string, listener: (lease: LeaseRef) => void): Promise<Unsubscribe> {
    return this.#channels.listen(workerChannel(this.#partition, workerName(workerId)), (message) => {
      const [kind, jobId, lease] = message.split(' ')
      if (kind === 'cancel' && jobId !== undefined && lease !== undefined) listener({ jobId, lease })
    })
  }

  async #enter(room: Room): Promise<'work' | 'waiting'> {
    for (;;) {
      const { reply } = await this.#commands.read(SCRIPTS.wait, this.#partition, [
        room.pool.id,
        room.idleEntry,
      ])
      const answer = word(reply, ['work', 'waiting', 'unknown_pool'])
      if (answer !== 'unknown_pool') return answer
      await this.#join(room.pool)
    }
  }

  #leave(room: Room): void {
    // If this is lost, the entry stays until a wake-up finds it; the others' timeouts make up for that.
    this.#commands.read(SCRIPTS.leave, this.#partition, [room.pool.id, room.idleEntry]).catch(() => undefined)
  }
}
