/**
 * Every stable code that goes over the wire, and what a client should do about it.
 * Imports nothing, so that the browser SDK can bundle it for a few bytes.
 */

/** `code` of an HTTP problem, with its status. */
export const PROBLEMS = {
  invalid_json: 400,
  invalid_request: 400,
  invalid_payload: 400,
  invalid_options: 400,
  unknown_type: 400,
  invalid_idempotency_key: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  already_finished: 409,
  not_retryable: 409,
  not_finished: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  idempotency_mismatch: 422,
  rate_limited: 429,
  headers_too_large: 431,
  internal_error: 500,
  unavailable: 503,
  outcome_unknown: 503,
} as const

export type ProblemCode = keyof typeof PROBLEMS

/** `title` of an HTTP problem. */
export const PROBLEM_TITLES: Record<ProblemCode, string> = {
  invalid_json: 'The body is not JSON',
  invalid_request: 'The request is not valid',
  invalid_payload: 'The payload is not valid',
  invalid_options: 'The options are not valid',
  unknown_type: 'There is no such job type',
  invalid_idempotency_key: 'The Idempotency-Key is not valid',
  unauthorized: 'An API key or a job token is needed',
  forbidden: 'This is not allowed',
  not_found: 'Not found',
  method_not_allowed: 'Method not allowed',
  request_timeout: 'The request took too long to arrive',
  already_finished: 'The job has already finished',
  not_retryable: 'The job cannot be retried',
  not_finished: 'The job has not finished',
  payload_too_large: 'The body is too large',
  unsupported_media_type: 'The body must be JSON',
  idempotency_mismatch: 'The Idempotency-Key was used with another body',
  rate_limited: 'Too many requests',
  headers_too_large: 'The headers are too large',
  internal_error: 'Something went wrong in the server',
  unavailable: 'Not available at the moment',
  outcome_unknown: 'The answer of the store was lost',
}

/** `errorCode` of a job. The `invalid_*`, `unserializable_result` and `result_too_large` failures are never retried. */
export const JOB_ERROR_CODES = [
  'handler_error',
  'uncaught',
  'unrecoverable',
  'timeout',
  'stalled',
  'invalid_payload',
  'invalid_result',
  'unserializable_result',
  'result_too_large',
  'cancelled',
] as const

export type JobErrorCode = (typeof JOB_ERROR_CODES)[number]

/** `level` of a job's log line. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

/** `code` of a WebSocket `error` frame -> whether the same frame may work later. */
export const FRAME_ERRORS = {
  bad_frame: false,
  not_found: false,
  unauthorized: false,
  forbidden: false,
  too_many_subscriptions: true,
  rate_limited: true,
  unavailable: true,
} as const

export type FrameErrorCode = keyof typeof FRAME_ERRORS

/** `code` of an `unsubscribed` frame -> whether subscribing again may work (`token_expired`: with a new token). */
export const UNSUBSCRIBED_CODES = {
  requested: false,
  removed: false,
  expired: false,
  not_found: false,
  token_expired: true,
} as const

export type UnsubscribedCode = keyof typeof UNSUBSCRIBED_CODES
