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
import { MAX_CALL_JOBS, textOf } from '../engine.ts'
import { Unavailable } from '../errors.ts'
import { isJobId, newToken } from '../job/ids.ts'
import { decodeBorn, decodeKind, encodeFailure, encodeRunEvent } from './codec.ts'
import { asOutcomeUnknown, type Commands } from './commands.ts'
import { claimName, type Partition } from './keys.ts'
import type { Pool, Pools, Room } from './pools.ts'
import { LARGE, list, SCRIPTS, type Script, text, whole, word } from './scripts.ts'
import { AnswerLost } from './server.ts'

type Argument = string | number

/** What a script takes of some runs. */
interface Encoded {
  readonly jobIds: readonly string[]
  readonly args: readonly Argument[]
}

interface EncodedReport extends Encoded {
  readonly weight: number
}

/** A claim as the scripts take it. */
interface EncodedClaim {
  readonly args: readonly Argument[]
  readonly room: Room
  /** On `performance.now()`. */
  readonly sentAt: number
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

/** What a worker is sent with a job that is handed over (lua/lib/idle.lua). */
interface HandOver {
  /** The claim that the worker waits under, as it stands in the store. */
  readonly claim: string
  readonly claims: Claim[]
}

/** Of a call: 600 runs that report little. */
const MOST_WEIGHT = 3 * MAX_CALL_JOBS
const VERDICTS = [...JOB_STATUSES, 'stale'] as const
/** Characters that weigh as much as a job in a call, so that what goes together is not large. */
const CHARACTERS_A_JOB = LARGE / MOST_WEIGHT
/** Arguments that weigh as much as a job in a call. */
const ARGUMENTS_A_JOB = 20
/** Of a job that a claim brings: id, kind, payload, born and past (lua/lib/claims.lua). */
const CELLS_A_CLAIM = 5
/** Attempt and stalls of a job that nothing has happened to yet. */
const FRESH = [1, 0] as const

/**
 * What happens to runs: claimed, extended, reported on, settled. Each call of a worker is one of a script, since the worker has
 * put together what goes together.
 */
export class Runs {
  readonly #commands: Commands
  readonly #partition: Partition
  readonly #pools: Pools

  constructor(commands: Commands, partition: Partition, pools: Pools) {
    this.#commands = commands
    this.#partition = partition
    this.#pools = pools
  }

