import { z } from 'zod'
import { TypeName } from '../../shared/api.ts'
import { JobStatus } from '../../shared/event.ts'
import { MAX_PLACE, MAX_WAIT_S } from '../../shared/limits.ts'
import { type FieldError, invalidQuery } from './problem.ts'

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
export const SocketQuery = z.strictObject({
  job: z.string().optional(),
  after: z.string().optional(),
  token: z.string().optional(),
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

const NOTHING: Record<string, never> = {}

/** Throws `invalid_request`, naming the parameters, where one is unknown, repeated or malformed. */
export function parseQuery<Schema extends z.ZodObject>(schema: Schema, url: string): z.output<Schema> {
  const mark = url.indexOf('?')
  const checked = schema.safeParse(mark === -1 ? NOTHING : collect(schema, url.slice(mark + 1)))
  if (checked.success) return checked.data
  throw invalidQuery(checked.error.issues.flatMap(toErrors))
}

/** Of each parameter its value, or its values where the schema has a list of them. */
function collect(schema: z.ZodObject, search: string): Record<string, unknown> {
  const params = new URLSearchParams(search)
  const entries = [...new Set(params.keys())].map((name) => {
    const values = params.getAll(name)
    if (isList(schema, name)) return [name, values.filter((value) => value !== '')]
    if (values.length > 1) throw invalidQuery([{ path: name, message: 'is given more than once' }])
    return [name, values[0]]
  })
  return Object.fromEntries(entries)
}

function isList(schema: z.ZodObject, name: string): boolean {
  const field = Object.hasOwn(schema.shape, name) ? schema.shape[name] : undefined
  return field instanceof z.ZodOptional && field.unwrap() instanceof z.ZodArray
}

function toErrors(issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((path) => ({ path, message: 'is no parameter of this call' }))
  }
  return [{ path: String(issue.path[0] ?? ''), message: issue.message }]
}
