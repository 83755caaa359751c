/** Why a run was told to stop. */
export type StopReason = 'cancelled' | 'timeout' | 'lost' | 'released'

const MESSAGES: Record<StopReason, string> = {
  cancelled: 'the job was cancelled',
  timeout: 'the attempt took longer than its timeout',
  lost: 'the lease was lost: another worker may run this job now',
  released: 'the worker is stopping and gives the job back',
}

/** `signal.reason` of a run that was told to stop; named like what aborted calls of Node itself throw. */
export class RunAborted extends Error {
  override readonly name = 'AbortError'
  readonly reason: StopReason

  constructor(reason: StopReason) {
    super(MESSAGES[reason])
    this.reason = reason
  }
}
