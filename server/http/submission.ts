import { z } from 'zod'
import type { ProblemCode } from '../../shared/codes.ts'
import { MAX_DEPTH } from '../../shared/limits.ts'
import { fillLabels, fillPolicy, type RunPolicy, SubmitOptions, YEAR_MS } from '../../shared/options.ts'
import { either, findingsOf } from '../../shared/words.ts'
import type { Json, NewJob } from '../engine/engine.ts'
import type { Awaitable, Issue } from '../jobs/check-value.ts'
import { type KnownType, SchemaFailed, type TypeRegistry } from '../jobs/registry.ts'
import type { LossyNumber } from './json-body.ts'
import { explain, type FieldError, ProblemError, RETRY } from './problem.ts'

/** A submission held to the protocol: a job to store, or why not, with paths relative to the submission. */
export type Checked = { readonly ok: true; readonly job: NewJob } | Refused

export interface Refused {
  readonly ok: false
  readonly code: ProblemCode
  readonly what: string
  readonly errors: readonly FieldError[]
}

export interface SubmissionRules {
  readonly registry: TypeRegistry
  /** Of a submission that names none; null where it must name one. */
  readonly defaultType: string | null
  /** Of the payload's JSON. Checked by the caller, from the size of the body, where that is enough. */
  readonly maxPayloadBytes: number | null
  /** The known types that an unknown one may have been meant to be. */
  readonly nearest: (type: string) => readonly string[]
  /** Numbers that are not what was sent, with paths relative to the submission. */
  readonly lossy: readonly LossyNumber[]
  /** A type's schema failed: whoever runs the server is to know, with the reason. */
  readonly onSchemaFailed: (type: string, error: SchemaFailed) => void
}

/**
 * The payload is left as it is: it came out of `JSON.parse`, so JSON is what it is, and the type's schema is its
 * judge.
 */
export const Envelope = z.strictObject({
  type: z.string({ error: 'must be the name of a job type' }).optional(),
  payload: z.unknown().optional(),
  options: SubmitOptions.optional(),
})
type Envelope = z.infer<typeof Envelope>

/** Characters of a type that is none. */
const SHOWN = 100

/**
 * Checks one submission, once and for all: nothing is left open in the job that comes out. The answer comes at once
 * where type and schema are this process's own, so that a batch of them does not wait job by job.
 */
export function checkSubmission(body: unknown, rules: SubmissionRules): Awaitable<Checked> {
  if (isPlain(body)) return checkEnvelope(body, rules)
  const envelope = Envelope.safeParse(body)
  return envelope.success ? checkEnvelope(envelope.data, rules) : refuseEnvelope(envelope.error.issues)
}

/**
 * Whether it is a type and a payload and nothing else, as most submissions are: the schema of the envelope would find
 * nothing wrong and change nothing.
 */
export function isPlain(body: unknown): body is Envelope {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return false
  for (const field in body) if (field !== 'type' && field !== 'payload') return false
  return 'type' in body && typeof body.type === 'string'
}

function checkEnvelope(
  { type: given, payload, options }: Envelope,
  rules: SubmissionRules,
): Awaitable<Checked> {
  const type = given ?? rules.defaultType
  if (type === null) {
    return refuse('invalid_request', 'the submission is not valid', [{ path: 'type', message: 'is missing' }])
  }
  const submission = { type, payload, options }
  const known = rules.registry.find(type)
  return known instanceof Promise
    ? known.then((found) => checkAgainst(found, submission, rules))
    : checkAgainst(known, submission, rules)
}

interface Submission {
  readonly type: string
  readonly payload: unknown
  readonly options: SubmitOptions | undefined
}

