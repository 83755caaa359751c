import type { JobSummary } from '../shared/job.ts'
import { MAX_LIST, MAX_LIST_TAGS, MAX_LIST_TYPES } from '../shared/limits.ts'
import { checkOptions, listOf, oneOrList, type Rule, textUpTo, wholeNumber } from './arguments.ts'
import type { JobcastError } from './errors.ts'
import { type Readable, Store } from './store.ts'
import type { CarriedList, ListFilter } from './transports/link.ts'

/** The newest jobs of any of the types with all of the tags; or those of `jobIds`, which excludes the others. */
export interface ListQuery {
  readonly type?: string | readonly string[]
  readonly tag?: string | readonly string[]
  /** 1–200, default 50. */
  readonly limit?: number
  /** 1–200. */
  readonly jobIds?: readonly string[]
}

export interface ListState {
  /**
   * `connecting` nothing arrived yet, and nothing has failed; `live`; `reconnecting` what is shown may be old; `unsupported` what carries the
   * client at this moment cannot carry lists (only a WebSocket can), which may change; `refused` the server will not
   * show this list, `error` says why.
   */
  readonly phase: 'connecting' | 'live' | 'reconnecting' | 'unsupported' | 'refused'
  /** Newest first, or in the order of `jobIds`; without payload and result. */
  readonly jobs: readonly JobSummary[]
  /** Those of `jobIds` that there are not. */
  readonly missing: readonly string[]
  readonly error: JobcastError | null
}

/** A list of jobs, told of status changes a few times a second until `close` is called. */
export interface ListWatch extends Readable<ListState> {
  close(): void
}

const NAME = textUpTo(64)
const QUERY = {
  type: oneOrList(NAME, MAX_LIST_TYPES),
  tag: oneOrList(NAME, MAX_LIST_TAGS),
  limit: wholeNumber(1, MAX_LIST),
  // They may be so long that this many still fit into a frame.
  jobIds: listOf(textUpTo(50), 0, MAX_LIST),
} satisfies Record<keyof ListQuery, Rule>

/** Throws a `TypeError` where a server could only refuse it. */
export function checkListQuery(query: ListQuery): void {
  const { jobIds, type, tag, limit } = query ?? {}
  // Counted as they are asked for: each once.
  const asked = Array.isArray(jobIds) ? { ...query, jobIds: [...new Set(jobIds)] } : query
  checkOptions('watchList', asked, QUERY)
  if (jobIds !== undefined && (type ?? tag ?? limit) !== undefined) {
    throw new TypeError('watchList: jobIds cannot be combined with type, tag or limit')
  }
}

const EMPTY: ListState = { phase: 'connecting', jobs: [], missing: [], error: null }

export class WatchedList extends Store<ListState> implements ListWatch, CarriedList {
  readonly name: string
  readonly filter: ListFilter
  readonly credential: string | undefined
  readonly #released: () => void
  readonly #order: ReadonlyMap<string, number> | null

  constructor(options: {
    readonly name: string
    readonly query: ListQuery
    readonly credential: string | undefined
    readonly released: () => void
  }) {
    super(EMPTY)
    this.name = options.name
    this.filter = filterOf(options.query)
    this.credential = options.credential
    this.#released = options.released
    const { jobIds } = this.filter
    this.#order = jobIds === undefined ? null : new Map(jobIds.map((jobId, index) => [jobId, index]))
  }

  close(): void {
    this.#released()
  }

  listed(jobs: readonly JobSummary[], missing: readonly string[]): void {
    this.set({ phase: 'live', jobs: this.#sorted(jobs), missing, error: null })
  }

  changed(jobs: readonly JobSummary[], gone: readonly string[]): void {
    const state = this.getSnapshot()
    const replaced = new Set([...gone, ...jobs.map(({ jobId }) => jobId)])
    const kept = state.jobs.filter(({ jobId }) => !replaced.has(jobId))
    this.set({ ...state, jobs: this.#sorted([...kept, ...jobs]) })
  }

  refused(error: JobcastError): void {
    this.#released()
    this.set({ ...this.getSnapshot(), phase: 'refused', error })
  }

  interrupted(): void {
    const state = this.getSnapshot()
    if (state.phase === 'live' || state.phase === 'connecting') {
      this.set({ ...state, phase: 'reconnecting' })
    }
  }

  carried(isSupported: boolean): void {
    const state = this.getSnapshot()
    if (state.phase === 'refused') return
    if (!isSupported) this.set({ ...state, phase: 'unsupported' })
    else if (state.phase === 'unsupported') this.set({ ...state, phase: 'reconnecting' })
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
