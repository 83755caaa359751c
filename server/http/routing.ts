import { ProblemError } from './problem.ts'
import type { Route } from './route.ts'

/** Knows every address and what can be done with it, for whoever asks with a method that it does not have. */
export class RouteTable {
  /** Path as Hono writes it -> value of `Allow`. Literal paths come first: `/api/jobs/batch` is no job's address. */
  readonly #allowed: readonly {
    readonly matches: RegExp
    readonly literal: boolean
    readonly allow: string
  }[]

  constructor(routes: readonly Route[]) {
    const paths = [...new Set(routes.map(({ path }) => path))].map((path) => ({
      matches: pattern(path),
      literal: !path.includes(':'),
      allow: allow(routes.filter((one) => one.path === path).map(({ method }) => method)),
    }))
    this.#allowed = paths.sort((a, b) => Number(b.literal) - Number(a.literal))
  }

  /** Value of `Allow`, or null for an address that there is not. */
  allow(path: string): string | null {
    return this.#allowed.find(({ matches }) => matches.test(path))?.allow ?? null
  }

  isLiteral(path: string): boolean {
    return this.#allowed.some(({ literal, matches }) => literal && matches.test(path))
  }
}

export function methodNotAllowed(method: string, allow: string): ProblemError {
  return new ProblemError('method_not_allowed', `${method} is not possible here; ${allow} are`, {
    headers: { allow },
  })
}

function allow(methods: readonly Route['method'][]): string {
  return [...methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])), 'OPTIONS'].join(
    ', ',
  )
}

function pattern(path: string): RegExp {
  const source = path
    .split('/')
    .map((segment) => (segment.startsWith(':') ? '[^/]+' : segment.replaceAll('.', '\\.')))
    .join('/')
  return new RegExp(`^${source}$`)
}
