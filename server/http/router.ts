import type { Result, Router } from 'hono/router'
import { TrieRouter } from 'hono/router/trie-router'

/**
 * Every address and what can be done with it. One without parameters is found with one look into a map, as most requests need,
 * and is never taken for the parameter of another: `/api/jobs/batch` is no job's. All others are found as Hono does.
 */
export class AddressRouter<Handler> implements Router<Handler> {
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
