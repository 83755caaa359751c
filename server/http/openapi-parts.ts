import { z } from 'zod'
import type { ZodOpenApiOperationObject, ZodOpenApiResponseObject } from 'zod-openapi'
import { Problem } from '../../shared/api.ts'
import { PROBLEMS, type ProblemCode } from '../../shared/codes.ts'

type Responses = ZodOpenApiOperationObject['responses']

export const header = {
  location: z.string().meta({ description: 'Path of the job' }),
  etag: z.string().meta({ description: 'The cursor, quoted; only without a query' }),
  cacheControl: z.string().meta({ description: 'Whether and how the answer may be kept' }),
  replayed: z
    .literal('true')
    .optional()
    .meta({ description: 'Present where an Idempotency-Key brought back the first answer' }),
  applied: z.string().meta({ description: 'The `wait` that was honoured' }),
  retryAfter: z.string().meta({ description: 'Seconds to wait before the next try' }),
  allow: z.string().meta({ description: 'The methods of this address' }),
  authenticate: z.string().meta({ description: 'Bearer (RFC 6750)' }),
}

export function answer(
  description: string,
  schema?: z.ZodType,
  headers?: z.ZodObject,
): ZodOpenApiResponseObject {
  return {
    description,
    ...(schema && { content: { 'application/json': { schema } } }),
    ...(headers && { headers }),
  }
}

/** What may be answered to every call of the API. */
const ALWAYS = ['invalid_request', 'forbidden', 'method_not_allowed', 'internal_error'] as const

const HEADERS: Partial<Record<number, z.ZodObject>> = {
  401: z.object({ 'WWW-Authenticate': header.authenticate }),
  405: z.object({ Allow: header.allow }),
  429: z.object({ 'Retry-After': header.retryAfter }),
  503: z.object({ 'Retry-After': header.retryAfter }),
}

/** Problem answers, one a status; their descriptions name the codes. */
export function problems(...codes: ProblemCode[]): Responses {
  const byStatus = new Map<number, ProblemCode[]>()
  for (const code of [...new Set([...ALWAYS, ...codes])]) {
    byStatus.set(PROBLEMS[code], [...(byStatus.get(PROBLEMS[code]) ?? []), code])
  }
  return Object.fromEntries([...byStatus].map(([status, names]) => [String(status), problem(status, names)]))
}

function problem(status: number, codes: readonly ProblemCode[]): ZodOpenApiResponseObject {
  const headers = HEADERS[status]
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    content: { 'application/problem+json': { schema: Problem } },
    ...(headers && { headers }),
  }
}

/** Problems of every call that needs a credential and the store. */
export const STORE_PROBLEMS = ['unauthorized', 'unavailable'] as const
/** And of those that change something. */
export const WRITE_PROBLEMS = [...STORE_PROBLEMS, 'outcome_unknown', 'rate_limited'] as const
export const BODY_PROBLEMS = [
  'invalid_json',
  'payload_too_large',
  'unsupported_media_type',
  'request_timeout',
] as const
export const SUBMIT_PROBLEMS = [
  ...WRITE_PROBLEMS,
  ...BODY_PROBLEMS,
  'invalid_payload',
  'invalid_options',
  'unknown_type',
  'invalid_idempotency_key',
  'idempotency_mismatch',
] as const
