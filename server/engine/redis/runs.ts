import { JOB_STATUSES } from '../../../shared/status.ts'
import type {
  Claim,
  ClaimRequest,
  ExtendVerdict,
  LeaseRef,
  Report,
  RunEvent,
  Settlement,
  SettleVerdict,
} from '../engine.ts'
import { MAX_CALL_JOBS } from '../engine.ts'
import { Unavailable } from '../errors.ts'
import { isJobId, newToken } from '../job/ids.ts'
import { Batcher } from './batcher.ts'
import { LARGE } from './bulk.ts'
import { decodeBorn, encodeFailure, encodeRunEvent } from './codec.ts'
import { asOutcomeUnknown, type Commands } from './commands.ts'
import { ANSWER_MS, AnswerLost } from './connection.ts'
import { claimName, type Keyspace, type Partition } from './keys.ts'
import { decodeKind } from './kind.ts'
import type { Pool, Pools, Room } from './pools.ts'
import { list, text, whole, word } from './reply.ts'
import { SCRIPTS } from './scripts.ts'

type Argument = string | number

/** What a script takes of some runs. */
interface Encoded {
  readonly jobIds: readonly string[]
  readonly args: readonly Argument[]
  readonly weight: number
}

/** Part of a call of the settle script: runs that end, and a claim of the next. */
interface Exchange extends Encoded {
  readonly claim: {
    readonly args: readonly Argument[]
    readonly limit: number
    readonly room: Room
    /** On `performance.now()`. */
    readonly sentAt: number
  } | null
}

/** A claim to be made, in the place of one that waits. */
interface NextClaim extends ClaimRequest {
  /** Under which the other stands among the idle; '' where there is none. */
  readonly entry: string
}

interface DecodedClaims {
  readonly claims: Claim[]
  /** Of these jobs the payload, null here, is too large for the reply and has to be read. */
  readonly large: ReadonlySet<string>
}

/** What a worker is sent with a job that is handed over (lua/lib/hand_over.lua). */
interface HandOver {
  /** The claim that the worker waits under, as it stands in the store. */
  readonly claim: string
  readonly claims: Claim[]
}

interface ExchangeResult {
  readonly verdicts: SettleVerdict[]
  /** Null where the store did not know the pool. */
  readonly claims: DecodedClaims | null
}

interface Extension extends LeaseRef {
  readonly leaseMs: number
}

/** Of a call: 200 runs that end with little to say, and as many claims. */
const MOST_WEIGHT = 3 * MAX_CALL_JOBS
const NO_CLAIMS: DecodedClaims = { claims: [], large: new Set() }
const VERDICTS = [...JOB_STATUSES, 'stale'] as const
/** Characters that weigh as much as a job in a call, so that what goes together is not large. */
const CHARACTERS_A_JOB = LARGE / MOST_WEIGHT
/** Arguments that weigh as much as a job in a call. */
const ARGUMENTS_A_JOB = 20
/** Of a job that a claim brings: id, kind, payload, born and past (lua/lib/claims.lua). */
const CELLS_A_CLAIM = 5
/** Attempt and stalls of a job that nothing has happened to yet. */
const FRESH = [1, 0] as const

/** What happens to runs: claimed, extended, reported on, settled. */
export class Runs {
  readonly #commands: Commands
  readonly #partition: Partition
  readonly #pools: Pools
  readonly #exchanges: Batcher<Exchange, ExchangeResult>
  readonly #reports: Batcher<Encoded, 'ok' | 'stale'>
  readonly #extensions: Batcher<Extension, ExtendVerdict>

