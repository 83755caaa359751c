import type { JobSummary } from '../shared/job.ts'
import type { Connection } from './connection.ts'
import type { JobcastError } from './errors.ts'
import type { ListQuery, ShownList } from './list-watch.ts'
import type { CarriedList, ListCarrier, ListFilter } from './transports/link.ts'
import { type SendFrame, SocketLists } from './transports/socket-lists.ts'

interface ListOptions {
  readonly name: string
  readonly query: ListQuery
  readonly credential: string | undefined
}

/** Has a list carried. This is loaded with the first one: pages that watch jobs have none. */
export function carryList(connection: Connection, shown: ShownList, options: ListOptions): void {
  if (shown.release === null) return
  const list = new WatchedList(shown, options)
  shown.release = () => connection.dropList(list)
  connection.carryList(list)
}

/** What is known of a list, as it is carried and shown. */
class WatchedList implements CarriedList {
  readonly name: string
  readonly filter: ListFilter
  readonly credential: string | undefined
  readonly #shown: ShownList
  readonly #order: ReadonlyMap<string, number> | null

  constructor(shown: ShownList, { name, query, credential }: ListOptions) {
    this.#shown = shown
    this.name = name
    this.filter = filterOf(query)
    this.credential = credential
    const { jobIds } = this.filter
    this.#order = jobIds === undefined ? null : new Map(jobIds.map((jobId, index) => [jobId, index]))
  }

  carrierOver(send: SendFrame, random: () => number): ListCarrier {
    return new SocketLists(send, random)
  }

  listed(jobs: readonly JobSummary[], missing: readonly string[]): void {
    this.#shown.become({ phase: 'live', jobs: this.#sorted(jobs), missing, error: null })
  }

  changed(jobs: readonly JobSummary[], gone: readonly string[]): void {
    const replaced = new Set([...gone, ...jobs.map(({ jobId }) => jobId)])
    const kept = this.#shown.getSnapshot().jobs.filter(({ jobId }) => !replaced.has(jobId))
    this.#shown.become({ jobs: this.#sorted([...kept, ...jobs]) })
  }

  refused(error: JobcastError): void {
    this.#shown.end({ phase: 'refused', error })
  }

  interrupted(): void {
    const { phase } = this.#shown.getSnapshot()
    if (phase === 'live' || phase === 'connecting') this.#shown.become({ phase: 'reconnecting' })
  }

  carried(isSupported: boolean): void {
    const { phase } = this.#shown.getSnapshot()
    if (phase === 'refused' || isSupported !== (phase === 'unsupported')) return
    this.#shown.become({ phase: isSupported ? 'reconnecting' : 'unsupported' })
  }

  #sorted(jobs: readonly JobSummary[]): JobSummary[] {
    const order = this.#order
    const asAsked = (one: JobSummary, other: JobSummary) =>
      (order?.get(one.jobId) ?? 0) - (order?.get(other.jobId) ?? 0)
    return [...jobs].sort(order === null ? newestFirst : asAsked)
  }
}

function newestFirst(one: JobSummary, other: JobSummary): number {
  if (one.createdAt !== other.createdAt) return one.createdAt < other.createdAt ? 1 : -1
  return one.jobId < other.jobId ? 1 : -1
}

/** The query as the frame has it: what is undefined is left out. */
function filterOf({ type, tag, limit, jobIds }: ListQuery): ListFilter {
  if (jobIds !== undefined) return { jobIds: [...new Set(jobIds)] }
  return {
    ...(type !== undefined && { type: [type].flat() }),
    ...(tag !== undefined && { tag: [tag].flat() }),
    ...(limit !== undefined && { limit }),
  }
}
