import type { JobErrorCode } from '../../shared/codes.ts'
import { backoffDelay, type Claim, type Json, JsonText, type Outcome } from '../engine/engine.ts'
import { checkValue, type Issue } from '../jobs/check-value.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import { UnrecoverableError } from '../jobs/errors.ts'
import { cutText, errorText, isThrown, MAX_ERROR_BYTES, readThrown, type Thrown } from '../thrown.ts'
import { checkJson } from './json.ts'

/** What is under way in an attempt: a schema is asked, the handler's place is made ready, the handler runs. */
export type AttemptStep = 'payload' | 'start' | 'handler' | 'result'

/** A value that goes on to the next step, or why the run ends here. */
export type Step<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: Failure }

export interface Failure {
  readonly error: string
  readonly errorCode: JobErrorCode
  /** No further attempt would help. */
  readonly final: boolean
  /** What was thrown, where that is why. */
  readonly thrown: Thrown | null
}

/** What an executor throws where it knows already what the failure of a run means. */
export class RunFailed extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.error)
    this.failure = failure
  }
}

/** Step 1: what the type's schema makes of the payload. At once where it has none. */
export function checkPayload(
  { payload: schema }: JobDefinition,
  payload: Json,
): Step<unknown> | Promise<Step<unknown>> {
  return schema === undefined ? { ok: true, value: payload } : checkAgainst(schema, payload)
}

async function checkAgainst(
  schema: NonNullable<JobDefinition['payload']>,
  payload: Json,
): Promise<Step<unknown>> {
  try {
    const checked = await checkValue(schema, payload)
    if (checked.ok) return checked
    return final('invalid_payload', `invalid payload: ${issuesText(checked.issues)}`)
  } catch (error) {
    return schemaFailed('invalid_payload', "the payload's schema", error)
  }
}

/** Step 3: the result as JSON, within its size, as the type's schema makes of it. At once where it has none. */
export function checkResult(
  { result: schema }: JobDefinition,
  returned: unknown,
  maxBytes: number,
): Step<JsonText> | Promise<Step<JsonText>> {
  const first = resultAsJson(returned, maxBytes)
  return first.ok && schema !== undefined ? checkResultAgainst(schema, first.value, maxBytes) : first
}

async function checkResultAgainst(
  schema: NonNullable<JobDefinition['result']>,
  { text }: JsonText,
  maxBytes: number,
): Promise<Step<JsonText>> {
  try {
    const checked = await checkValue(schema, JSON.parse(text))
    if (checked.ok) return resultAsJson(checked.value, maxBytes)
    return final('invalid_result', `invalid result: ${issuesText(checked.issues)}`)
  } catch (error) {
    return schemaFailed('invalid_result', "the result's schema", error)
  }
}

function resultAsJson(returned: unknown, maxBytes: number): Step<JsonText> {
  const checked = checkReturned(returned)
  if (!checked.ok || checked.value.bytes <= maxBytes) return checked
  const error = `the result has ${checked.value.bytes} bytes of JSON, more than ${maxBytes}`
  return final('result_too_large', error)
}

/** What a handler returned, as JSON; nothing is null. What comes from a thread was held to JSON there. */
export function checkReturned(returned: unknown): Step<JsonText> {
  if (JsonText.is(returned)) return { ok: true, value: returned }
  const checked = checkJson(returned === undefined ? null : returned)
  if (!checked.ok) return final('unserializable_result', `the result ${checked.problem}`)
  return { ok: true, value: checked.json }
}

/** What an error of a handler means. The name counts as well, since classes do not cross packages. */
export function classifyThrown(error: unknown): Failure {
  if (isThrown(error, RunFailed)) return error.failure
  const thrown = readThrown(error)
  const text = errorText(thrown)
  return isThrown(error, UnrecoverableError) || thrown.name === 'UnrecoverableError'
    ? failureOf('unrecoverable', text, true, thrown)
    : failureOf('handler_error', text, false, thrown)
}

/** What was thrown outside the handler's promise, where nothing of the handler could catch it. */
export function classifyUncaught(error: unknown): Failure {
  const thrown = readThrown(error)
  return failureOf('uncaught', errorText(thrown), false, thrown)
}

/** The time of what was under way is over; it had so many ms. */
export function tookTooLong(step: AttemptStep, ms: number): Failure {
  return failureOf('timeout', LATE[step](ms), false)
}

const LATE: Record<AttemptStep, (ms: number) => string> = {
  payload: (ms) => `the payload's schema did not answer within ${ms} ms`,
  start: (ms) => `the handler did not start within ${ms} ms`,
  handler: (ms) => `the attempt took longer than its timeout of ${ms} ms`,
  result: (ms) =>
    `the attempt took longer than its timeout of ${ms} ms: the result's schema had not answered`,
}

/** Last step of a run that failed: another attempt after a while, or none. */
export function afterFailure(
  { attempt, policy }: Pick<Claim, 'attempt' | 'policy'>,
  { error, errorCode, final }: Failure,
  random: () => number,
): Outcome {
  if (final || attempt >= policy.maxAttempts) return { kind: 'failed', error, errorCode }
  return { kind: 'retry', error, errorCode, delayMs: backoffDelay(attempt, policy.backoff, random) }
}

export function failureOf(
  errorCode: JobErrorCode,
  error: string,
  final: boolean,
  thrown: Thrown | null = null,
): Failure {
  return { errorCode, error: cutText(error, MAX_ERROR_BYTES), final, thrown }
}

function final(errorCode: JobErrorCode, error: string): { ok: false; failure: Failure } {
  return { ok: false, failure: failureOf(errorCode, error, true) }
}

function schemaFailed(
  errorCode: JobErrorCode,
  which: string,
  error: unknown,
): { ok: false; failure: Failure } {
  const thrown = readThrown(error, 'it')
  return { ok: false, failure: failureOf(errorCode, `${which} failed: ${errorText(thrown)}`, true, thrown) }
}

function issuesText(issues: readonly Issue[]): string {
  return issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ')
}
