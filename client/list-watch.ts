import type { JobSummary } from '../shared/job.ts'
import { MAX_LIST, MAX_LIST_TAGS, MAX_LIST_TYPES } from '../shared/limits.ts'
import { checkOptions, listOf, oneOrList, type Rule, textUpTo, wholeNumber } from './arguments.ts'
import type { JobcastError } from './errors.ts'
import { type Readable, Store } from './store.ts'

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

/** A list as its user sees it: nothing is known, until the code that lists take is there and fills it. */
export class ShownList extends Store<ListState> implements ListWatch {
  readonly #closed: () => void
  /** Ends what carries it; null: nothing does, or it is over. */
  release: (() => void) | null = () => {}

  constructor(closed: () => void) {
    super({ phase: 'connecting', jobs: [], missing: [], error: null })
    this.#closed = closed
  }

  become(change: Partial<ListState>): void {
    this.set({ ...this.getSnapshot(), ...change })
  }

  /** Nothing changes it any more. */
  end(change: Partial<ListState>): void {
    this.close()
    this.become(change)
  }

  close(): void {
    const { release } = this
    this.release = null
    this.#closed()
    release?.()
  }
}