  constructor(commands: Commands, keys: Keyspace, pools: Pools) {
    this.#commands = commands
    this.#partition = keys.home
    this.#pools = pools
    const common = { deadlineMs: ANSWER_MS, maxWeight: MOST_WEIGHT }
    this.#exchanges = new Batcher({
      ...common,
      send: (exchanges, deadlineMs) => this.#exchange(exchanges, deadlineMs),
      weigh: ({ weight, claim }) => weight + (claim?.limit ?? 0),
      explain: (error, { jobIds }) => asOutcomeUnknown(error, jobIds),
    })
    this.#reports = new Batcher({
      ...common,
      send: (reports, deadlineMs) => this.#report(reports, deadlineMs),
      weigh: ({ weight }) => weight,
      explain: (error, { jobIds }) => asOutcomeUnknown(error, jobIds),
    })
    this.#extensions = new Batcher({
      ...common,
      send: (extensions, deadlineMs) => this.#extend(extensions, deadlineMs),
      weigh: () => 1,
      explain: (error, extension) => asOutcomeUnknown(error, [extension.jobId]),
    })
  }

  async settle(
    settlements: readonly Settlement[],
    next: NextClaim | null,
  ): Promise<{ verdicts: SettleVerdict[]; claims: Claim[] }> {
    const claim = next === null ? null : this.#encodeClaim(next)
    const encoded = encodeSettlements(settlements)
    const amount = encoded.jobIds.length
    if (amount === 0 && claim === null) return { verdicts: settlements.map(() => 'stale'), claims: [] }
    const result = await this.#exchangeAll({ ...encoded, claim })
    let answered = 0
    const verdicts =
      amount === settlements.length
        ? result.verdicts
        : settlements.map((run) => (leaseInStore(run) !== null && result.verdicts[answered++]) || 'stale')
    if (claim === null) return { verdicts, claims: [] }
    // A store that was wiped has forgotten who runs what.
    const claims = result.claims ?? (await this.#joinAndClaim(claim))
    return { verdicts, claims: await this.#withPayloads(claims, next?.leaseMs ?? 0) }
  }

  async report(reports: readonly Report[]): Promise<('ok' | 'stale')[]> {
    return Promise.all(
      reports.map((report) => {
        const encoded = encodeReport(report)
        return encoded === null ? 'stale' : this.#reportAll(encoded)
      }),
    )
  }

  async extend(leases: readonly LeaseRef[], leaseMs: number): Promise<ExtendVerdict[]> {
    return Promise.all(
      leases.map((run) => {
        const lease = leaseInStore(run)
        return lease === null ? 'stale' : this.#extensions.add({ jobId: run.jobId, lease, leaseMs })
      }),
    )
  }

  /** Makes a pool known to the store. */
  async join({ id, types }: Pool): Promise<void> {
    await this.#commands.set(SCRIPTS.join, this.#partition, [id, ...types])
  }

  #encodeClaim(request: NextClaim): Exchange['claim'] {
    if (request.types.length === 0) return null
    const limit = Math.max(0, Math.min(request.limit, MAX_CALL_JOBS))
    const room = this.#pools.room(request.workerId, request.types, limit)
    const { worker, pool, limits } = room
    const token = newToken()
    const names = [`${worker}:${claimName(request.claimId)}`, `${worker}/${token}`, pool.id, request.entry]
    const args = [...names, request.leaseMs, limit, limits.length, ...limits.flat()]
    return { args, limit, room, sentAt: performance.now() }
  }

  /** What is large takes its time, and no other waits for it. */
  async #exchangeAll(exchange: Exchange): Promise<ExchangeResult> {
    return exchange.weight <= MOST_WEIGHT
      ? this.#exchanges.add(exchange)
      : this.#alone(exchange, (one) => this.#exchange(one, ANSWER_MS))
  }

  async #reportAll(report: Encoded): Promise<'ok' | 'stale'> {
    return report.weight <= MOST_WEIGHT
      ? this.#reports.add(report)
      : this.#alone(report, (one) => this.#report(one, ANSWER_MS))
  }

  async #alone<Item extends Encoded, Result>(
    item: Item,
    send: (items: readonly Item[]) => Promise<Result[]>,
  ): Promise<Result> {
    try {
      const [result] = await send([item])
      if (result === undefined) throw new TypeError('there is no result')
      return result
    } catch (error) {
      throw asOutcomeUnknown(error, item.jobIds)
    }
  }

  async #joinAndClaim(claim: NonNullable<Exchange['claim']>): Promise<DecodedClaims> {
    await this.join(claim.room.pool)
    return (await this.#exchanges.add({ ...encodeSettlements([]), claim })).claims ?? NO_CLAIMS
  }

  async #exchange(exchanges: readonly Exchange[], deadlineMs: number): Promise<ExchangeResult[]> {
    const amount = exchanges.reduce((sum, { jobIds }) => sum + jobIds.length, 0)
    const claims = exchanges.flatMap(({ claim }) => (claim === null ? [] : [claim]))
    const claimArgs = [claims.length, ...claims.flatMap((claim) => claim.args)]
    const settles = amount > 0
    const script = settles ? SCRIPTS.settle : SCRIPTS.claim
    const args = settles
      ? [amount, ...exchanges.flatMap((exchange) => exchange.args), ...claimArgs]
      : claimArgs
    const { reply } = await this.#commands.repeat(
      (left) => this.#commands.run(script, this.#partition, args, left),
      deadlineMs,
    )
    const cells = list(reply)
    const verdicts = settles ? decodeVerdicts(text(cells[0])) : []
    const allClaims = decodeClaims(settles ? cells.slice(1) : cells, claims)
    let firstVerdict = 0
    let nextClaim = 0
    return exchanges.map(({ jobIds, claim }) => {
      const from = firstVerdict
      firstVerdict += jobIds.length
      const answered = claim === null ? NO_CLAIMS : (allClaims[nextClaim++] ?? null)
      return { verdicts: verdicts.slice(from, firstVerdict), claims: answered }
    })
  }

  /**
   * Reads the payloads that the script left out; a job that is gone meanwhile is left out as well. Over a slow network that
   * may take longer than a lease, of which nobody else knows yet: all of them are kept meanwhile.
   */
  async #withPayloads({ claims, large }: DecodedClaims, leaseMs: number): Promise<Claim[]> {
    if (large.size === 0) return claims
    const leasedAt = new Map<string, number>()
    const keep = async () => {
      const askedAt = performance.now()
      const verdicts = await this.extend(claims, leaseMs).catch(() => [])
      for (const [index, { jobId }] of claims.entries()) {
        if (verdicts[index] !== undefined && verdicts[index] !== 'stale') leasedAt.set(jobId, askedAt)
      }
    }
    const timer = setInterval(() => void keep(), leaseMs / 3)
    const read = async (claim: Claim): Promise<Claim | null> => {
      if (!large.has(claim.jobId)) return claim
      const reply = await this.#commands.getLarge(`${this.#partition.prefix}payload:${claim.jobId}`)
      return reply === null ? null : { ...claim, payload: JSON.parse(text(reply)) }
    }
    try {
      const whole = await Promise.all(claims.map(read))
      return whole.flatMap((claim) => {
        if (claim === null) return []
        const keptAt = leasedAt.get(claim.jobId)
        return [keptAt === undefined ? claim : { ...claim, leasedAt: keptAt }]
      })
    } catch (error) {
      // What was settled and claimed is: the same call again finds it so.
      const uncertain = error instanceof Unavailable ? new AnswerLost(error.message) : error
      const jobIds = claims.map(({ jobId }) => jobId)
      throw asOutcomeUnknown(uncertain, jobIds)
    } finally {
      clearInterval(timer)
    }
  }

  async #report(reports: readonly Encoded[], deadlineMs: number): Promise<('ok' | 'stale')[]> {
    const args = [reports.length, ...reports.flatMap((report) => report.args)]
    const { reply } = await this.#commands.repeat(
      (left) => this.#commands.run(SCRIPTS.report, this.#partition, args, left),
      deadlineMs,
    )
    return list(reply).map((verdict) => word(verdict, ['ok', 'stale']))
  }

  async #extend(extensions: readonly Extension[], deadlineMs: number): Promise<ExtendVerdict[]> {
    const args = [
      extensions.length,
      ...extensions.flatMap(({ jobId, lease, leaseMs }) => [jobId, lease, leaseMs]),
    ]
    const { reply } = await this.#commands.repeat(
      (left) => this.#commands.run(SCRIPTS.extend, this.#partition, args, left),
      deadlineMs,
    )
    return list(reply).map((verdict) => word(verdict, ['held', 'cancel_requested', 'stale']))
  }
}

