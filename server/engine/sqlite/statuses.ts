import type { JobStatus } from '../../../shared/status.ts'

/** Statuses as the file has them: each is its place here, and stays it. */
const STATUSES = ['scheduled', 'queued', 'processing', 'completed', 'failed', 'cancelled'] as const

export const STATUS_CODES = Object.fromEntries(STATUSES.map((status, code) => [status, code])) as Record<
  JobStatus,
  number
>

export function statusOf(code: number): JobStatus {
  const status = STATUSES[code]
  if (status === undefined) throw new Error(`the file holds an unknown status: ${code}`)
  return status
}
