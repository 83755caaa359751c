import type { Link, Route } from './transports/link.ts'

/**
 * Which link carries which of the watched jobs' routes: the link at work the first ones, as far as it has room, the others
 * a spare link, which polls.
 */
export class Assignments {
  /** All that are watched, in the order in which they came. */
  readonly #routes: ReadonlySet<Route>
  readonly #canSpare: () => boolean
  readonly #openSpare: () => Link
  readonly #links = new Map<Route, Link>()
  #spare: Link | null = null

  /** `canSpare`: whether there can be a spare link at all. */
  constructor(routes: ReadonlySet<Route>, canSpare: () => boolean, openSpare: () => Link) {
    this.#routes = routes
    this.#canSpare = canSpare
    this.#openSpare = openSpare
  }

  linkOf(route: Route): Link | undefined {
    return this.#links.get(route)
  }

  /** The routes that a link has room for: the first ones. All, where nothing could carry the others. */
  fitting(link: Link): ReadonlySet<Route> {
    if (this.#routes.size <= link.capacity || !this.#canSpare()) return this.#routes
    return new Set([...this.#routes].slice(0, link.capacity))
  }

  /** Has a link that is tried carry what it has room for, beside whatever carries it now. */
  fill(link: Link): void {
    for (const route of this.fitting(link)) link.carry(route)
  }

  /** Gives every route its link, with this one at work; a spare link that has nothing left to carry is closed. */
  assign(link: Link): void {
    const fitting = this.fitting(link)
    for (const route of this.#routes) {
      const next = fitting.has(route) ? link : this.#openedSpare()
      const former = this.#links.get(route)
      if (former === next) continue
      former?.drop(route)
      this.#links.set(route, next)
      if (!next.carries(route)) next.carry(route)
    }
    if (this.#spare !== null && ![...this.#links.values()].includes(this.#spare)) this.#closeSpare()
  }

  /** A link that has subscribed already takes over what the old one carries, as far as it has room; these routes. */
  relieve(old: Link, link: Link): Set<Route> {
    const taken = [...this.fitting(link)].filter((route) => this.#links.get(route) === old)
    for (const route of taken) this.#links.set(route, link)
    return new Set(taken)
  }

  /** The route is watched no more. */
  drop(route: Route, link: Link | undefined): void {
    this.#spare?.drop(route)
    this.#links.delete(route)
    if (link !== undefined && this.#spare !== null) this.assign(link)
  }

  /** The link at work is given up: what it carried has none now. */
  release(): void {
    for (const [route, link] of this.#links) if (link !== this.#spare) this.#links.delete(route)
  }

  /** No link is left; the routes stay. */
  clear(): void {
    this.#links.clear()
    this.#closeSpare()
  }

  revive(): void {
    this.#spare?.revive()
  }

  #openedSpare(): Link {
    this.#spare ??= this.#openSpare()
    return this.#spare
  }

  #closeSpare(): void {
    this.#spare?.close()
    this.#spare = null
  }
}
