import type { LeaseRef } from '../engine.ts'
import { isJobId } from '../job/ids.ts'

/**
 * What a run holds is `<lease of its claim>.<job>`: in the store the jobs of a claim share one text, `<worker>/<token>`, that
 * is made once for all, and a job's state names it. What stands behind keeps the runs of a claim apart.
 */
export function leaseOfRun(claimLease: string, jobId: string): string {
  return `${claimLease}.${jobId}`
}

/** The lease of a run as the store has it; null where it belongs to another job, so that it can only be stale. */
export function leaseInStore({ jobId, lease }: LeaseRef): string | null {
  const end = lease.length - jobId.length - 1
  return end > 0 && lease[end] === '.' && lease.endsWith(jobId) && isJobId(jobId) ? lease.slice(0, end) : null
}
