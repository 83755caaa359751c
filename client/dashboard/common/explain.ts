import type { JobErrorCode } from '../../../shared/codes.ts'
import { JobcastError } from '../../index.ts'

interface Explanation {
  readonly title: string
  readonly text: string
}

const TITLES: Readonly<Record<string, string>> = {
  network: 'The server cannot be reached',
  timeout: 'The server does not answer',
  http_error: 'Something between here and the server answered',
  barred: 'The server closed the connection for good',
  unavailable: 'The store is away',
  outcome_unknown: 'The answer was lost',
  unauthorized: 'An API key is needed',
  forbidden: 'Not allowed',
  not_found: 'Not found',
  removed: 'It was deleted',
  expired: 'It is no longer kept',
  rate_limited: 'Too many requests',
  payload_too_large: 'Too large',
  already_finished: 'Already finished',
  not_retryable: 'Nothing to retry',
  not_finished: 'Not finished yet',
}

/** A refused or failed call in words for people. */
export function explain(error: unknown): Explanation {
  if (!(error instanceof JobcastError)) {
    return { title: 'Something went wrong', text: error instanceof Error ? error.message : String(error) }
  }
  return { title: TITLES[error.code] ?? 'The server refused this', text: error.message }
}

/** What an `errorCode` of a job means, in one sentence. */
export const JOB_ERRORS: Readonly<Record<JobErrorCode, string>> = {
  handler_error: 'The handler threw an error, and no attempt is left.',
  uncaught: 'Something that the handler had begun threw where nobody could catch it, and no attempt is left.',
  unrecoverable: 'The handler gave up for good: trying again would not help.',
  timeout: 'The run took longer than its timeout allows.',
  stalled: 'Its worker died or hung more often than this job may survive.',
  invalid_payload: 'The worker’s schema refused the payload. This is not retried.',
  invalid_result: 'The handler’s result does not match the type’s schema. This is not retried.',
  unserializable_result: 'The handler returned something that JSON would lose. This is not retried.',
  result_too_large: 'The result is larger than the server stores. This is not retried.',
  cancelled: 'It was cancelled before it could finish.',
}
