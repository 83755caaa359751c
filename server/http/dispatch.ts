import { Hono } from 'hono'
import type { Result, Router } from 'hono/router'
import { TrieRouter } from 'hono/router/trie-router'
import type { H, RouterRoute } from 'hono/types'
import { getPath } from 'hono/utils/url'
import type { Auth } from '../auth/auth.ts'
import type { OriginPolicy } from '../auth/origin.ts'
import type { Reach } from '../auth/reach.ts'
import type { Events } from '../events.ts'
import type { OutputBudget } from '../gateway/output-budget.ts'
import type { Awaitable } from '../jobs/check-value.ts'
import { allowOrigin, authorize, checkOrigin, optionsAnswer } from './access.ts'
import { Answer } from './answer.ts'
import type { Arrival } from './arrival.ts'
import { Disconnected, notFound, ProblemError, problemOf, problemResponse, unavailable } from './problem.ts'
import { type HttpContext, largeSize, type Route } from './route.ts'

export interface App {
  readonly reach: Reach
  /** Answers a request; rejects with nothing. */
  fetch(request: Request, arrival: Arrival): Awaitable<Response>
  /** Whether there is anything at its address, whatever can be done with it. */
  knows(arrival: Arrival): boolean
  /** What can be done at which address, the page apart. */
  readonly routes: readonly { readonly method: string; readonly path: string }[]
}

interface DispatchOptions {
  readonly reach: Reach
  readonly routes: readonly Route[]
  readonly auth: Auth
  /** Null where every origin and host may call, as for probes of a worker. */
  readonly origins: OriginPolicy | null
  readonly events: Events
  /** Null where no answer is large. */
  readonly budget: OutputBudget | null
  /** Answers what is no route: a file of the page. Null where it has none. */
  readonly page: ((arrival: Arrival) => Response | null) | null
}

/** What is not below the base path, as a path that no route has. */
const ELSEWHERE = ''

/** What nginx calls a request whose caller went away; seen by nobody but the metrics. */
const CLIENT_CLOSED_REQUEST = 499

/**
 * Puts routes on an app. There is no middleware: each route has exactly one handler, and that runs the checks
 * in their order (origin, credentials, query, body), turns every error into a problem and tells the events.
 */
export function dispatch({ routes, reach, auth, origins, events, budget, page }: DispatchOptions): App {
  const router = new AddressRouter<[H, RouterRoute]>()
  const app = new Hono<{ Bindings: Arrival }>({ router, getPath: pathBelow })

  for (const route of routes) {
    const run = (context: HttpContext) => answer(route, context)
    app.on(route.method, route.path, (context) => observed(context, route.path, run, route.refuse))
  }
  app.notFound((context) => {
    const isPage = page !== null && router.allow(context.req.path) === null
    return observed(context, isPage ? 'page' : 'unknown', answerElse)
  })
  return {
    reach,
    routes: app.routes,
    fetch: (request, arrival) => app.fetch(request, arrival),
    knows: (arrival) => router.allow(arrival.place.path) !== null || (page?.(arrival) ?? null) !== null,
  }

  function pathBelow(request: Request, context?: { env?: Arrival }): string {
    const path = getPath(request)
    if (reach.basePath === '' || context?.env?.place.isStripped === true) return path
    return reach.below(path) ?? ELSEWHERE
  }

  async function observed(
    context: HttpContext,
    route: string,
    run: (context: HttpContext) => Awaitable<Response>,
    tell?: Route['refuse'],
  ): Promise<Response> {
    const started = performance.now()
    const { env } = context
    const { method } = env
    let response: Response
    try {
      if (origins !== null) checkOrigin(env, origins, events)
      response = await run(context)
      const bytes = budget === null ? 0 : largeSize(response)
      if (budget !== null && bytes > 0) response = charged(budget, env, response, bytes)
    } catch (error) {
      response = refuse(`${method} ${route}`, error, (problem) => tell?.(context, problem) ?? null)
    }
    if (origins !== null && response.status !== CLIENT_CLOSED_REQUEST) allowOrigin(response, env, origins)
    events.emit('http.answered', { method, route, status: response.status, ms: performance.now() - started })
    return response
  }

  function refuse(where: string, error: unknown, tell: (problem: ProblemError) => Response | null): Response {
    if (error instanceof Disconnected) return new Answer(null, { status: CLIENT_CLOSED_REQUEST })
    const problem = problemOf(error) ?? unforeseen(where, error)
    return tell(problem) ?? problemResponse(problem)
  }

  function answer(route: Route, context: HttpContext): Awaitable<Response> {
    const caller = authorize(auth, route, context)
    return caller instanceof Promise
      ? caller.then((identified) => route.answer(context, identified))
      : route.answer(context, caller)
  }

  function answerElse(context: HttpContext): Response {
    const { method } = context.env
    if (context.req.path === ELSEWHERE) throw notFound(`what there is here begins with ${reach.basePath}/`)
    const allow = router.allow(context.req.path)
    if (allow !== null) {
      if (method === 'OPTIONS' && origins !== null) return optionsAnswer(allow, context.env, origins)
      throw methodNotAllowed(method, allow)
    }
    if (context.req.path === '/' && method !== 'GET' && method !== 'HEAD')
      throw methodNotAllowed(method, 'GET, HEAD')
    const file = page?.(context.env) ?? null
    if (file === null) throw notFound('there is nothing at this address; /openapi.json lists what there is')
    return file
  }

  function unforeseen(where: string, error: unknown): ProblemError {
    events.emit('failure', { where, error })
    return new ProblemError('internal_error', 'the server has logged what happened')
  }
}

