import { z } from 'zod'
import { TypeName } from './api.ts'
import { JobStatus } from './event.ts'
import { MAX_PLACE, MAX_WAIT_S } from './limits.ts'

/** Every parameter that there is, of every address. A parameter that its address does not name is an error. */

/** A whole number in a query. */
function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^\d{1,6}$/, { error })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error })
    .meta({ override: { type: 'integer', minimum: min, maximum: max } })
}

const flag = z
  .enum(['0', '1'], { error: 'must be 1 or 0' })
  .transform((value) => value === '1')
  .meta({ override: { type: 'string', enum: ['0', '1'] } })

export const NoQuery = z.strictObject({})

/**
 * `after` is a cursor; one that cannot be read is one of another epoch, so nothing is checked here. `place` is the place in
 * line that the caller has of a queued job, 0 for none.
 */
export const PollQuery = z.strictObject({
  after: z.string().optional(),
  wait: whole(0, MAX_WAIT_S).optional(),
  history: flag.optional(),
  place: whole(0, MAX_PLACE)
    .meta({ description: 'Of a queued job: the place in line that the caller knows, 0 for none' })
    .optional(),
})

export const WatchQuery = PollQuery.extend({
  token: z.string().optional(),
  lastEventId: z
    .string()
    .meta({ description: 'The cursor again, as a polyfill of EventSource sends it when it reconnects' })
    .optional(),
})

/** Of `/ws`: subscribes on connect. */
export const SocketQuery = z
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

export const FULL_LIMIT = 20

/** An empty filter, as a form sends it, counts as left out. */
export const ListQuery = z
  .strictObject({
    type: z.array(TypeName).optional(),
    status: z.array(JobStatus).optional(),
    tag: z
      .array(z.string().max(64, { error: 'must have 1 to 64 characters' }))
      .max(10, { error: 'may be given 10 times' })
      .optional(),
    limit: whole(1, 200).optional(),
    page: z.string().optional(),
    full: flag.optional(),
  })
  .refine(({ full, limit }) => !full || limit === undefined || limit <= FULL_LIMIT, {
    path: ['limit'],
    error: `must be at most ${FULL_LIMIT} with full=1`,
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
  return [{ path: String(issue.path[0] ?? ''), message: issue.message }]
}
