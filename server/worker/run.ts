import type { Claim } from '../engine/engine.ts'
import type { Thrown } from '../thrown.ts'
import type { Attempt } from './attempt.ts'
import type { Leased } from './lease.ts'
import { type Reporting, RunReports } from './reports.ts'

/** A claimed job in this process: what its lease, its reports and its attempt have in common. */
export class Run implements Leased, Reporting {
  readonly claim: Claim
  readonly jobId: string
  readonly lease: string
  /** On `performance.now()`: its claim, then the start of its attempt. */
  startedAt = performance.now()
  /** On `performance.now()`: when its handler was found to go on after it was told to stop. */
  overstayedAt = 0
  #reports: RunReports | null = null
  deadline: number
  /** What is done with it: an attempt, or waiting for one. None where the job is only given back. */
  attempt: Pick<Attempt<Run>, 'cancel' | 'drain' | 'release' | 'lose'> | null = null
  /** The attempt is over and its outcome on its way to the store, whose answer to it is the last word. */
  isDecided = false
  /** It is not settled, so that it counts as a stall. */
  isAbandoned = false
  /** What its handler threw, for the log. */
  thrown: Thrown | null = null

  constructor(claim: Claim, deadline: number) {
    this.claim = claim
    this.jobId = claim.jobId
    this.lease = claim.lease
    this.deadline = deadline
  }

  /** Made for the first one: most runs report nothing. */
  get reports(): RunReports {
    this.#reports ??= new RunReports()
    return this.#reports
  }

  get hasReports(): boolean {
    return this.#reports !== null
  }

  cancel(): void {
    this.attempt?.cancel()
  }

  /** A settlement that has arrived also makes the lease stale, and only its own answer tells which it was. */
  stale(): void {
    if (!this.isDecided) this.attempt?.lose()
  }

  expire(): void {
    this.stale()
  }
}
