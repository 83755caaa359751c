import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { z } from 'zod'
import { readQuery } from '../../shared/query.ts'
import type { Caller, JobAction, StoreAction } from '../auth/auth.ts'
import { COUNTED_BYTES } from '../gateway/output-budget.ts'
import type { ProblemError } from './problem.ts'
import { invalidQuery } from './problem.ts'

export type HttpContext = Context<{ Bindings: HttpBindings }>

/** Who may call: everyone, or whoever may do this with the one job that the path names, or with the store. */
export type Access = 'open' | { readonly store: StoreAction } | { readonly job: JobAction }

/** One allowed call, its query checked. */
export interface Call<Query> {
  readonly context: HttpContext
  readonly caller: Caller
  /** Of the path, and shaped like a job id; empty where the path names none. */
  readonly jobId: string
  readonly query: Query
}

/** One method on one address. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** As Hono writes it: `/api/jobs/:id`. */
  readonly path: string
  readonly access: Access
  /** Whether the credential may come as `?token=`, for callers that can set no header. */
  readonly tokenInQuery?: boolean
  answer(context: HttpContext, caller: Caller, jobId: string): Promise<Response> | Response
  /** How a refusal is told here; left out, or null: as the problem that it is. */
  readonly refuse?: (context: HttpContext, problem: ProblemError) => Response | null
}

/** A route with a checked query; a parameter that the schema does not name is an error. */
export function route<Schema extends z.ZodObject>(definition: {
  readonly method: Route['method']
  readonly path: string
  readonly access: Access
  readonly tokenInQuery?: boolean
  readonly query: Schema
  readonly refuse?: NonNullable<Route['refuse']>
  handle(call: Call<z.output<Schema>>): Promise<Response> | Response
}): Route {
  const { query, handle, ...rest } = definition
  // No parameter of any call is required, and most calls have none.
  let none: z.output<Schema> | undefined
  return {
    ...rest,
    answer(context, caller, jobId) {
      const { url } = context.req
      const mark = url.indexOf('?')
      if (mark !== -1) return handle({ context, caller, jobId, query: parse(query, url.slice(mark + 1)) })
      none ??= parse(query, '')
      return handle({ context, caller, jobId, query: none })
    },
  }
}

function parse<Schema extends z.ZodObject>(schema: Schema, search: string): z.output<Schema> {
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
  if (text.length < COUNTED_BYTES) return new Response(text, { status, headers: all })
  // A text would stay in the heap until its last byte is taken, beside its bytes.
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  const response = new Response(bytes, { status, headers: all })
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
