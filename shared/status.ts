/** The life of a job: its statuses and the only ways between them. Imports nothing. */

/** A file keeps a status as its index here: a new one goes to the end. */
export const JOB_STATUSES = ['scheduled', 'queued', 'processing', 'completed', 'failed', 'cancelled'] as const
export type JobStatus = (typeof JOB_STATUSES)[number]

/** A number for each status. */
export function perStatus(number: (status: JobStatus, index: number) => number): Record<JobStatus, number> {
  const numbers = JOB_STATUSES.map((status, index) => [status, number(status, index)])
  return Object.fromEntries(numbers) as Record<JobStatus, number>
}

/**
 * The state machine. Each row is one allowed change of status; `null` is "does not exist yet".
 * The engines' scripts and the documentation are held to this table by tests.
 */
export const TRANSITIONS = [
  { from: null, to: 'queued', by: 'submit' },
  { from: null, to: 'scheduled', by: 'submit' },
  { from: 'scheduled', to: 'queued', by: 'promote' },
  { from: 'queued', to: 'processing', by: 'claim' },
  { from: 'processing', to: 'completed', by: 'settle' },
  { from: 'processing', to: 'failed', by: 'settle' },
  { from: 'processing', to: 'scheduled', by: 'settle' },
  { from: 'processing', to: 'queued', by: 'settle' },
  { from: 'processing', to: 'cancelled', by: 'settle' },
  { from: 'processing', to: 'queued', by: 'rescue' },
  { from: 'processing', to: 'failed', by: 'rescue' },
  { from: 'processing', to: 'cancelled', by: 'rescue' },
  { from: 'scheduled', to: 'cancelled', by: 'cancel' },
  { from: 'queued', to: 'cancelled', by: 'cancel' },
  { from: 'failed', to: 'queued', by: 'retry' },
  { from: 'cancelled', to: 'queued', by: 'retry' },
] as const satisfies readonly { from: JobStatus | null; to: JobStatus; by: string }[]

/** Whether a job in this status has ended. */
export function isTerminal(status: JobStatus): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled'
}

export function mayTransition(from: JobStatus | null, to: JobStatus): boolean {
  return TRANSITIONS.some((row) => row.from === from && row.to === to)
}
