import type { Job } from '../../../shared/job.ts'
import type {
  Change,
  Claim,
  ClaimRequest,
  Engine,
  ExtendVerdict,
  JobPage,
  LeaseRef,
  ListQuery,
  Presence,
  Report,
  Scheduled,
  SettleRequest,
  SettleVerdict,
  SubmitReceipt,
  SubmitRequest,
  TypeRegistration,
  TypeState,
  Unsubscribe,
  Upcoming,
  Wait,
} from '../engine.ts'
import { MAX_CALL_JOBS } from '../engine.ts'
import { Unavailable } from '../errors.ts'
import { isJobId } from '../job/ids.ts'
import { NewerWords } from '../job/newer-words.ts'
import { Channels } from './channels.ts'
import { Claims } from './claims.ts'
import { JobHash } from './codec.ts'
import { Bulk, Commands } from './commands.ts'
import { Connection } from './connection.ts'
import { RedisFeed } from './feed.ts'
import { dueChannel, Keyspace } from './keys.ts'
import { Schedule } from './messages.ts'
import { Pools } from './pools.ts'
import { Registry } from './registry.ts'
import { Runs } from './runs.ts'
import { list, SCRIPTS, type Script, text, whole, word } from './scripts.ts'
import { objectionToEviction, parseInfo, parseRedisAddress, type RedisAccess, warningsOf } from './server.ts'
import { Submitter } from './submit.ts'

export interface RedisEngineOptions {
  /** `redis://` or `redis+sentinel://`, with user, password and database where needed (server.ts). */
  readonly url: string
  /** All keys and channels begin with it, so that several can share one Redis. */
  readonly prefix: string
  /** What these two are called where they were set; left out: as the variables of the environment are. */
  readonly names?: RedisAccess['names']
  /** Whether the connections let the process end while they owe no answer; left out: they do not. */
  readonly isBackground?: boolean
  /** Redis can no longer be used; once, until it can again. */
  readonly onDown?: (reason: string) => void
  /** Redis can be used (again); the epoch tells whether it is the same one, the warnings what is at risk with it. */
  readonly onUp?: (epoch: string, warnings: readonly string[]) => void
  /** Redis holds a word that only a newer version knows; once a word. */
  readonly onNewer?: (what: string) => void
}

const VARIABLES = { redis: 'REDIS_URL', prefix: 'JOBCAST_PREFIX' } as const

/** How long `start` waits for Redis to come up. */
const START_MS = 5000
/** Jobs that are looked at in one call after a script came to no end, which takes some ms, and for how long at a time. */
const MEND_JOBS = 1000
const MEND_MS = 300

/**
 * The engine on Redis 6.2 or newer, for any number of processes. Every verb is one script call (lua/), which makes a
 * transition and its event one atomic write; calls of one tick go together. Two connections: one for commands, one for
 * published messages.
 */
export function createRedisEngine(options: RedisEngineOptions): Engine {
  return new RedisEngine(options)
}

class RedisEngine implements Engine {
  readonly kind = 'redis'
  readonly feed: RedisFeed
  readonly #connection: Connection
  readonly #bulk: Bulk
  readonly #channels: Channels
  readonly #commands: Commands
  readonly #keys: Keyspace
  readonly #names: RedisAccess['names']
  readonly #pools = new Pools()
  readonly #submitter: Submitter
  readonly #runs: Runs
  readonly #claims: Claims
  readonly #registry: Registry
  readonly #schedule = new Schedule()
  readonly #newer: NewerWords
  /** It is that of the last connection; before the first one, an epoch that no cursor has. */
  #epoch = ''

