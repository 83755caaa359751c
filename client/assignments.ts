import type { CarriedJob, Link } from './transports/link.ts'

/**
 * Which link carries which of the watched jobs: the link at work the first ones, as far as it has room, the others
 * a spare link, which polls.
 */
export class Assignments {
  /** All that are watched, in the order in which they came. */
  readonly #jobs: ReadonlySet<CarriedJob>
  readonly #canSpare: () => boolean
  readonly #openSpare: () => Link
  readonly #links = new Map<CarriedJob, Link>()
  #spare: Link | null = null

  /** `canSpare`: whether there can be a spare link at all. */
  constructor(jobs: ReadonlySet<CarriedJob>, canSpare: () => boolean, openSpare: () => Link) {
    this.#jobs = jobs
    this.#canSpare = canSpare
    this.#openSpare = openSpare
  }

  linkOf(job: CarriedJob): Link | undefined {
    return this.#links.get(job)
  }

  /** The jobs that a link has room for: the first ones. All, where nothing could carry the others. */
  fitting(link: Link): ReadonlySet<CarriedJob> {
    if (this.#jobs.size <= link.capacity || !this.#canSpare()) return this.#jobs
    return new Set([...this.#jobs].slice(0, link.capacity))
  }

  /** Has a link that is tried carry what it has room for, beside whatever carries it now. */
  fill(link: Link): void {
    for (const job of this.fitting(link)) link.carry(job)
  }

  /** Gives every job its link, with this one at work; a spare link that has nothing left to carry is closed. */
  assign(link: Link): void {
    const fitting = this.fitting(link)
    for (const job of this.#jobs) {
      const next = fitting.has(job) ? link : this.#openedSpare()
      const former = this.#links.get(job)
      if (former === next) continue
      former?.drop(job)
      this.#links.set(job, next)
      if (!next.carries(job)) next.carry(job)
    }
    if (this.#spare !== null && ![...this.#links.values()].includes(this.#spare)) this.#closeSpare()
  }

  /** A link that has subscribed already takes over what the old one carries, as far as it has room; these jobs. */
  relieve(old: Link, link: Link): Set<CarriedJob> {
    const taken = [...this.fitting(link)].filter((job) => this.#links.get(job) === old)
    for (const job of taken) this.#links.set(job, link)
    return new Set(taken)
  }

  /** The job is watched no more. */
  drop(job: CarriedJob, link: Link | undefined): void {
    this.#spare?.drop(job)
    this.#links.delete(job)
    if (link !== undefined && this.#spare !== null) this.assign(link)
  }

  /** The link at work is given up: what it carried has none now. */
  release(): void {
    for (const [job, link] of this.#links) if (link !== this.#spare) this.#links.delete(job)
  }

  /** No link is left; the jobs stay. */
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