  async settle(
    settlements: readonly Settlement[],
    next: NextClaim | null,
  ): Promise<{ verdicts: SettleVerdict[]; claims: Claim[] }> {
    const claim = next === null ? null : this.#encodeClaim(next)
    const { jobIds, args } = encodeSettlements(settlements)
    const amount = jobIds.length
    if (amount === 0 && claim === null) return { verdicts: settlements.map(() => 'stale'), claims: [] }
    const claimArgs = claim === null ? [0] : [1, ...claim.args]
    const cells =
      amount === 0
        ? await this.#call(SCRIPTS.claim, claimArgs, jobIds)
        : await this.#call(SCRIPTS.settle, [amount, ...args, ...claimArgs], jobIds)
    const answered = amount === 0 ? [] : decodeVerdicts(text(cells[0]))
    let at = 0
    const verdicts =
      amount === settlements.length
        ? answered
        : settlements.map((run) => (leaseInStore(run) !== null && answered[at++]) || 'stale')
    if (claim === null) return { verdicts, claims: [] }
    const claims = decodeClaims(amount === 0 ? cells : cells.slice(1), claim.sentAt)
    // A store that was wiped has forgotten who runs what.
    const known = claims ?? (await this.#joinAndClaim(claim))
    return { verdicts, claims: await this.#withPayloads(known, next?.leaseMs ?? 0) }
  }

  /** In as many calls as keep each from being large. */
  async report(reports: readonly Report[]): Promise<('ok' | 'stale')[]> {
    const encoded = reports.map(encodeReport)
    const calls: EncodedReport[][] = [[]]
    let weight = 0
    for (const report of encoded) {
      if (report === null) continue
      weight += report.weight
      if (weight <= MOST_WEIGHT) calls.at(-1)?.push(report)
      else {
        calls.push([report])
        weight = report.weight
      }
    }
    const answers = await Promise.all(calls.map((call) => this.#report(call)))
    const verdicts = answers.flat()
    let at = 0
    return encoded.map((report) => (report !== null && verdicts[at++]) || 'stale')
  }

  async extend(leases: readonly LeaseRef[], leaseMs: number): Promise<ExtendVerdict[]> {
    const args: Argument[] = []
    const jobIds: string[] = []
    for (const run of leases) {
      const lease = leaseInStore(run)
      if (lease === null) continue
      jobIds.push(run.jobId)
      args.push(run.jobId, lease, leaseMs)
    }
    const cells =
      jobIds.length === 0 ? [] : await this.#call(SCRIPTS.extend, [jobIds.length, ...args], jobIds)
    let at = 0
    return leases.map((run) =>
      leaseInStore(run) === null ? 'stale' : word(cells[at++], ['held', 'cancel_requested', 'stale']),
    )
  }

  /** Makes a pool known to the store. */
  async join({ id, types }: Pool): Promise<void> {
    await this.#commands.set(SCRIPTS.join, this.#partition, [id, ...types])
  }

  #encodeClaim(request: NextClaim): EncodedClaim | null {
    if (request.types.length === 0) return null
    const limit = Math.max(0, Math.min(request.limit, MAX_CALL_JOBS))
    const room = this.#pools.room(request.workerId, request.types, limit)
    const { worker, pool, limits } = room
    const token = newToken()
    const names = [`${worker}:${claimName(request.claimId)}`, `${worker}/${token}`, pool.id, request.entry]
    const args = [...names, request.leaseMs, limit, limits.length, ...limits.flat()]
    return { args, room, sentAt: performance.now() }
  }

  async #joinAndClaim({ room, args, sentAt }: EncodedClaim): Promise<DecodedClaims> {
    await this.join(room.pool)
    const cells = await this.#call(SCRIPTS.claim, [1, ...args], [])
    return decodeClaims(cells, sentAt) ?? { claims: [], large: new Set() }
  }

  async #report(reports: readonly Encoded[]): Promise<('ok' | 'stale')[]> {
    if (reports.length === 0) return []
    const jobIds = reports.flatMap((report) => report.jobIds)
    const args = [reports.length, ...reports.flatMap((report) => report.args)]
    const cells = await this.#call(SCRIPTS.report, args, jobIds)
    return cells.map((verdict) => word(verdict, ['ok', 'stale']))
  }

  /** Sent again, these scripts change nothing more. Rejects with `Unavailable`, or `OutcomeUnknown` of these jobs. */
  async #call(
    script: Script,
    args: readonly Argument[],
    jobIds: readonly string[],
  ): Promise<readonly unknown[]> {
    try {
      const { reply } = await this.#commands.repeat((left) =>
        this.#commands.run(script, this.#partition, args, left),
      )
      return list(reply)
    } catch (error) {
      throw asOutcomeUnknown(error, jobIds)
    }
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
  return { jobIds, args }
}

function encodeReport(report: Report): EncodedReport | null {
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
      args.push('completed', textOf(outcome.result))
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
 * The reply to a claim, which may have payloads behind it (lua/lib/claims.lua); null where the store did not know the pool.
 */
function decodeClaims(cells: readonly unknown[], sentAt: number): DecodedClaims | null {
  let at = 0
  const lease = text(cells[at++])
  if (lease === 'unknown_pool') return null
  // What was claimed before, by a call without an answer or by who handed it over, says how long ago that was.
  const [claimed = '', now = claimed] = text(cells[at++]).split(' ')
  const claimedAt = whole(claimed)
  const times = { claimedAt, leasedAt: sentAt - (whole(now) - claimedAt) }
  return decodeLines(lease, times, text(cells[at++]), () => text(cells[at++]))
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
    const claim = {
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
    }
    // Not spread into it: that takes longer than all of the rest.
    claims.push(Object.assign(claim, labels))
  }
  return { claims, large }
}

/** The lease of a run as the store has it; null where it belongs to another job, so that it can only be stale. */
function leaseInStore({ jobId, lease }: LeaseRef): string | null {
  const end = lease.length - jobId.length - 1
  return end > 0 && lease[end] === '.' && lease.endsWith(jobId) && isJobId(jobId) ? lease.slice(0, end) : null
}
