import { setTimeout as pause } from 'node:timers/promises'
import { BatchAnswer, SubmitAnswer } from '../../../shared/api.ts'
import { type Answer, call, NoAnswer } from './http.ts'
import type { Node } from './node.ts'

export interface Refusal {
  readonly status: number
  readonly code: string
  readonly ms: number
}

export interface Submission {
  readonly type: string
  readonly payload?: unknown
  readonly options?: Readonly<Record<string, unknown>>
}

/** By then it is known here that a process has ended. */
const ENDING_MS = 1000

/** Every submission of an experiment and what was answered: what the server has promised. */
export class Ledger {
  /** Ids that were answered with 202. */
  readonly accepted: string[] = []
  /** When, on `performance.now()`. */
  readonly acceptedAt = new Map<string, number>()
  /** Ids of which it is not known whether they were stored. */
  readonly unknown = new Set<string>()
  /** Submissions that were cut off with the process that was asked: each may have stored a job. */
  unanswered = 0
  readonly refusals: Refusal[] = []
  /** Answers that no fault excuses. */
  readonly breaches: string[] = []

  /** The id where it was accepted, null where it was refused, or the process that was asked has died. */
  async submit(node: Node, submission: Submission, longestMs?: number): Promise<string | null> {
    const { exited } = node
    let answer: Answer
    try {
      const body = { payload: {}, ...submission }
      answer = await call(`${node.url}/api/jobs`, 'POST', { body, ...(longestMs && { longestMs }) })
    } catch (error) {
      // A process that is gone answers nothing; one that lives does.
      const hasDied =
        !node.isAlive || (await Promise.race([exited.then(() => true), pause(ENDING_MS, false)]))
      if (error instanceof NoAnswer || !hasDied) this.breaches.push(`submit: ${String(error)}`)
      this.unanswered += 1
      return null
    }
    if (answer.status === 202) {
      const { jobId } = SubmitAnswer.parse(answer.body)
      this.accept(jobId)
      return jobId
    }
    this.#refused(answer)
    return null
  }

  /** All in one call; rejects where it is not accepted. */
  async submitBatch(node: Node, count: number, submission: Submission): Promise<string[]> {
    const jobs = Array.from({ length: count }, () => ({ payload: {}, ...submission }))
    const { status, body } = await call(`${node.url}/api/jobs/batch`, 'POST', { body: { jobs } })
    if (status !== 202) throw new Error(`batch: ${status} ${JSON.stringify(body)}`)
    const jobIds = BatchAnswer.parse(body).jobs.map(({ jobId }) => jobId)
    for (const jobId of jobIds) this.accept(jobId)
    return jobIds
  }

  accept(jobId: string): void {
    this.accepted.push(jobId)
    this.acceptedAt.set(jobId, performance.now())
  }

  #refused({ status, headers, body, ms }: Answer): void {
    const { code = '', jobId } = (body ?? {}) as { code?: string; jobId?: string }
    this.refusals.push({ status, code, ms })
    if (jobId !== undefined) this.unknown.add(jobId)
    const isProblem = String(headers['content-type']).startsWith('application/problem+json')
    const isWhole = code === 'unavailable' || (code === 'outcome_unknown' && jobId !== undefined)
    if (status !== 503 || !isProblem || !isWhole || headers['retry-after'] === undefined) {
      this.breaches.push(`submit: refused with ${status} ${JSON.stringify(body)}`)
    }
  }
}