function checkAgainst(
  known: KnownType | null,
  { type, payload, options }: Submission,
  { nearest, maxPayloadBytes, lossy, onSchemaFailed }: SubmissionRules,
): Awaitable<Checked> {
  if (known === null) {
    const meant = nearest(type)
    const hint = meant.length === 0 ? '' : `; did you mean ${either(meant)}?`
    const message = `names no job type that is known: ${JSON.stringify(type.slice(0, SHOWN))}${hint}`
    return refuse('unknown_type', 'the submission is not valid', [{ path: 'type', message }])
  }
  if (payload === undefined) {
    return refuse('invalid_payload', 'the payload is not valid', [{ path: 'payload', message: 'is missing' }])
  }
  if (isDeeper(payload, MAX_DEPTH)) {
    return refuse('invalid_payload', 'the payload is not valid', [
      { path: 'payload', message: `is nested more than ${MAX_DEPTH} deep` },
    ])
  }
  const changed = lossy.filter(({ path }) => path[0] === 'payload')
  if (changed.length > 0) {
    const errors = changed.map(({ path, message }) => ({ path: path.join('.'), message }))
    return refuse('invalid_payload', 'the payload is not valid', errors)
  }
  if (maxPayloadBytes !== null && Buffer.byteLength(JSON.stringify(payload)) > maxPayloadBytes) {
    const message = `may have ${maxPayloadBytes} bytes of JSON`
    return refuse('payload_too_large', 'the payload is too large', [{ path: 'payload', message }])
  }
  const late = options === undefined ? null : checkRunAt(options)
  if (late !== null) return refuse('invalid_options', 'the options are not valid', [late])
  const conclude = (issues: readonly Issue[]): Checked =>
    issues.length === 0
      ? { ok: true, job: toJob(type, payload as Json, options, known.policy) }
      : refuse('invalid_payload', 'the payload is not valid', issues.map(inPayload))
  const refuseUnchecked = (error: unknown): Checked => {
    if (!(error instanceof SchemaFailed)) throw error
    onSchemaFailed(type, error)
    const message = `cannot be checked: ${error.message}${error.isLate ? '' : '; the server has logged why'}`
    const errors = [{ path: 'payload', message }]
    return error.isLate
      ? refuse('unavailable', 'nothing was stored', errors)
      : refuse('invalid_payload', 'the payload is not valid', errors)
  }
  try {
    const issues = known.check(payload as Json)
    return issues instanceof Promise ? issues.then(conclude, refuseUnchecked) : conclude(issues)
  } catch (error) {
    return refuseUnchecked(error)
  }
}

/** Throws what is wrong with a submission; `at` is where it stands in the body. */
export function refusal({ code, what, errors }: Refused): ProblemError {
  return new ProblemError(code, explain(what, errors), { errors, ...(code === 'unavailable' && RETRY) })
}

function refuse(code: ProblemCode, what: string, errors: readonly FieldError[]): Refused {
  return { ok: false, code, what, errors }
}

/** Fields that are not those of a submission come first: what they were meant to say is unknown. */
function refuseEnvelope(issues: readonly z.core.$ZodIssue[]): Refused {
  const errors = errorsIn(issues)
  const onlyOptions = errors.every(({ path }) => path === 'options' || path.startsWith('options.'))
  return onlyOptions
    ? refuse('invalid_options', 'the options are not valid', errors)
    : refuse('invalid_request', 'the submission is not valid', errors)
}

/** Each once, however many rules it breaks. */
export function errorsIn(issues: readonly z.core.$ZodIssue[]): FieldError[] {
  const errors = new Map<string, FieldError>()
  for (const { path, message } of issues.flatMap((issue) => findingsOf(issue))) {
    const error = { path: path.map(String).join('.'), message }
    errors.set(`${error.path} ${message}`, error)
  }
  return [...errors.values()]
}

function inPayload({ path, message }: Issue): FieldError {
  return { path: path === '' ? 'payload' : `payload.${path}`, message }
}

/** Whether arrays and objects are nested more than `limit` deep; looks no deeper than that. */
function isDeeper(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (limit === 0) return true
  if (Array.isArray(value)) return value.some((one) => isDeeper(one, limit - 1))
  // Out of `JSON.parse`, an object has no fields but its own.
  for (const field in value) if (isDeeper(value[field as keyof typeof value], limit - 1)) return true
  return false
}

function checkRunAt({ runAt }: SubmitOptions): FieldError | null {
  if (runAt === undefined || runAt === null) return null
  const time = Date.parse(runAt)
  if (Number.isNaN(time)) return { path: 'options.runAt', message: 'is no time that there is' }
  return time - Date.now() > YEAR_MS ? { path: 'options.runAt', message: 'is more than a year ahead' } : null
}

const AT_ONCE = { delayMs: 0 } as const

/** What the submission says, else what the type says, which has the defaults in it already. */
function toJob(type: string, payload: Json, options: SubmitOptions | undefined, usual: RunPolicy): NewJob {
  if (options === undefined) return { type, payload, policy: usual, when: AT_ONCE }
  const { runAt, delayMs = 0 } = options
  return {
    ...{ type, payload, policy: fillPolicy(options, usual), ...fillLabels(options) },
    when: typeof runAt === 'string' ? { runAt: Date.parse(runAt) } : { delayMs },
  }
}