  constructor({ url, prefix, names = VARIABLES, isBackground = false, ...hooks }: RedisEngineOptions) {
    const { onDown, onUp, onNewer } = hooks
    const parsed = parseRedisAddress(url)
    if (parsed === null) throw new TypeError('the address of Redis cannot be used')
    const address: RedisAccess = { ...parsed, names, isBackground }
    this.#names = names
    this.#keys = new Keyspace(prefix)
    const { prefix: home } = this.#keys.home
    const markKeys = { epoch: `${home}epoch`, format: `${home}format` }
    this.#connection = new Connection({
      address,
      name: 'commands',
      markKeys,
      onReady: ({ epoch, warnings }) => {
        const changed = this.#epoch !== '' && this.#epoch !== epoch
        this.#epoch = epoch
        onUp?.(epoch, warnings)
        if (!changed) return
        // Who waits is forgotten as well.
        this.#claims.endWaits()
        this.feed.reset()
      },
      onLost: (reason) => {
        this.#bulk.close()
        onDown?.(reason)
      },
    })
    this.#bulk = new Bulk({ address, markKeys, commands: this.#connection })
    this.#channels = new Channels({
      address,
      onReset: () => {
        this.#claims.endWaits()
        this.feed.reset()
      },
    })
    this.#commands = new Commands(this.#connection, this.#bulk)
    const epoch = () => this.#epoch
    this.#newer = new NewerWords(onNewer)
    this.feed = new RedisFeed(this.#commands, this.#channels, this.#keys, this.#newer, epoch)
    this.#submitter = new Submitter(this.#commands, this.#keys, epoch)
    const [partition] = this.#keys.every
    this.#runs = new Runs(this.#commands, partition, this.#pools)
    this.#claims = new Claims({
      commands: this.#commands,
      channels: this.#channels,
      partition,
      pools: this.#pools,
      runs: this.#runs,
    })
    this.#registry = new Registry(this.#commands, this.#keys)
  }

  async start(): Promise<void> {
    this.#connection.open()
    this.#channels.open()
    try {
      await this.#connection.whenReady(START_MS)
      await this.#channels.whenReady(START_MS)
      const [partition] = this.#keys.every
      await this.#channels.listen(dueChannel(partition), (message) => this.#schedule.heard(message))
    } catch (error) {
      await this.stop()
      if (!(error instanceof Unavailable) || this.#connection.isHopeless) throw error
      throw new Unavailable(`${error.message}: start Redis, or correct ${this.#names.redis}`)
    }
  }

  async stop(): Promise<void> {
    this.#claims.endWaits()
    this.feed.stop()
    this.#connection.close()
    this.#bulk.close()
    this.#channels.close()
  }

  async check(): Promise<readonly string[]> {
    const fields = parseInfo(text(await this.#commands.send('info', [])))
    const objection = objectionToEviction(fields)
    if (objection !== null) throw new Unavailable(`Redis ${objection}`)
    const name = `${this.#keys.home.prefix}check`
    await this.#commands.send('set', [name, '1', 'px', 1000])
    // Scripts go on where they may not publish: nobody else would say why everything comes late.
    await this.#commands.send('publish', [name, ''])
    return warningsOf(fields)
  }

  async submit(request: SubmitRequest): Promise<SubmitReceipt> {
    const receipt = await this.#submitter.submit(request)
    this.#schedule.submitted(request.jobs, receipt)
    return receipt
  }

  get(jobId: string): Promise<Job | null> {
    return this.feed.get(jobId)
  }

  list(query: ListQuery): Promise<JobPage> {
    return this.feed.list(query)
  }

  claim(request: ClaimRequest & Partial<Wait>): Promise<Claim[]> {
    return this.#claims.claim(request)
  }

  extend({ leases, leaseMs }: { leases: readonly LeaseRef[]; leaseMs: number }): Promise<ExtendVerdict[]> {
    return this.#runs.extend(leases, leaseMs)
  }

  report(reports: readonly Report[]): Promise<('ok' | 'stale')[]> {
    return this.#runs.report(reports)
  }

  async settle(request: SettleRequest): Promise<{ verdicts: SettleVerdict[]; claims: Claim[] }> {
    const answer = await this.#claims.settle(request)
    this.#schedule.settled(request.settlements, answer.verdicts)
    return answer
  }

  cancel(jobId: string): Promise<Change<'not_found' | 'already_finished'>> {
    return this.#changeJob(SCRIPTS.cancel, jobId, 'already_finished')
  }

  retry(jobId: string): Promise<Change<'not_found' | 'not_retryable'>> {
    return this.#changeJob(SCRIPTS.retry, jobId, 'not_retryable')
  }

  async remove(jobId: string): Promise<'removed' | 'not_found' | 'not_finished'> {
    if (!isJobId(jobId)) return 'not_found'
    const partition = this.#keys.ofJob(jobId)
    const { reply } = await this.#commands.change(SCRIPTS.remove, partition, [jobId], [jobId])
    return word(reply, ['removed', 'not_found', 'not_finished'])
  }

  async promote({ limit }: { limit: number }): Promise<{ promoted: number; nextInMs: number | null }> {
    const [promoted, next] = list(await this.#keepUp(SCRIPTS.promote, limit))
    return { promoted: whole(promoted), nextInMs: next === '' ? null : whole(next) }
  }

  async rescue({ limit }: { limit: number }): Promise<{ rescued: number }> {
    const [rescued, state] = list(await this.#keepUp(SCRIPTS.rescue, limit))
    if (word(state, ['whole', 'broken']) === 'broken') await this.#mend()
    return { rescued: whole(rescued) }
  }

  async prune({ limit }: { limit: number }): Promise<{ pruned: number }> {
    return { pruned: whole(await this.#keepUp(SCRIPTS.prune, limit)) }
  }

  async upcoming(): Promise<Upcoming> {
    const [partition] = this.#keys.every
    const { reply, epoch } = await this.#commands.read(SCRIPTS.upcoming, partition, [])
    const [promote, rescue, prune, marks] = list(reply)
    this.#connection.noteMarks({ reply: marks, epoch })
    const inMs = (cell: unknown) => (cell === '' ? null : whole(cell))
    return { promoteInMs: inMs(promote), rescueInMs: inMs(rescue), pruneInMs: inMs(prune) }
  }

  onScheduled(listener: (scheduled: Scheduled) => void): Unsubscribe {
    return this.#schedule.listen(listener)
  }

  types(): Promise<TypeState[]> {
    return this.#registry.types()
  }

  hasQueued(): Promise<boolean> {
    return this.#registry.hasQueued()
  }

  registerTypes(types: readonly TypeRegistration[]): Promise<void> {
    return this.#registry.registerTypes(types)
  }

  pause(type: string): Promise<void> {
    return this.#registry.pause(type)
  }

  resume(type: string): Promise<void> {
    return this.#registry.resume(type)
  }

  announce(presence: Presence & { ttlMs: number }): Promise<void> {
    return this.#registry.announce(presence)
  }

  withdraw(id: string): Promise<void> {
    return this.#registry.withdraw(id)
  }

  presences(): Promise<Presence[]> {
    return this.#registry.presences()
  }

  onCancel(workerId: string, listener: (lease: LeaseRef) => void): Promise<Unsubscribe> {
    return this.#claims.onCancel(workerId, listener)
  }

  secret(name: string, candidate: string): Promise<string> {
    return this.#registry.secret(name, candidate)
  }

  /** Some jobs a call, so that nobody waits long; what is left is for the next time. */
  async #mend(): Promise<void> {
    const [partition] = this.#keys.every
    const end = performance.now() + MEND_MS
    for (let isWhole = false; !isWhole && performance.now() < end; ) {
      const { reply } = await this.#commands.set(SCRIPTS.mend, partition, [MEND_JOBS])
      isWhole = word(reply, ['whole', 'more']) === 'whole'
    }
  }

  async #changeJob<Refusal extends string>(
    script: Script,
    jobId: string,
    refusal: Refusal,
  ): Promise<Change<Refusal | 'not_found'>> {
    if (!isJobId(jobId)) return { ok: false, reason: 'not_found' }
    const partition = this.#keys.ofJob(jobId)
    const { reply, epoch } = await this.#commands.change(script, partition, [jobId], [jobId])
    const [tag, row] = list(reply)
    if (tag === 'ok') return { ok: true, job: new JobHash(row, this.#newer).job(jobId, epoch) }
    return { ok: false, reason: word(tag, ['not_found', refusal]) }
  }

  /** What keeps the store going finds everything as it left it when it is done twice. */
  async #keepUp(script: Script, limit: number): Promise<unknown> {
    const [partition] = this.#keys.every
    const { reply } = await this.#commands.set(script, partition, [Math.min(limit, MAX_CALL_JOBS)])
    return reply
  }
}