function methodNotAllowed(method: string, allow: string): ProblemError {
  return new ProblemError('method_not_allowed', `${method} is not possible here; ${allow} are`, {
    headers: { allow },
  })
}

/** Counts a large answer until it is taken. Throws `unavailable` where it would be too much, of calls that change nothing. */
function charged(budget: OutputBudget, arrival: Arrival, response: Response, bytes: number): Response {
  if (arrival.isGone || !(response instanceof Answer)) return response
  if (arrival.method === 'GET' && !budget.fits(bytes))
    throw unavailable('too much waits for slow readers; try again')
  return arrival.charge(budget, response, bytes)
}

/**
 * Every address and what can be done with it. One without parameters is found with one look into a map, as most requests need,
 * and is never taken for the parameter of another: `/api/jobs/batch` is no job's. All others are found as Hono does.
 */
class AddressRouter<Handler> implements Router<Handler> {
  readonly name = 'AddressRouter'
  readonly #literal = new Map<string, Map<string, Result<Handler>>>()
  readonly #others = new TrieRouter<Handler>()
  /** Of the addresses with parameters. */
  readonly #patterns: { readonly path: string; readonly matches: RegExp; readonly methods: string[] }[] = []

  add(method: string, path: string, handler: Handler): void {
    if (!path.includes(':')) {
      const methods = this.#literal.get(path) ?? new Map<string, Result<Handler>>()
      this.#literal.set(path, methods.set(method, [[[handler, {}]]]))
      return
    }
    this.#others.add(method, path, handler)
    const known = this.#patterns.find((one) => one.path === path)
    if (known === undefined) this.#patterns.push({ path, matches: patternOf(path), methods: [method] })
    else known.methods.push(method)
  }

  match(method: string, path: string): Result<Handler> {
    const literal = this.#literal.get(path)
    return literal === undefined ? this.#others.match(method, path) : (literal.get(method) ?? [[]])
  }

  /** Value of `Allow`, or null for an address that there is not. */
  allow(path: string): string | null {
    const methods =
      this.#literal.get(path)?.keys() ?? this.#patterns.find(({ matches }) => matches.test(path))?.methods
    if (methods === undefined) return null
    return [...methods]
      .flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one]))
      .concat('OPTIONS')
      .join(', ')
  }
}

function patternOf(path: string): RegExp {
  const segments = path.split('/').map((segment) => (segment.startsWith(':') ? '[^/]+' : segment))
  return new RegExp(`^${segments.join('/').replaceAll('.', '\\.')}$`)
}