/** Of those whose lease is one of the job's. Several in a row under one lease name it once. */
function encodeSettlements(settlements: readonly Settlement[]): Encoded {
  const args: Argument[] = []
  const jobIds: string[] = []
  let lastLease = ''
  for (const settlement of settlements) {
    const lease = leaseInStore(settlement)
    if (lease === null) continue
    jobIds.push(settlement.jobId)
    args.push(settlement.jobId, lease === lastLease ? '' : lease)
    addOutcome(settlement, args)
    lastLease = lease
  }
  return { jobIds, args, weight: weigh(jobIds.length, args) }
}

function encodeReport(report: Report): Encoded | null {
  const lease = leaseInStore(report)
  if (lease === null) return null
  const args: Argument[] = [report.jobId, lease]
  addEvents(report.events, args)
  return { jobIds: [report.jobId], args, weight: weigh(1, args) }
}

function weigh(runs: number, args: readonly Argument[]): number {
  let characters = 0
  for (const argument of args) if (typeof argument === 'string') characters += argument.length
  return runs + args.length / ARGUMENTS_A_JOB + characters / CHARACTERS_A_JOB
}

function addOutcome({ outcome, events }: Settlement, args: Argument[]): void {
  if (events.length > 0) {
    args.push('reported')
    addEvents(events, args)
  }
  switch (outcome.kind) {
    case 'completed':
      args.push('completed', JSON.stringify(outcome.result))
      break
    case 'failed':
      args.push('failed', encodeFailure(outcome.error, outcome.errorCode))
      break
    case 'retry':
      args.push('rescheduled', encodeFailure(outcome.error, outcome.errorCode), outcome.delayMs)
      break
    case 'later':
      args.push(outcome.kind, outcome.delayMs)
      break
    case 'cancelled':
    case 'released':
      args.push(outcome.kind)
  }
}

