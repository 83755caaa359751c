import type { JobEvent } from '../../../shared/event.ts'
import type { Job } from '../../../shared/job.ts'
import { isTerminal, type JobStatus, mayTransition } from '../../../shared/status.ts'
import type { RunNote } from './runs.ts'

/** An accepted job as it is when all is over; null where it is lost. */
export type Outcome = { readonly job: Job; readonly history: readonly JobEvent[] } | null

/** The statuses that a job took, oldest first. */
function statusesOf(history: readonly JobEvent[]): JobStatus[] {
  return history.flatMap((event) =>
    event.kind === 'status' && event.data.status !== undefined ? [event.data.status] : [],
  )
}

/**
 * Whether more than one end of the job, or more than one end of a run, was accepted (I1, I3): every status must follow
 * from the one before it, so that each run is settled once at most and nothing follows the last.
 */
export function isDoubled(history: readonly JobEvent[]): boolean {
  const statuses = statusesOf(history)
  if (statuses.filter(isTerminal).length > 1) return true
  return statuses.some((status, index) => !mayTransition(statuses[index - 1] ?? null, status))
}

/**
 * What of I1 and I3 does not hold for one job, given what its runs wrote down; null where the store may have forgotten
 * some of them.
 */
export function breachesOfJob(outcome: Outcome, runs: readonly RunNote[] | null): string[] {
  if (outcome === null) return ['is lost']
  const { job, history } = outcome
  const breaches: string[] = []
  if (!isTerminal(job.status)) breaches.push(`is ${job.status}`)
  if (isDoubled(history)) breaches.push(`was settled twice: ${statusesOf(history).join(', ')}`)
  if (runs === null) return breaches
  const begun = runs.filter(({ what }) => what === 'begun')
  const claims = statusesOf(history).filter((status) => status === 'processing').length
  if (begun.length > claims) breaches.push(`began ${begun.length} times after ${claims} claims`)
  const made = (job.result as { run?: string } | null)?.run
  // Whoever begins later holds the lease: what an earlier run returns is stale.
  if (made !== undefined && made !== begun.at(-1)?.run) breaches.push('ended with the result of a stale run')
  return breaches
}

/** What of I7 does not hold, given what a process wrote to standard error. */
export function breachesOfLog(stderr: string, expected: readonly RegExp[]): string[] {
  const failures = stderr
    .split('\n')
    .filter((line) => line !== '' && (!line.startsWith('{') || line.includes('"msg":"failure"')))
  return failures.filter((line) => !expected.some((pattern) => pattern.test(line)))
}
