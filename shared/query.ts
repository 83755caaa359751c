import { z } from 'zod'
import { findingsOf } from './words.ts'

/** Parameters of addresses: their kinds, and how they are read. */

/** A whole number. */
export function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^\d{1,6}$/, { error })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error })
    .meta({ override: { type: 'integer', minimum: min, maximum: max } })
}

export const flag = z
  .enum(['0', '1'], { error: 'must be 1 or 0' })
  .transform((value) => value === '1')
  .meta({ override: { type: 'string', enum: ['0', '1'] } })

/** Of `/ws`: subscribes on connect. */
export const SocketParameters = z
  .strictObject({
    job: z.string().min(1, { error: 'must not be empty' }).optional(),
    after: z.string().optional(),
    token: z.string().optional(),
    history: flag.optional(),
  })
  .refine(({ job, ...others }) => job !== undefined || Object.keys(others).length === 0, {
    path: ['job'],
    error: 'is missing; the other parameters belong to it',
  })

/** What is wrong with a parameter. */
interface QueryError {
  readonly path: string
  readonly message: string
}

export type ReadQuery<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly errors: readonly QueryError[] }

/** Holds what stands behind the `?` of an address to its parameters: unknown, repeated and malformed ones are errors. */
export function readQuery<Schema extends z.ZodObject>(
  schema: Schema,
  search: string,
): ReadQuery<z.output<Schema>> {
  const params = new URLSearchParams(search)
  const values: [name: string, value: unknown][] = []
  for (const name of new Set(params.keys())) {
    const all = params.getAll(name)
    if (isList(schema, name)) values.push([name, all.filter((value) => value !== '')])
    else if (all.length > 1)
      return { ok: false, errors: [{ path: name, message: 'is given more than once' }] }
    else values.push([name, all[0]])
  }
  const checked = schema.safeParse(Object.fromEntries(values))
  if (checked.success) return { ok: true, value: checked.data }
  return { ok: false, errors: checked.error.issues.flatMap(toErrors) }
}

function isList(schema: z.ZodObject, name: string): boolean {
  const field = Object.hasOwn(schema.shape, name) ? schema.shape[name] : undefined
  return field instanceof z.ZodOptional && field.unwrap() instanceof z.ZodArray
}

function toErrors(issue: z.core.$ZodIssue): QueryError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((path) => ({ path, message: 'is no parameter of this call' }))
  }
  return findingsOf(issue).map(({ path, message }) => ({ path: String(path[0] ?? ''), message }))
}
