import type { Context } from 'hono'
import { z } from 'zod'
import type { ProblemCode } from '../../shared/codes.ts'
import { readQuery } from '../../shared/query.ts'
import type { Caller, JobAction, StoreAction } from '../auth/auth.ts'
import { isJobId } from '../engine/job/ids.ts'
import { COUNTED_BYTES } from '../gateway/output-budget.ts'
import type { Awaitable } from '../jobs/check-value.ts'
import { Answer } from './answer.ts'
import type { Arrival } from './arrival.ts'
import { readNoBody } from './body.ts'
import { invalidQuery, NO_SUCH_JOB, notFound, type ProblemError } from './problem.ts'

export type HttpContext = Context<{ Bindings: Arrival }>

/** Who may call: everyone, or whoever may do this with the one job that the path names as `:id`, or with the store. */
export type Access = 'open' | { readonly store: StoreAction } | { readonly job: JobAction }

/** An answer that is no problem. */
export interface DeclaredAnswer {
  readonly description: string
  /** Of its JSON. */
  readonly schema?: z.ZodType
  /** What it is as another media type. */
  readonly media?: Readonly<Record<string, z.ZodType>>
  /** Those of the protocol that come with it. */
  readonly headers?: z.ZodObject
}

/**
 * What one method does on one address. The router, `Allow`, the check of who may, the sentence about a wrong parameter and
 * OpenAPI all follow from it, so that a call is described nowhere else.
 */
interface Declaration {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** As Hono writes it: `/api/jobs/:id`. */
  readonly path: string
  readonly access: Access
  /** Whether the credential may come as `?token=`, for callers that can set no header. */
  readonly tokenInQuery?: boolean
  /** Request headers that change the answer, for OpenAPI: whoever reads one knows best what is wrong with it. */
  readonly headers?: z.ZodObject
  /**
   * JSON body, for OpenAPI: it is read within limits of its own, and held to the type's schema as well. Where it is left out,
   * whatever comes with a call but a GET is refused.
   */
  readonly body?: z.ZodType
  readonly operationId: string
  readonly summary: string
  readonly description?: string
  readonly tags: readonly Tag[]
  /** By status. */
  readonly answers: Readonly<Record<number, DeclaredAnswer>>
  /** Those that do not follow from the rest (`openapi.ts` knows which do). */
  readonly problems?: readonly ProblemCode[]
  /** How a refusal is told here; left out, or null: as the problem that it is. */
  readonly refuse?: (context: HttpContext, problem: ProblemError) => Response | null
}

/** The sections of the description. */
export const TAGS = {
  jobs: 'Submitting jobs and what can be done with one',
  watching: 'Every change of a job as it happens',
  types: 'Job types and their queues',
  operation: 'For operators and their tools',
} as const
type Tag = keyof typeof TAGS

/** A declared call, ready to be answered. */
export interface Route extends Declaration {
  readonly params: z.ZodObject
  readonly query: z.ZodObject
  answer(context: HttpContext, caller: Caller): Awaitable<Response>
}

/** One call that is allowed, with what it was asked with. */
export interface Call<Params, Query> {
  readonly context: HttpContext
  readonly caller: Caller
  readonly params: Params
  readonly query: Query
}

/** Parameters of the path that name a job. */
export const onJob = z.object({
  id: z.string().refine(isJobId).meta({ description: 'A job id, a UUIDv7', format: 'uuid' }),
})

/** Headers of answers that several calls have. */
export const header = {
  location: z.string().meta({ description: 'Path of the job' }),
  etag: z.string().meta({ description: 'The cursor, quoted; only without a query' }),
  cacheControl: z.string().meta({ description: 'Whether and how the answer may be kept' }),
}

const None = z.object({})
type None = typeof None

/**
 * `params` are the parameters of the path; what they do not fit is at no address: 404, with `missing` for people. `query` are
 * those behind the `?`; one that it does not name is an error, whatever the schema says of others.
 */
export function route<Params extends z.ZodObject = None, Query extends z.ZodObject = None>(
  definition: Declaration & {
    readonly params?: Params
    readonly missing?: string
    readonly query?: Query
    handle(call: Call<z.output<Params>, z.output<Query>>): Awaitable<Response>
  },
): Route
export function route({
  params = None,
  query: parameters = None,
  missing = NO_SUCH_JOB,
  handle,
  ...declaration
}: Declaration & {
  readonly params?: z.ZodObject
  readonly missing?: string
  readonly query?: z.ZodObject
  handle(call: Call<unknown, unknown>): Awaitable<Response>
}): Route {
  const query = parameters.strict()
  const isNamed = Object.keys(params.shape).length > 0
  const takesNoBody = declaration.method !== 'GET' && declaration.body === undefined
  // No parameter of any query is required, and most calls have none.
  let noQuery: unknown
  const withoutQuery = () => {
    noQuery ??= parse(query, '')
    return noQuery
  }

  return {
    ...declaration,
    params,
    query,
    answer(context, caller) {
      const named = isNamed ? params.safeParse(context.req.param()) : NOTHING
      if (!named.success) throw notFound(missing)
      const { url } = context.req
      const mark = url.indexOf('?')
      const asked = mark === -1 ? withoutQuery() : parse(query, url.slice(mark + 1))
      const call = { context, caller, params: named.data, query: asked }
      return takesNoBody ? readNoBody(context.env).then(() => handle(call)) : handle(call)
    },
  }
}

const NOTHING = { success: true, data: {} } as const

function parse(schema: z.ZodObject, search: string): unknown {
  const read = readQuery(schema, search)
  if (!read.ok) throw invalidQuery(read.errors)
  return read.value
}

/** A JSON answer; by default never kept by a cache. */
export function json(status: number, body: unknown, headers?: Readonly<Record<string, string>>): Response {
  return textAnswer(status, JSON.stringify(body), headers)
}

/** The same of what is text already, or its bytes; JSON where `headers` do not say otherwise. */
export function textAnswer(
  status: number,
  text: string | Buffer<ArrayBuffer>,
  headers?: Readonly<Record<string, string>>,
): Response {
  const all = headers ? { ...JSON_HEADERS, ...headers } : JSON_HEADERS
  if (text.length < COUNTED_BYTES) return new Answer(text, { status, headers: all })
  // A text would stay in the heap until its last byte is taken, beside its bytes.
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  const response = new Answer(bytes, { status, headers: all })
  sizes.set(response, bytes.length)
  return response
}

const sizes = new WeakMap<Response, number>()

/** Bytes of a large answer; 0 of any other. */
export function largeSize(response: Response): number {
  return sizes.get(response) ?? 0
}

const JSON_HEADERS = {
  'content-type': 'application/json',
  'cache-control': 'no-store',
  // A payload with markup in it stays text, whatever a browser may guess.
  'x-content-type-options': 'nosniff',
} as const