function addEvents(events: readonly RunEvent[], args: Argument[]): void {
  args.push(events.length)
  for (const event of events) args.push(event.n ?? 0, ...encodeRunEvent(event))
}

function decodeVerdicts(reply: string): SettleVerdict[] {
  return reply.split(' ').map((verdict) => word(verdict, VERDICTS))
}

/**
 * The replies to the claims of a call, each of which may have payloads behind it (lua/lib/claims.lua); null where the store
 * did not know the pool.
 */
function decodeClaims(
  cells: readonly unknown[],
  sent: readonly { readonly sentAt: number }[],
): (DecodedClaims | null)[] {
  let at = 0
  return sent.map(({ sentAt }) => {
    const lease = text(cells[at++])
    if (lease === 'unknown_pool') return null
    // What was claimed before, by a call without an answer or by who handed it over, says how long ago that was.
    const [claimed = '', now = claimed] = text(cells[at++]).split(' ')
    const claimedAt = whole(claimed)
    const times = { claimedAt, leasedAt: sentAt - (whole(now) - claimedAt) }
    return decodeLines(lease, times, text(cells[at++]), () => text(cells[at++]))
  })
}

/** Null for another message. `since`: on `performance.now()`, nothing was handed over before. */
export function decodeHandOver(message: string, worker: string, since: number): HandOver | null {
  if (!message.startsWith('run ')) return null
  const end = message.indexOf('\n')
  const [, claim = '', token = '', now] = message.slice(0, end).split(' ')
  const times = { claimedAt: whole(now), leasedAt: since }
  const { claims } = decodeLines(`${worker}/${token}`, times, message.slice(end + 1), () => '')
  return { claim, claims }
}

/** `claimedAt`: on the store's clock; `leasedAt`: on `performance.now()`. */
function decodeLines(
  lease: string,
  { claimedAt, leasedAt }: { readonly claimedAt: number; readonly leasedAt: number },
  lines: string,
  nextPayload: () => string,
): DecodedClaims {
  const claims: Claim[] = []
  const large = new Set<string>()
  const cells = lines === '' ? [] : lines.split('\n')
  for (let at = 0; at < cells.length; at += CELLS_A_CLAIM) {
    const jobId = cells[at] ?? ''
    const { type, policy } = decodeKind(cells[at + 1] ?? '')
    const payload = cells[at + 2] || nextPayload()
    if (payload === '') large.add(jobId)
    const { created, labels } = decodeBorn(cells[at + 3] ?? '')
    const past = cells[at + 4] ?? ''
    const [attempt, stalls] = past === '' ? FRESH : past.split(' ').map(Number)
    claims.push({
      ...labels,
      jobId,
      // In the store the jobs of a claim share one text, `<worker>/<token>`, that is made once for all, and a job's state
      // names it. What stands behind keeps the runs of a claim apart.
      lease: `${lease}.${jobId}`,
      type,
      payload: payload === '' ? null : JSON.parse(payload),
      policy,
      attempt: attempt ?? 1,
      stalls: stalls ?? 0,
      waitMs: past === '' ? claimedAt - Number(created) : null,
      leasedAt,
    })
  }
  return { claims, large }
}

/** The lease of a run as the store has it; null where it belongs to another job, so that it can only be stale. */
function leaseInStore({ jobId, lease }: LeaseRef): string | null {
  const end = lease.length - jobId.length - 1
  return end > 0 && lease[end] === '.' && lease.endsWith(jobId) && isJobId(jobId) ? lease.slice(0, end) : null
}
