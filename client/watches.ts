import type { Job } from '../shared/job.ts'
import type { ClientOptions } from './client.ts'
import { Connection, type ConnectionState } from './connection.ts'
import { JobcastError } from './errors.ts'
import type { Http } from './http.ts'
import { type ListQuery, type ListWatch, ShownList } from './list-watch.ts'
import { carrierOf, type JobCarrier } from './sharing/share.ts'
import type { Readable } from './store.ts'
import type { Tokens } from './tokens.ts'
import { LADDER } from './transports/ladder.ts'
import { type JobWatch, Watch, type WatchOptions } from './watch.ts'
import { WatchedJob } from './watched-job.ts'

/** Everything that a client watches: each job once, however many watch it, and the lists; and what carries them. */
export class Watches {
  /** The state of what carries the jobs; while none is watched, of what carries the lists. */
  readonly connection: Readable<ConnectionState>
  readonly #http: Http
  readonly #tokens: Tokens
  readonly #credential: string | undefined
  /** Carries lists; and jobs, where no other tabs share. Idle until it is needed. */
  readonly #own: Connection
  readonly #carrier: JobCarrier
  readonly #jobs = new Map<string, WatchedJob>()
  readonly #lists = new Set<ShownList>()
  #nextList = 1
  #closed = false

  constructor(http: Http, tokens: Tokens, options: ClientOptions) {
    const { credential, transports = LADDER } = options
    this.#http = http
    this.#tokens = tokens
    this.#credential = credential
    const connect = () =>
      new Connection({ http, transports, WebSocket: options.WebSocket ?? globalThis.WebSocket })
    this.#own = connect()
    // Nobody knows what other tabs have in place of a `fetch` or `WebSocket` of the page's own.
    const isCustom = options.fetch !== undefined || options.WebSocket !== undefined
    const share = options.share ?? (typeof document !== 'undefined' && !isCustom)
    this.#carrier = share ? carrierOf(this.#own, { http, credential, transports, connect }) : this.#own
    this.connection = this.#carrier.state
  }

  watch(jobId: string, options: WatchOptions): JobWatch {
    this.#expectUsable()
    if (options.token !== undefined) this.#tokens.keep(jobId, options.token, 'given')
    const history = options.history === true || options.after !== undefined
    const known = this.#jobs.get(jobId)
    const job = known ?? this.#begin(jobId, history, options.job as Job | undefined)
    const watch = new Watch(job, options)
    if (known === undefined || (history && job.wantHistory())) this.#carrier.carry(job)
    return watch
  }

  #begin(jobId: string, history: boolean, before: Job | undefined): WatchedJob {
    const job = new WatchedJob({
      jobId,
      history,
      before,
      credential: () => this.#tokens.get(jobId) ?? this.#credential,
      renew: () => this.#tokens.renew(jobId),
      released: () => {
        if (this.#jobs.get(jobId) !== job) return
        this.#jobs.delete(jobId)
        this.#tokens.unwatched(jobId)
        this.#carrier.drop(job)
      },
    })
    this.#jobs.set(jobId, job)
    this.#tokens.watched(jobId)
    return job
  }

  watchList(query: ListQuery): ListWatch {
    this.#expectUsable()
    const name = `list-${this.#nextList++}`
    const shown = new ShownList(() => this.#lists.delete(shown))
    this.#lists.add(shown)
    // A list of no jobs has nothing to be told.
    if (query.jobIds?.length === 0) shown.become({ phase: 'live' })
    else {
      import('./lists.ts').then(
        ({ carryList }) => carryList(this.#own, shown, { name, query, credential: this.#credential }),
        // Such as after a new version took the old one's place: jobs are watched without that code.
        () => shown.become({ phase: 'unsupported' }),
      )
    }
    return shown
  }

  /** The job has a new token before its old one expired. */
  credentialChanged(jobId: string): void {
    const job = this.#jobs.get(jobId)
    if (job !== undefined) this.#carrier.credentialChanged(job)
  }

  close(): void {
    this.#closed = true
    for (const shown of this.#lists) shown.end({ phase: 'refused', error: closed() })
    for (const job of [...this.#jobs.values()]) job.refused(closed())
    this.#carrier.close()
    this.#own.close()
  }

  /** Throws once the client is closed, and where nobody said which server. */
  #expectUsable(): void {
    if (this.#closed) throw closed()
    this.#http.url('')
  }
}

function closed(): JobcastError {
  return new JobcastError('closed', 'the client was closed')
}
