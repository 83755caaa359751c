import type {
  Claim,
  ClaimRequest,
  LeaseRef,
  SettleRequest,
  SettleVerdict,
  Unsubscribe,
  Wait,
} from '../engine.ts'
import { OutcomeUnknown, Unavailable } from '../errors.ts'
import type { Channels } from './channels.ts'
import type { Commands } from './commands.ts'
import { claimName, type Partition, workerChannel, workerName } from './keys.ts'
import type { Pool, Pools } from './pools.ts'
import { decodeHandOver, type Runs } from './runs.ts'
import { SCRIPTS, word } from './scripts.ts'

/** How often a wait is looked after, so that a lost message costs seconds. */
const LOOK_MS = 5000
/**
 * And as a part of a lease. When a job was handed over is not known, only that it was after the last look: so its lease is
 * taken to have begun then, and most of it must be left.
 */
const LOOK_LEASES = 1 / 3
/** What EXISTS counts where a wait goes on. */
const AS_IT_SHOULD_BE = 3

type Ending =
  /** A job was handed over. */
  | { readonly is: 'handed'; readonly claims: Claim[] }
  /** There is work, or a message may have been lost, or the time is over, or nothing more is wanted: the claim is made. */
  | { readonly is: 'over' }
  /** Somebody else makes the claim. */
  | { readonly is: 'taken' }

const OVER: Ending = { is: 'over' }
const TAKEN: Ending = { is: 'taken' }

/** A claim that a job may be handed over under, until it is answered. */
interface OpenClaim {
  /** The worker's entry among the idle, which the claim takes out. */
  readonly entry: string
  /** Whether the store may have it. */
  isEntered: boolean
  /** On `performance.now()`: nothing was handed over before. */
  since: number
  readonly end: (ending: Ending) => void
}

/**
 * Who claims, at once or once there is work. Idle workers are entered among the idle of their pool, in the same step in which
 * it is checked that there is no work; whoever queues a job takes the longest idle worker out and publishes to that worker
 * alone: a wake-up, or the job itself, claimed under the id of the claim that waits. The same channel carries cancel requests.
 *
 * So a wait is a claim that has not been answered yet: whatever ends it but a job, the claim is made, and either brings what
 * was handed over or, in the same step, keeps anything from being handed over later. As long as it has no answer it is kept,
 * and made again by its caller.
 */
export class Claims {
  readonly #commands: Commands
  readonly #channels: Channels
  readonly #partition: Partition
  readonly #pools: Pools
  readonly #runs: Runs
  /** By name. */
  readonly #open = new Map<string, OpenClaim>()

  constructor(options: {
    commands: Commands
    channels: Channels
    partition: Partition
    pools: Pools
    runs: Runs
  }) {
    this.#commands = options.commands
    this.#channels = options.channels
    this.#partition = options.partition
    this.#pools = options.pools
    this.#runs = options.runs
  }

