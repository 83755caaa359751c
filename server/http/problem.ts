import type { Problem } from '../../shared/api.ts'
import { PROBLEM_TITLES, PROBLEMS, type ProblemCode } from '../../shared/codes.ts'
import { BadPage, IdempotencyMismatch, OutcomeUnknown, Unavailable } from '../engine/errors.ts'
import { Answer } from './answer.ts'

/** One thing that is wrong with the input; `path` is dotted: `payload.width`, `jobs.3.options.delayMs`, `limit`. */
export interface FieldError {
  readonly path: string
  readonly message: string
}

interface ProblemExtras {
  readonly errors?: readonly FieldError[]
  readonly headers?: Readonly<Record<string, string>>
  readonly jobId?: string
  readonly jobIds?: readonly string[]
}

/** A refusal on its way to the caller; every handler may throw it. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly code: ProblemCode
  readonly extras: ProblemExtras

  constructor(code: ProblemCode, detail: string, extras: ProblemExtras = {}) {
    super(detail)
    this.code = code
    this.extras = extras
  }
}

/** The caller went away before its request was whole: nobody is left to be told. */
export class Disconnected extends Error {
  override readonly name = 'Disconnected'
}

/** In seconds; a store that is away is usually a restart or a failover. */
export const RETRY_AFTER_S = '1'
/** Of an answer that may be another one soon. */
export const RETRY = { headers: { 'retry-after': RETRY_AFTER_S } } as const

/** More are of no help to anybody, and a hostile body can hold a million. */
const MAX_ERRORS = 100
const MAX_TEXT = 300

/** The body of an answer as RFC 9457 has it. */
export function problemBody(code: ProblemCode, detail: string, extras: ProblemExtras = {}): string {
  const { errors, jobId, jobIds } = extras
  const problem: Problem = {
    type: `urn:jobcast:problem:${code}`,
    title: PROBLEM_TITLES[code],
    status: PROBLEMS[code],
    detail,
    code,
    ...(errors && {
      errors: errors
        .slice(0, MAX_ERRORS)
        .map(({ path, message }) => ({ path: cut(path), message: cut(message) })),
    }),
    ...(jobId !== undefined && { jobId }),
    ...(jobIds !== undefined && { jobIds: [...jobIds] }),
  }
  return JSON.stringify(problem)
}

export function problemResponse({ code, message, extras }: ProblemError): Answer {
  return new Answer(problemBody(code, message, extras), {
    status: PROBLEMS[code],
    headers: { ...PROBLEM_HEADERS, ...extras.headers },
  })
}

export const PROBLEM_HEADERS = {
  'content-type': 'application/problem+json',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
} as const

/** What an error means to the caller; null for one that nobody foresaw. */
export function problemOf(error: unknown): ProblemError | null {
  if (error instanceof ProblemError) return error
  if (error instanceof Unavailable) return unavailable(error.message)
  if (error instanceof OutcomeUnknown) return outcomeUnknown(error, 'one')
  if (error instanceof IdempotencyMismatch) {
    return new ProblemError(
      'idempotency_mismatch',
      'this Idempotency-Key came with another body before: use a new key',
    )
  }
  if (error instanceof BadPage) {
    return invalidQuery([{ path: 'page', message: 'must be the nextPage of an earlier answer' }])
  }
  return null
}

export function unavailable(detail: string): ProblemError {
  return new ProblemError('unavailable', detail, RETRY)
}

/** The caller learns the ids to ask for: `jobId` of one job, `jobIds` of a batch. */
export function outcomeUnknown(error: OutcomeUnknown, of: 'one' | 'batch'): ProblemError {
  const first = error.jobIds[0]
  return new ProblemError('outcome_unknown', error.message, {
    ...RETRY,
    ...(of === 'batch' ? { jobIds: error.jobIds } : first !== undefined && { jobId: first }),
  })
}

export function invalidQuery(errors: readonly FieldError[]): ProblemError {
  return new ProblemError('invalid_request', explain('the query is not valid', errors), { errors })
}

export const NO_SUCH_JOB = 'there is no such job; it may have expired'

export function notFound(detail = NO_SUCH_JOB): ProblemError {
  return new ProblemError('not_found', detail)
}

/** A sentence for people, from the first error. */
export function explain(what: string, errors: readonly FieldError[]): string {
  const first = errors[0]
  if (first === undefined) return what
  return cut(`${what}: ${first.path === '' ? '' : `${first.path} `}${first.message}`)
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
}
