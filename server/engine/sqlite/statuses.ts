import type { JobStatus } from '../../../shared/status.ts'

/** Statuses as the file has them: each is its place here, and stays it. */
const STATUSES = ['scheduled', 'queued', 'processing', 'completed', 'failed', 'cancelled'] as const

export const STATUS_CODES = Object.fromEntries(STATUSES.map((status, code) => [status, code])) as Record<
  JobStatus,
  number
>

/** Undefined where a newer version has put it there. */
export function statusOf(code: number): JobStatus | undefined {
  return STATUSES[code]
}
