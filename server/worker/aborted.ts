import { readThrown } from '../thrown.ts'

/** Why a run was told to stop. */
export type StopReason = 'cancelled' | 'timeout' | 'lost' | 'released' | 'uncaught'
/** Why a run is told anything: it is to stop, or may go on for a while. */
export type AbortReason = StopReason | 'draining'

const MESSAGES: Record<AbortReason, string> = {
  cancelled: 'the job was cancelled',
  timeout: 'the attempt took longer than its timeout',
  lost: 'the lease was lost: another worker may run this job now',
  released: 'the worker is stopping and gives the job back',
  uncaught: 'something that the handler had begun threw an exception that nobody caught',
  draining: 'the worker is stopping: what does not end soon is given back',
}

/** Whether an error says no more than that a signal has fired. */
export function isAbort(error: unknown): boolean {
  return readThrown(error).name === 'AbortError'
}

/** `reason` of the signals of a run that was told to stop or to hurry; named like what aborted calls of Node itself throw. */
export class RunAborted extends Error {
  override readonly name = 'AbortError'
  readonly reason: AbortReason

  constructor(reason: AbortReason) {
    super(MESSAGES[reason])
    this.reason = reason
  }
}
