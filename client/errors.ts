import type { FrameErrorCode, ProblemCode, UnsubscribedCode } from '../shared/codes.ts'
import type { Job } from '../shared/job.ts'

/**
 * Why something did not work. Besides what the server says:
 * `network` the server could not be reached; `timeout` it did not answer in time; `aborted` the caller's signal fired;
 * `closed` the watch or the client was closed; `barred` the server forbade to connect again;
 * `http_error` an answer that is not Jobcast's, such as a proxy's; `unsupported` no transport can work here;
 * `job_failed` and `job_cancelled` how the job ended that `run` waited for.
 */
export type JobcastErrorCode =
  | ProblemCode
  | FrameErrorCode
  | UnsubscribedCode
  | 'network'
  | 'timeout'
  | 'aborted'
  | 'closed'
  | 'barred'
  | 'http_error'
  | 'unsupported'
  | 'job_failed'
  | 'job_cancelled'

export interface InputError {
  /** The path in the input, such as `payload.width`. */
  readonly path: string
  readonly message: string
}

export interface JobcastErrorDetails {
  readonly status?: number | null
  readonly errors?: readonly InputError[]
  readonly retryAfterMs?: number | null
  readonly jobIds?: readonly string[]
  readonly job?: Job | null
  readonly cause?: unknown
}

/** The one kind of error that the SDK throws, rejects with and shows; but for a `TypeError` where a call is a mistake in itself. */
export class JobcastError extends Error {
  override readonly name = 'JobcastError'
  readonly code: JobcastErrorCode
  /** HTTP status; null where there was no answer, or none over HTTP. */
  readonly status: number | null
  /** What is wrong with the input, if that is it. */
  readonly errors: readonly InputError[]
  /** How long the server asks to wait before the next try, in ms. */
  readonly retryAfterMs: number | null
  /** With `outcome_unknown`: the jobs that may have been stored; from `run`, once it is stored: the job. */
  readonly jobIds: readonly string[]
  /** From `run`: the job as far as it was seen; as it ended, with `job_failed` and `job_cancelled`. Else null. */
  readonly job: Job | null

  constructor(code: JobcastErrorCode, message: string, details: JobcastErrorDetails = {}) {
    const { cause, status = null, errors = [], retryAfterMs = null, jobIds = [], job = null } = details
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.status = status
    this.errors = errors
    this.retryAfterMs = retryAfterMs
    this.jobIds = jobIds
    this.job = job
  }
}

/** True where the same call may succeed later. */
export function mayPass({ code, status }: JobcastError): boolean {
  return code === 'network' || code === 'timeout' || status === 429 || (status !== null && status >= 502)
}
