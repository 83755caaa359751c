import type { Claim, LeaseRef, Unsubscribe, WaitRequest } from '../engine.ts'
import type { Channels } from './channels.ts'
import { decodeHandOver } from './claims.ts'
import type { Commands } from './commands.ts'
import { claimName, type Partition, workerChannel, workerName } from './keys.ts'
import type { Pool, Pools } from './pools.ts'
import { word } from './reply.ts'
import { SCRIPTS } from './scripts.ts'

interface Ending {
  readonly claims: Claim[]
  /** Whoever waits no longer cares, so that a wake-up it may have had is another's. */
  readonly passOn: boolean
}

const WOKEN: Ending = { claims: [], passOn: false }
const GIVEN_UP: Ending = { claims: [], passOn: true }

/** What EXISTS counts where a wait goes on. */
const AS_IT_SHOULD_BE = 3

/** A claim that a job may be handed over under: from when a wait begins until the claim is answered. */
interface OpenClaim {
  /** The worker's entry among the idle. */
  readonly entry: string
  readonly end: (ending: Ending) => void
}

/**
 * Idle workers. A wait enters the worker among the idle of its pool, in the same step in which it is checked that
 * there is no work; whoever queues a job takes the longest idle worker out and publishes to that worker alone: a wake-up,
 * or the job itself, claimed under the id that the worker waits under. The same channel carries cancel requests. A wait
 * is looked after: where a message was lost, or the store has forgotten who waits, the wait ends, and the claim that is then made
 * brings what was handed over.
 */
export class Waiting {
  readonly #commands: Commands
  readonly #channels: Channels
  readonly #partition: Partition
  readonly #pools: Pools
  readonly #join: (pool: Pool) => Promise<void>
  readonly #waits = new Set<(ending: Ending) => void>()
  /** By name of the claim. */
  readonly #openClaims = new Map<string, OpenClaim>()

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

  /**
   * Resolves when there may be work, after the timeout, or when the signal fires; to what was handed over. Rejects with
   * `Unavailable`.
   */
  async wait({ workerId, types, timeoutMs, signal, claim }: WaitRequest): Promise<Claim[]> {
    if (signal.aborted || types.length === 0) return []
    const { worker, pool, full } = this.#pools.room(
      workerId,
      types.map((type) => ({ type, limit: 1 })),
      1,
    )
    const name = claim === undefined ? null : claimName(claim.claimId)
    const entry = `${worker} ${claim === undefined ? '-' : `${name}/${claim.leaseMs}`} ${full}`
    let isOver = false
    let end: (ending: Ending) => void = () => undefined
    const ended = new Promise<Ending>((resolve) => {
      end = (ending) => {
        isOver = true
        resolve(ending)
      }
    })
    const stop = () => end(GIVEN_UP)
    const timer = setTimeout(stop, timeoutMs)
    signal.addEventListener('abort', stop, { once: true })
    this.#waits.add(end)
    if (name !== null) this.#openClaims.set(name, { entry, end })
    let silence: Unsubscribe = () => undefined
    let rest: Unsubscribe = () => undefined
    try {
      const listening = this.#channels.listen(workerChannel(this.#partition, worker), (message) => {
        if (message === 'wake') return end(WOKEN)
        const handed = decodeHandOver(message, worker)
        if (handed !== null && handed.claim === name) end({ claims: handed.claims, passOn: false })
      })
      silence = await listening
      if ((await this.#enter(pool, entry, () => isOver)) === 'over') return []
      if (claim !== undefined) {
        const keys = this.#keysOf(worker, claimName(claim.claimId), pool)
        rest = this.#lookAfter(keys, claim, stop)
      }
      const { claims, passOn } = await ended
      if (claims.length > 0 && name !== null) this.#openClaims.delete(name)
      // Where a claim follows, that takes the entry out.
      if (passOn && name === null) this.#leave(pool, entry)
      return claims
    } finally {
      // Whoever waits may have a job now, which comes first.
      setImmediate(() => {
        clearTimeout(timer)
        signal.removeEventListener('abort', stop)
        this.#waits.delete(end)
        rest()
        silence()
      })
    }
  }

  /**
   * A claim is made: the wait under it, if there is one, is over. Returns the entry among the idle that the claim must
   * take out, or ''.
   */
  claim(claimId: string): string {
    const open = this.#openClaims.get(claimName(claimId))
    open?.end(WOKEN)
    return open?.entry ?? ''
  }

  /** The claim has its answer: nothing is handed over under it any more. */
  answered(claimId: string): void {
    this.#openClaims.delete(claimName(claimId))
  }

  /** Ends all waits: wake-ups may have been lost. */
  endAll(): void {
    for (const end of this.#waits) end(GIVEN_UP)
  }

  /** Calls back when a cancel is requested of a job that this worker runs. */
  onCancel(workerId: string, listener: (lease: LeaseRef) => void): Promise<Unsubscribe> {
    return this.#channels.listen(workerChannel(this.#partition, workerName(workerId)), (message) => {
      if (!message.startsWith('cancel ')) return
      const [, jobId, lease] = message.split(' ')
      if (jobId === undefined || lease === undefined) return
      // The job may have been handed over just before, and its run begin only when the wait has resolved.
      setImmediate(() => listener({ jobId, lease }))
    })
  }

  /** A wait that is over must not be entered: its claim may have been made, which takes the entry out. */
  async #enter(pool: Pool, entry: string, isOver: () => boolean): Promise<'over' | 'waiting'> {
    for (;;) {
      if (isOver()) return 'over'
      const { reply } = await this.#commands.read(SCRIPTS.wait, this.#partition, [pool.id, entry])
      const answer = word(reply, ['work', 'waiting', 'unknown_pool'])
      if (answer === 'work') return 'over'
      if (answer === 'waiting') return 'waiting'
      await this.#join(pool)
    }
  }

  /**
   * Three keys in one cheap command. There must be the idle of the pool; where the claim got a job, or types of the pool have
   * jobs, something was missed. The first is asked for so often that the count tells it from the others.
   */
  #keysOf(worker: string, claim: string, pool: Pool): string[] {
    const { prefix } = this.#partition
    const idle = new Array<string>(AS_IT_SHOULD_BE).fill(`${prefix}idle:${pool.id}`)
    return [...idle, `${prefix}claim:${worker}:${claim}`, `${prefix}ready:${pool.id}`]
  }

  #lookAfter(
    keys: readonly string[],
    { renewMs, renewed }: NonNullable<WaitRequest['claim']>,
    stop: () => void,
  ): Unsubscribe {
    let isOver = false
    const look = async () => {
      const sentAt = performance.now()
      // Where the store is away, the claim finds out what that means.
      const there = await this.#commands.send('exists', keys).catch(() => null)
      if (isOver) return
      if (there !== AS_IT_SHOULD_BE) return stop()
      renewed(sentAt)
      timer = setTimeout(look, renewMs)
    }
    let timer = setTimeout(look, renewMs)
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }

  #leave(pool: Pool, entry: string): void {
    // If this is lost, the entry stays until a wake-up finds it; the others' timeouts make up for that.
    this.#commands.read(SCRIPTS.leave, this.#partition, [pool.id, entry]).catch(() => undefined)
  }
}