  async claim(request: ClaimRequest & Partial<Wait>): Promise<Claim[]> {
    const { claimId, workerId, types, limit, leaseMs, waitMs = 0, signal } = request
    if (waitMs === 0) return this.#claimNow(request)
    const name = claimName(claimId)
    const { worker, pool, full } = this.#pools.room(workerId, types, limit)
    let end: (ending: Ending) => void = () => undefined
    let isOver = false
    const ended = new Promise<Ending>((resolve) => {
      end = (ending) => {
        isOver = true
        resolve(ending)
      }
    })
    const entry = `${worker} ${name}/${leaseMs} ${full}`
    const { isEntered = false, since = performance.now() } = this.#open.get(name) ?? {}
    const open: OpenClaim = { entry, isEntered, since, end }
    this.#open.set(name, open)
    const stop = () => end(OVER)
    const timer = setTimeout(stop, waitMs)
    signal?.addEventListener('abort', stop, { once: true })
    if (signal?.aborted) stop()
    let silence: Unsubscribe = () => undefined
    let rest: Unsubscribe = () => undefined
    try {
      // 1. Listens: what is handed over is published to this worker alone.
      silence = await this.#channels.listen(workerChannel(this.#partition, worker), (message) => {
        if (message === 'wake') return stop()
        const handed = decodeHandOver(message, worker, open.since)
        if (handed?.claim === name) end({ is: 'handed', claims: handed.claims })
      })
      // 2. Is entered among the idle, unless there is work. Not where it is over: the claim may have been made.
      while (!isOver) {
        const answer = await this.#enter(pool, open)
        if (answer === 'waiting') break
        if (answer === 'work') stop()
        else await this.#runs.join(pool)
      }
      // 3. Waits, and is looked after.
      if (!isOver) rest = this.#lookAfter(open, this.#keysOf(worker, name, pool), leaseMs)
      const ending = await ended
      // 4. Has what was handed over, or makes the claim, which brings what was handed over under it.
      if (ending.is === 'taken') return []
      if (ending.is === 'handed') this.#open.delete(name)
      const claims = ending.is === 'handed' ? ending.claims : await this.#claimNow(request)
      return signal?.aborted ? await this.#giveBack(claims) : claims
    } catch (error) {
      if (!open.isEntered && this.#open.get(name) === open) this.#open.delete(name)
      throw unansweredOf(open, error)
    } finally {
      // Whoever waits may have a job now, which comes first.
      setImmediate(() => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', stop)
        rest()
        silence()
      })
    }
  }

  /** Ends runs and claims the next jobs: in the place of the claim of that name that waits, if there is one. */
  async settle({
    settlements,
    next,
  }: SettleRequest): Promise<{ verdicts: SettleVerdict[]; claims: Claim[] }> {
    if (next === undefined) return this.#runs.settle(settlements, null)
    const name = claimName(next.claimId)
    const open = this.#open.get(name)
    open?.end(TAKEN)
    try {
      const answer = await this.#runs.settle(settlements, { ...next, entry: open?.entry ?? '' })
      this.#open.delete(name)
      return answer
    } catch (error) {
      throw unansweredOf(open, error)
    }
  }

  /** Ends all waits: messages may have been lost. */
  endWaits(): void {
    for (const { end } of this.#open.values()) end(OVER)
  }

  /** Calls back when a cancel is requested of a job that this worker runs. */
  onCancel(workerId: string, listener: (lease: LeaseRef) => void): Promise<Unsubscribe> {
    return this.#channels.listen(workerChannel(this.#partition, workerName(workerId)), (message) => {
      if (!message.startsWith('cancel ')) return
      const [, jobId, lease] = message.split(' ')
      if (jobId === undefined || lease === undefined) return
      // The job may have been handed over just before, and its run begin only when the claim has resolved.
      setImmediate(() => listener({ jobId, lease }))
    })
  }

  async #claimNow(request: ClaimRequest & Partial<Wait>): Promise<Claim[]> {
    const isWanted = request.signal?.aborted !== true
    const next = isWanted ? request : { ...request, limit: 0 }
    return (await this.settle({ settlements: [], next })).claims
  }

  /** What nobody wants any more is queued again at its old place, as if it had not run. */
  async #giveBack(claims: readonly Claim[]): Promise<Claim[]> {
    const settlements = claims.map(({ jobId, lease }) => ({
      jobId,
      lease,
      outcome: { kind: 'released' } as const,
      events: [],
    }))
    if (settlements.length > 0) await this.#runs.settle(settlements, null)
    return []
  }

  async #enter(pool: Pool, open: OpenClaim): Promise<'work' | 'waiting' | 'unknown_pool'> {
    open.isEntered = true
    const askedAt = performance.now()
    const { reply } = await this.#commands.set(SCRIPTS.wait, this.#partition, [pool.id, open.entry])
    const answer = word(reply, ['work', 'waiting', 'unknown_pool'])
    if (answer === 'waiting') open.since = askedAt
    return answer
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

  /** Looks from time to time whether the store still knows of a wait and nothing was missed; ends it where that is not so. */
  #lookAfter(open: OpenClaim, keys: readonly string[], leaseMs: number): Unsubscribe {
    const everyMs = Math.min(LOOK_MS, Math.round(leaseMs * LOOK_LEASES))
    let isOver = false
    const look = async () => {
      const sentAt = performance.now()
      // Where the store is away, the claim finds out what that means.
      const there = await this.#commands.send('exists', keys).catch(() => null)
      if (isOver) return
      if (there !== AS_IT_SHOULD_BE) return open.end(OVER)
      open.since = sentAt
      timer = setTimeout(look, everyMs)
    }
    let timer = setTimeout(look, everyMs)
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }
}

/** Where a job may have been handed over, something may have changed: who makes the claim again is answered. */
function unansweredOf(open: OpenClaim | undefined, error: unknown): unknown {
  const isUncertain = open?.isEntered === true && error instanceof Unavailable
  return isUncertain ? new OutcomeUnknown(error.message, []) : error
}
