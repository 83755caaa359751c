import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type { Claim, ClaimRequest, Engine, LeaseRef, NewJob, Outcome } from '../../../server/engine/engine.ts'
import { IdempotencyMismatch } from '../../../server/engine/errors.ts'
import { newJobId } from '../../../server/engine/job/ids.ts'
import { parseCursor } from '../../../shared/cursor.ts'
import { addUpTo, LONG_LEASE_MS, newJob, present } from '../harness.ts'
import { type Command, type ModelOutcome, TYPES, type TypeName } from './commands.ts'
import { type SeenClaim, type SeenEvent, SOME_TIME } from './reference.ts'

const TIMES = ['createdAt', 'scheduledFor', 'startedAt', 'completedAt', 'expiresAt']
const HOUR_MS = 3_600_000

/** An engine under test, spoken to in the model's numbers: jobs and runs are counted as they appear. */
export class Subject {
  readonly engine: Engine
  readonly #jobIds: string[] = []
  readonly #runs: LeaseRef[] = []
  #lastClaim: ClaimRequest | null = null

  constructor(engine: Engine) {
    this.engine = engine
  }

  async submit({
    type,
    count,
    priority,
    maxStalls,
    when,
  }: Extract<Command, { verb: 'submit' }>): Promise<number[]> {
    const delayMs = { now: 0, soon: 1, later: HOUR_MS }[when]
    const jobs = Array.from({ length: count }, (_, n) => {
      const payload = this.#jobIds.length + n
      return newJob({ type, payload, policy: { priority, maxStalls }, when: { delayMs } })
    })
    const receipt = await this.engine.submit({ jobs })
    expect(receipt.replayed).toBe(false)
    return receipt.jobs.map(({ jobId }) => this.#jobIds.push(jobId) - 1)
  }

  async submitOnce(key: number, body: number): Promise<{ job: number; replayed: boolean } | 'mismatch'> {
    const job: NewJob = newJob({ type: 'alpha', payload: this.#jobIds.length })
    const idempotency = { scope: 'model', key: `key-${key}`, bodyHash: `body-${body}` }
    try {
      const { jobs, replayed } = await this.engine.submit({ jobs: [job], idempotency })
      const { jobId } = present(jobs[0], 'receipt')
      return { job: replayed ? this.#jobIds.indexOf(jobId) : this.#jobIds.push(jobId) - 1, replayed }
    } catch (error) {
      if (error instanceof IdempotencyMismatch) return 'mismatch'
      throw error
    }
  }

  async claim(types: readonly TypeName[], limit: number, short: boolean): Promise<SeenClaim[]> {
    const request = claimOf(types, limit, short ? 1 : LONG_LEASE_MS)
    if (!short) this.#lastClaim = request
    return this.#seen(types, await this.engine.claim(request))
  }

  async claimAgain(): Promise<SeenClaim[]> {
    const request = present(this.#lastClaim, 'claim')
    const types = request.types.map(({ type }) => type)
    return this.#seen(types, await this.engine.claim(request))
  }

  async extend(runs: readonly number[]): Promise<string[]> {
    return this.engine.extend({ leases: runs.map((run) => this.#run(run)), leaseMs: LONG_LEASE_MS })
  }

  async report({ run, events }: Extract<Command, { verb: 'report' }>): Promise<string[]> {
    return this.engine.report([{ ...this.#run(run), events }])
  }

  async settle({ runs, events, next }: Extract<Command, { verb: 'settle' }>) {
    const settlements = runs.map(({ run, outcome }) => ({
      ...this.#run(run),
      outcome: outcomeOf(outcome),
      events,
    }))
    if (!next) return { ...(await this.engine.settle({ settlements })), claims: [] }
    const request = claimOf(TYPES, 1, LONG_LEASE_MS)
    this.#lastClaim = request
    const { verdicts, claims } = await this.engine.settle({ settlements, next: request })
    return { verdicts, claims: this.#seen(TYPES, claims) }
  }

  /** Promotes until this many were; nothing more may be due then, and something scheduled only if the model says so. */
  async promote(expected: number, scheduled: number): Promise<void> {
    await addUpTo(expected, 'promoted', async () => (await this.engine.promote({ limit: 200 })).promoted)
    const { promoted, nextInMs } = await this.engine.promote({ limit: 200 })
    expect({ promoted, waits: nextInMs !== null }).toEqual({ promoted: 0, waits: scheduled > 0 })
  }

  async rescue(expected: number): Promise<void> {
    await addUpTo(expected, 'rescued', async () => (await this.engine.rescue({ limit: 200 })).rescued)
    expect(await this.engine.rescue({ limit: 200 })).toEqual({ rescued: 0 })
  }

  async change(verb: 'cancel' | 'retry', job: number): Promise<string> {
    const answer = await this.engine[verb](this.#jobId(job))
    return answer.ok ? 'ok' : answer.reason
  }

  async remove(job: number): Promise<string> {
    return this.engine.remove(this.#jobId(job))
  }

  /** Seq and status of every job, cheaply. */
  async positions(): Promise<unknown[]> {
    const positions = await this.engine.feed.positions(this.#jobIds)
    return positions.map((position) => position && { seq: position.seq, status: position.status })
  }

  async places(): Promise<unknown[]> {
    const { places } = await this.engine.feed.places(this.#jobIds.map((jobId) => ({ jobId, type: null })))
    return places.map((place) => place && { place: place.place, paused: place.paused })
  }

  /** Every job as it is shown and replayed, without what differs from store to store. */
  async jobs(): Promise<unknown[]> {
    const reads = await this.engine.feed.read(
      this.#jobIds.map((jobId) => ({ jobId, after: null, history: true, withJob: true })),
    )
    return reads.map((read, index) => {
      if (read === null) return null
      const { jobId, cursor, ...fields } = present(read.job, 'job')
      expect(jobId).toBe(this.#jobIds[index])
      expect(parseCursor(cursor)).toEqual({ epoch: this.engine.feed.epoch, seq: read.seq })
      const events: SeenEvent[] = read.events.map(({ seq, kind, data }) => ({
        seq,
        kind,
        data: kind === 'status' ? anonymous(data) : data,
      }))
      return { fields: anonymous(fields), seq: read.seq, events }
    })
  }

  #jobId(index: number): string {
    return this.#jobIds[index] ?? newJobId()
  }

  #run(index: number): LeaseRef {
    return this.#runs[index] ?? { jobId: this.#jobIds[0] ?? newJobId(), lease: 'never given out' }
  }

  /** Claims by type in the order that was asked for, since how types take turns is not the model's business. */
  #seen(types: readonly string[], claims: readonly Claim[]): SeenClaim[] {
    return types.flatMap((type) =>
      claims
        .filter((claim) => claim.type === type)
        .map(({ jobId, lease, attempt, stalls, waitMs }) => {
          const known = this.#runs.findIndex((run) => run.lease === lease)
          const run = known === -1 ? this.#runs.push({ jobId, lease }) - 1 : known
          return { job: this.#jobIds.indexOf(jobId), run, attempt, stalls, waited: waitMs !== null }
        }),
    )
  }
}

function claimOf(types: readonly TypeName[], limit: number, leaseMs: number): ClaimRequest {
  return {
    claimId: randomUUID(),
    workerId: 'model',
    limit: limit * types.length,
    types: types.map((type) => ({ type, limit })),
    leaseMs,
  }
}

function outcomeOf(outcome: ModelOutcome): Outcome {
  const failure = { error: 'broken', errorCode: 'handler_error' } as const
  if (outcome.kind === 'failed') return { kind: 'failed', ...failure }
  if (outcome.kind === 'retry' || outcome.kind === 'later') {
    const delayMs = outcome.when === 'soon' ? 1 : HOUR_MS
    return outcome.kind === 'later' ? { kind: 'later', delayMs } : { kind: 'retry', ...failure, delayMs }
  }
  return outcome
}

function anonymous(data: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      TIMES.includes(key) && value !== null ? SOME_TIME : value,
    ]),
  )
}
