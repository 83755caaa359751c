import { createHash } from 'node:crypto'
import type { Caller } from '../auth/auth.ts'
import type { SubmitRequest } from '../engine/engine.ts'
import { ProblemError } from './problem.ts'

const KEY = /^[\x20-\x7e]{1,255}$/

/** The key of the header, or undefined without one. Throws `invalid_idempotency_key`. */
export function idempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  if (typeof header === 'string' && KEY.test(header)) return header
  throw new ProblemError(
    'invalid_idempotency_key',
    'an Idempotency-Key has 1 to 255 printable ASCII characters',
  )
}

/** What the store needs to know an equal submission of the same caller again; `body` as it was sent. */
export function idempotencyOf(
  key: string,
  caller: Caller,
  body: unknown,
): NonNullable<SubmitRequest['idempotency']> {
  return {
    scope: caller.kind === 'key' ? caller.name : '',
    key,
    bodyHash: createHash('sha256').update(canonical(body)).digest('base64url'),
  }
}

/** JSON with the keys of every object in order, so that equal values have equal texts. Recursive: for checked input. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`
}
