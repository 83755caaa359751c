import { globalRegistry, z } from 'zod'
import type { ZodOpenApiOperationObject, ZodOpenApiPathsObject, ZodOpenApiResponseObject } from 'zod-openapi'
import {
  BatchAnswer,
  BatchBody,
  GatewayInfo,
  ListAnswer,
  OverviewAnswer,
  PollAnswer,
  Problem,
  SubmitAnswer,
  SubmitBody,
  TokenAnswer,
  TypeInfo,
  TypesAnswer,
  WorkerInfo,
} from '../../shared/api.ts'
import { PROBLEMS, type ProblemCode } from '../../shared/codes.ts'
import { JobEvent } from '../../shared/event.ts'
import { JOB, Job, JobSummary } from '../../shared/job.ts'
import { LABELS, POLICY, SubmitOptions, TIMES } from '../../shared/options.ts'
import type { Table } from '../../shared/table.ts'
import type { Auth } from '../auth/auth.ts'
import type { Reach } from '../auth/reach.ts'
import type { TypeRegistry, TypeSchemas } from '../jobs/registry.ts'
import { isPermitted } from './access.ts'
import { Answer } from './answer.ts'
import { addTypes } from './openapi-types.ts'
import { type DeclaredAnswer, type Route, route, TAGS } from './route.ts'

const DESCRIPTION = `Submit jobs, ask for them, cancel and retry them; watch them over WebSocket (\`/ws\`), server-sent
events or long-polling. Errors are problem details (RFC 9457) with a stable \`code\`. Unknown fields and unknown
query parameters are errors.`

/** Schemas that stand once, under their names, and are referred to. */
const NAMED: Record<string, z.ZodType> = {
  BatchAnswer,
  BatchBody,
  GatewayInfo,
  Job,
  JobEvent,
  JobSummary,
  ListAnswer,
  OverviewAnswer,
  PollAnswer,
  Problem,
  SubmitAnswer,
  SubmitBody,
  SubmitOptions,
  TokenAnswer,
  TypeInfo,
  TypesAnswer,
  WorkerInfo,
}

/** The tables whose fields the named ones have. */
const TABLES: Record<string, Table> = {
  Job: JOB,
  JobSummary: JOB,
  SubmitOptions: { ...TIMES, ...POLICY, ...LABELS },
}

interface OpenApiDeps {
  readonly version: string
  readonly reach: Reach
  readonly auth: Auth
  readonly registry: TypeRegistry
}

/** Of whoever may not know which types there are. */
const NO_TYPES: readonly TypeSchemas[] = []

/**
 * `/openapi.json`: OpenAPI 3.1 of these routes and of itself, from the schemas that requests and answers are held to, with those of
 * the user's types for whoever may read them.
 */
export function openApiRoute(
  routes: readonly Route[],
  { version, reach, auth, registry }: OpenApiDeps,
): Route {
  let ofRoutes: Promise<string> | undefined
  // As bytes, which all answers share but those to callers that reach this server below a path.
  const texts = new WeakMap<readonly TypeSchemas[], Buffer<ArrayBuffer>>()
  const textFor = async (types: readonly TypeSchemas[]) => {
    ofRoutes ??= describe([...routes, itself], version)
    const text = texts.get(types) ?? withTypes(await ofRoutes, types)
    texts.set(types, text)
    return text
  }
  const itself = route({
    method: 'GET',
    path: '/openapi.json',
    access: 'open',
    operationId: 'getOpenApi',
    summary: 'This description',
    tags: ['operation'],
    answers: {
      200: {
        description: 'OpenAPI 3.1',
        schema: z.record(z.string(), z.json()),
        headers: z.object({ 'Cache-Control': z.literal('no-cache') }),
      },
    },
    async handle({ context }) {
      const isReader = await isPermitted(auth, itself, context, { store: 'read' })
      const text = await textFor(isReader ? await registry.schemas() : NO_TYPES)
      const prefix = reach.prefix(context.env)
      return new Answer(prefix === '' ? text : below(prefix, text), {
        headers: { 'content-type': 'application/json', 'cache-control': 'no-cache' },
      })
    },
  })
  return itself
}

const SERVERS = [{ url: '/' }]

/** The same description for whoever reaches this server below a path. */
function below(prefix: string, text: Buffer): Buffer<ArrayBuffer> {
  const servers = (list: object[]) => `"servers":${JSON.stringify(list)}`
  return Buffer.from(text.toString().replace(servers(SERVERS), servers([{ url: prefix }])))
}

/** It is made at the first request: neither its library nor its making costs anything at start. */
async function describe(routes: readonly Route[], version: string): Promise<string> {
  const { createDocument } = await import('zod-openapi')
  for (const [id, schema] of Object.entries(NAMED)) globalRegistry.add(schema, { id })
  const document = createDocument({
    openapi: '3.1.0',
    info: {
      title: 'Jobcast',
      version,
      description: DESCRIPTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: SERVERS,
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    security: [{ bearer: [] }],
    paths: pathsOf(routes),
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'An API key or a job token, where API keys are set; without them nothing is asked for',
        },
        token: {
          type: 'apiKey',
          in: 'query',
          name: 'token',
          description: 'A job token, for an EventSource or a WebSocket, which can set no header',
        },
      },
    },
  })
  for (const [id, rows] of Object.entries(TABLES)) sayWhatFor(document.components?.schemas?.[id], rows)
  return JSON.stringify(document, plainJson)
}

