import { z } from 'zod'
import { HEADERS_OF_PROBLEMS, problemsOf } from '../../server/http/openapi.ts'
import type { Route } from '../../server/http/route.ts'
import { Problem } from '../../shared/api.ts'

/** An answer as it came. */
interface Answered {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly response: Response
  /** Null where nobody looks at it. */
  readonly body: string | null
}

/** Headers of answers that no declaration names, since they are HTTP's or a proxy's business. */
const ANYWHERE =
  /^(access-control-.*|connection|content-.*|date|keep-alive|transfer-encoding|upgrade|vary|x-.*)$/

/** What in an answer is not as its route declares it; what comes from an address that no route has is nobody's. */
export function complaints(routes: readonly Route[], answered: Answered): string[] {
  const path = answered.target.replace(/[?#].*$/s, '')
  const method = answered.method === 'HEAD' ? 'GET' : answered.method
  const route = routes.find((one) => one.method === method && matches(one.path, path, routes))
  if (route === undefined) return []
  const where = `${method} ${route.path} ${answered.response.status}`
  return complaintsOf(route, answered).map((complaint) => `${where}: ${complaint}`)
}

function matches(declared: string, path: string, routes: readonly Route[]): boolean {
  if (declared === path) return true
  const isLiteral = routes.some((one) => one.path === path)
  return !isLiteral && new RegExp(`^${declared.replace(/:\w+/g, '[^/]+')}$`).test(path)
}

function complaintsOf(route: Route, { method, response, body }: Answered): string[] {
  const { status, headers } = response
  const type = headers.get('content-type')?.replace(/;.*/s, '').trim()
  if (type === 'application/problem+json') {
    const codes = problemsOf(route).get(status) ?? []
    const problem = body === null || method === 'HEAD' ? null : Problem.parse(JSON.parse(body))
    const isDeclared = problem === null ? codes.length > 0 : codes.includes(problem.code)
    const wrongHeaders = headerComplaints(headers, HEADERS_OF_PROBLEMS[status])
    return isDeclared ? wrongHeaders : [`${problem?.code ?? 'the status'} is not declared`, ...wrongHeaders]
  }
  const answer = route.answers[status]
  if (answer === undefined) return ['the status is not declared']
  const complaints = headerComplaints(headers, answer.headers)
  const media = [...(answer.schema ? ['application/json'] : []), ...Object.keys(answer.media ?? {})]
  if (type === undefined ? media.length > 0 && method !== 'HEAD' : !media.includes(type))
    complaints.push(`${type} is not declared`)
  if (answer.schema && type === 'application/json' && body !== null && method !== 'HEAD')
    complaints.push(...differences(answer.schema, JSON.parse(body)))
  return complaints
}

function headerComplaints(headers: Headers, declared: z.ZodObject | undefined): string[] {
  const shape: Record<string, z.ZodType> = declared?.shape ?? {}
  const wrong = Object.entries(shape).flatMap(([name, schema]) => {
    const read = schema.safeParse(headers.get(name) ?? undefined)
    return read.success ? [] : [`header ${name}: ${z.prettifyError(read.error)}`]
  })
  const names = Object.keys(shape).map((name) => name.toLowerCase())
  const others = [...headers].filter(
    ([name, value]) => !names.includes(name) && !ANYWHERE.test(name) && !isUsual(name, value),
  )
  return [...wrong, ...others.map(([name]) => `header ${name} is not declared`)]
}

/** Nothing is kept by a cache where no declaration says otherwise. */
function isUsual(name: string, value: string): boolean {
  return name === 'cache-control' && /^no-store\b/.test(value)
}

/** What the schema has against a value, and fields of the value that it does not name. */
function differences(schema: z.ZodType, value: unknown): string[] {
  const read = schema.safeParse(value)
  if (!read.success) return [z.prettifyError(read.error)]
  return fieldsLeftOut(value, read.data, '')
}

function fieldsLeftOut(sent: unknown, read: unknown, at: string): string[] {
  if (typeof sent !== 'object' || sent === null || typeof read !== 'object' || read === null) return []
  const known = new Map(Object.entries(read))
  return Object.entries(sent).flatMap(([name, inner]) =>
    // Which a payload may have, and no schema of any JSON lets through.
    known.has(name) || name === '__proto__'
      ? fieldsLeftOut(inner, known.get(name), `${at}.${name}`)
      : [`${at}.${name} is not declared`],
  )
}