function withTypes(ofRoutes: string, types: readonly TypeSchemas[]): Buffer<ArrayBuffer> {
  if (types.length === 0) return Buffer.from(ofRoutes)
  const document: Parameters<typeof addTypes>[0] = JSON.parse(ofRoutes)
  addTypes(document, types)
  return Buffer.from(JSON.stringify(document))
}

/** What each field is for, as its table has it. */
function sayWhatFor(schema: object | undefined, rows: Table): void {
  if (schema === undefined || !('properties' in schema)) return
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    Object.assign(property, { description: rows[name]?.about })
  }
}

function pathsOf(routes: readonly Route[]): ZodOpenApiPathsObject {
  const paths: ZodOpenApiPathsObject = {}
  for (const one of routes) {
    const path = one.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [one.method.toLowerCase()]: operationOf(one) }
  }
  return paths
}

function operationOf(one: Route): ZodOpenApiOperationObject {
  const { operationId, summary, description, tags, params, query, headers, body, answers } = one
  const security = securityOf(one)
  const parameters = {
    ...(hasFields(params) && { path: params }),
    ...(hasFields(query) && { query }),
    ...(headers && { header: headers }),
  }
  return {
    operationId,
    summary,
    ...(description !== undefined && { description }),
    tags: [...tags],
    ...(security && { security }),
    ...(Object.keys(parameters).length > 0 && { requestParams: parameters }),
    ...(body && { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, responseOf(answer)])),
      ...Object.fromEntries(
        [...problemsOf(one)].map(([status, codes]) => [String(status), problemOf(status, codes)]),
      ),
    },
  }
}

function hasFields(schema: z.ZodObject): boolean {
  return Object.keys(schema.shape).length > 0
}

/** What is asked for where keys are set; undefined for what stands above all calls: a bearer. */
function securityOf({ access, tokenInQuery }: Route): Record<string, string[]>[] | undefined {
  const either = [{ bearer: [] }, { token: [] }]
  if (access === 'open') return tokenInQuery ? [{}, ...either] : []
  return tokenInQuery ? either : undefined
}

function responseOf({ description, schema, media, headers }: DeclaredAnswer): ZodOpenApiResponseObject {
  const all = { ...(schema && { 'application/json': schema }), ...media }
  const content = Object.fromEntries(Object.entries(all).map(([type, of]) => [type, { schema: of }]))
  return {
    description,
    ...(Object.keys(content).length > 0 && { content }),
    ...(headers && { headers }),
  }
}

/** What may be answered to every call; `rate_limited` to one behind too many others of its connection. */
const ALWAYS = [
  'invalid_request',
  'forbidden',
  'method_not_allowed',
  'rate_limited',
  'internal_error',
] as const
/** To whoever may have to say who they are, and asks the store. */
const WITH_ACCESS = ['unauthorized', 'unavailable'] as const
/** Where a body may come. */
const WITH_BODY = ['invalid_json', 'payload_too_large', 'unsupported_media_type', 'request_timeout'] as const

/** The codes of the problems that a call may be answered with, by status. */
export function problemsOf({ method, access, params, problems = [] }: Route): Map<number, ProblemCode[]> {
  const codes = new Set<ProblemCode>([
    ...ALWAYS,
    ...(access === 'open' ? [] : WITH_ACCESS),
    ...(method === 'GET' ? [] : WITH_BODY),
    ...(hasFields(params) ? (['not_found'] as const) : []),
    ...problems,
  ])
  const byStatus = new Map<number, ProblemCode[]>()
  for (const code of codes) byStatus.set(PROBLEMS[code], [...(byStatus.get(PROBLEMS[code]) ?? []), code])
  return byStatus
}

const RETRY_AFTER = z.object({
  'Retry-After': z.string().meta({ description: 'Seconds to wait before the next try' }),
})

/** Headers that come with a problem, by its status. */
export const HEADERS_OF_PROBLEMS: Partial<Record<number, z.ZodObject>> = {
  401: z.object({ 'WWW-Authenticate': z.string().meta({ description: 'Bearer (RFC 6750)' }) }),
  405: z.object({ Allow: z.string().meta({ description: 'The methods of this address' }) }),
  415: z.object({
    Accept: z.string().optional().meta({ description: 'The media type of a body' }),
    'Accept-Encoding': z.string().optional().meta({ description: 'How a body may be encoded' }),
  }),
  429: RETRY_AFTER,
  503: RETRY_AFTER,
}

/** Its description names the codes. */
function problemOf(status: number, codes: readonly ProblemCode[]): ZodOpenApiResponseObject {
  const headers = HEADERS_OF_PROBLEMS[status]
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    content: { 'application/problem+json': { schema: Problem } },
    ...(headers && { headers }),
  }
}

const NAMELESS = '__schema'

/**
 * Any JSON value, the only recursive schema there is, comes out as nameless unions of themselves; the empty
 * schema says the same more plainly.
 */
function plainJson(key: string, value: unknown): unknown {
  if (key.startsWith(NAMELESS)) return undefined
  if (typeof value !== 'object' || value === null || !('$ref' in value)) return value
  const { $ref: reference, ...others } = value
  const isNameless = typeof reference === 'string' && reference.includes(`/${NAMELESS}`)
  return isNameless ? { description: 'Any JSON value', ...others } : value
}
