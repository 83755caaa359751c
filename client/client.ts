import type { BatchAnswer, ListAnswer, OverviewAnswer, SubmitAnswer, TypesAnswer } from '../shared/api.ts'
import type { Job } from '../shared/job.ts'
import type { InputOf, JobId, JobOf, JobsByName, JobType, JobTypes, ResultOf } from '../shared/job-type.ts'
import { MAX_BATCH } from '../shared/limits.ts'
import type { SubmitOptions } from '../shared/options.ts'
import type { JobStatus } from '../shared/status.ts'
import {
  CREDENTIAL,
  check,
  checkJobId,
  checkOptions,
  FUNCTION,
  JOB,
  listOf,
  type Rule,
  SIGNAL,
  TEXT,
  textUpTo,
  YES_OR_NO,
} from './arguments.ts'
import type { ConnectionState } from './connection.ts'
import { JobcastError, mayPass } from './errors.ts'
import { type Call, Http, jobPath } from './http.ts'
import { checkListQuery, type ListQuery, type ListWatch } from './list-watch.ts'
import { reconnectDelayMs } from './retry.ts'
import type { Readable } from './store.ts'
import { onAbort } from './time.ts'
import { Tokens } from './tokens.ts'
import { LADDER } from './transports/ladder.ts'
import type { TransportName } from './transports/link.ts'
import type { SocketConstructor } from './transports/socket.ts'
import type { JobWatch, WatchOptions } from './watch.ts'
import { Watches } from './watches.ts'

/** What `createClient` is called with. */
export interface ClientOptions {
  /** Where the server is, such as `https://jobs.example.com`, or a path on the page's; default: the page's origin. */
  readonly baseUrl?: string
  /** API key, sent with every call. Without one, job tokens are remembered from `submit`. */
  readonly credential?: string
  /** Which transports to use, best first; default: WebSocket, SSE, long-poll, polling. */
  readonly transports?: readonly TransportName[]
  /** In place of the global one. */
  readonly fetch?: typeof fetch
  /** Where there is no global one (Node 20), the `WebSocket` class of `ws`; without any, watching starts with SSE. */
  readonly WebSocket?: SocketConstructor
  /** Gets a new token for a job whose token has expired; default: the server is asked for one. */
  readonly renewToken?: ((jobId: string) => Promise<string> | string) | undefined
  /**
   * One connection for all tabs of the browser that have the same server, credential and transports; each has its own
   * where the browser has no Web Locks or `BroadcastChannel`. Default: in pages, unless `fetch` or `WebSocket` is given.
   */
  readonly share?: boolean
}

/** A job to be submitted. */
export interface Submission<Name extends string = string, Input = unknown> {
  readonly type: Name
  /**
   * JSON, checked by the server against the type's schema. What JSON would lose or change in silence (`NaN`, a `BigInt`, a
   * `Map`, …) is a `TypeError` that names its path, and nothing is sent.
   */
  readonly payload: Input
  readonly options?: SubmitOptions
}

/** How a submission is sent. */
export interface SubmitCall {
  /** Makes the submission repeatable: it is then sent again, for as long as `signal` allows, until it is answered. */
  readonly idempotencyKey?: string
  readonly signal?: AbortSignal
}

export interface RunCall extends SubmitCall {
  /**
   * Ends the wait, not the job: that goes on, unless `cancelOnAbort` says otherwise. The error (code `aborted`) tells which,
   * and has the job's id.
   */
  readonly signal?: AbortSignal
  /** The job is cancelled where `signal` fires. */
  readonly cancelOnAbort?: boolean
  /** As of `watch`: called with every event of the job, in order. */
  readonly onEvent?: WatchOptions['onEvent']
}

/** Which jobs a list has, the newest first. */
export interface JobsQuery<Name extends string = string> {
  /** Any of them. */
  readonly type?: Name | readonly Name[]
  /** Any of them. */
  readonly status?: JobStatus | readonly JobStatus[]
  /** All of them. */
  readonly tag?: string | readonly string[]
  /** 1–200, default 50; with `full` at most 20. */
  readonly limit?: number
  /** `nextPage` of the page before. */
  readonly page?: string
  /** The jobs come with payloads and results. */
  readonly full?: boolean
}

/** The answer to a submission of the type. */
export type SubmittedJob<Name extends string = string> = Omit<SubmitAnswer, 'jobId' | 'type'> & {
  readonly jobId: JobId<Name>
  readonly type: Name
}

/** As a condition it is shown in errors as the names themselves. */
type Names<Jobs> = JobsByName<Jobs> extends infer ByName ? keyof ByName & string : never
type Called<Jobs, Name extends Names<Jobs>> = Extract<JobsByName<Jobs>[Name], JobType>
type SubmissionOf<Jobs> = {
  [Name in Names<Jobs>]: Submission<Name, InputOf<Called<Jobs, Name>>>
}[Names<Jobs>]

/**
 * `Jobs` is what an app's jobs are declared as (`typeof jobs`): with it names, payloads and results are those of the
 * declarations; without it any go. Every method that calls the server rejects with a `JobcastError`; with a `TypeError`
 * where the call itself is a mistake.
 */
export interface JobcastClient<Jobs extends JobTypes = readonly JobType[]> {
  /** Resolves once the job is stored. Without an `idempotencyKey` it is sent once and never again. */
  submit<Name extends Names<Jobs>>(
    submission: Submission<Name, InputOf<Called<Jobs, Name>>> & SubmitCall,
  ): Promise<SubmittedJob<Name>>
  /** All or none, in order; 1–1,000. */
  submitBatch(jobs: readonly SubmissionOf<Jobs>[], call?: SubmitCall): Promise<BatchAnswer>
  /**
   * Submits, and resolves to the job's result once it completed. Rejects with a `JobcastError` where it did not: code
   * `job_failed` or `job_cancelled`, with the job; `removed` or `expired` where it was forgotten before its end was seen.
   */
  run<Name extends Names<Jobs>>(
    submission: Submission<Name, InputOf<Called<Jobs, Name>>>,
    call?: RunCall,
  ): Promise<ResultOf<Called<Jobs, Name>>>
  /** An id that a typed `submit` answered with remembers its type; of any other string it may be any of them. */
  get<Name extends Names<Jobs> = Names<Jobs>>(
    jobId: JobId<Name>,
    call?: { readonly signal?: AbortSignal },
  ): Promise<JobOf<Called<Jobs, Name>>>
  list(query?: JobsQuery<Names<Jobs>>, call?: { readonly signal?: AbortSignal }): Promise<ListAnswer>
  types(call?: { readonly signal?: AbortSignal }): Promise<TypesAnswer>
  overview(call?: { readonly signal?: AbortSignal }): Promise<OverviewAnswer>
  /** Requests the cancel of a running job, which takes a moment: watch for `cancelled`. */
  cancel(jobId: string): Promise<Job>
  /** A failed or cancelled job, once more. */
  retry(jobId: string): Promise<Job>
  /** Forgets a terminal job. */
  remove(jobId: string): Promise<void>
  pause(type: Names<Jobs>): Promise<void>
  resume(type: Names<Jobs>): Promise<void>
  /** Throws (code `closed`) once the client is closed; a `TypeError` where the call is a mistake. */
  watch<Name extends Names<Jobs> = Names<Jobs>>(
    jobId: JobId<Name>,
    options?: WatchOptions,
  ): JobWatch<JobOf<Called<Jobs, Name>>>
  /**
   * Many jobs at once: by type and tag, or by id. Where auth is on, it takes an API key as the client's credential. Throws
   * as `watch` does.
   */
  watchList(query?: ListQuery): ListWatch
  /** What carries the watched jobs; while none is watched, what carries the lists. */
  readonly connection: Readable<ConnectionState>
  /**
   * The server's time as far as its answers told, in ms since 1970, whatever the machine's own clock says; to count from the
   * times that jobs have.
   */
  now(): number
  /** Ends every watch (`finished` rejects with code `closed`) and connection. */
  close(): void
}

/** How long a submission with an idempotency key is tried where no signal says so. */
const SUBMIT_WITHIN_MS = 60_000

const BASE_URL: Rule = {
  is: (value) => typeof value === 'string' && (value === '' || isServer(value)),
  says: 'the address of a server, such as "https://jobs.example.com"',
}
const TRANSPORT: Rule = {
  is: (value) => LADDER.some((name) => name === value),
  says: LADDER.map((name) => `"${name}"`).join(' or '),
}
const CLIENT_OPTIONS = {
  baseUrl: BASE_URL,
  credential: CREDENTIAL,
  transports: listOf(TRANSPORT, 1, LADDER.length),
  fetch: FUNCTION,
  WebSocket: FUNCTION,
  renewToken: FUNCTION,
  share: YES_OR_NO,
} satisfies Record<keyof ClientOptions, Rule>
const WATCH_OPTIONS = {
  after: TEXT,
  job: JOB,
  token: CREDENTIAL,
  history: YES_OR_NO,
  onEvent: FUNCTION,
} satisfies Record<keyof WatchOptions, Rule>
/** What is in it is the server's to check. */
const SUBMISSION: Rule = {
  is: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  says: 'an object such as { type: "word-count", payload: { text: "to be" } }',
}
const TYPE = textUpTo(64)
const SIGNALLED = { signal: SIGNAL }
const SUBMIT_CALL = { idempotencyKey: textUpTo(255), signal: SIGNAL } satisfies Record<keyof SubmitCall, Rule>
const RUN_CALL = {
  ...SUBMIT_CALL,
  cancelOnAbort: YES_OR_NO,
  onEvent: FUNCTION,
} satisfies Record<keyof RunCall, Rule>

/**
 * Makes a client, which opens nothing until it is used. Throws a `TypeError` that says what was expected where an option is
 * not what it must be.
 */
export function createClient<Jobs extends JobTypes = readonly JobType[]>(
  options: ClientOptions = {},
): JobcastClient<Jobs> {
  checkOptions('createClient', options, CLIENT_OPTIONS)
  // The border: that the server has these job types, and that what it answers is theirs, is the caller's word.
  return new Client(options) as JobcastClient as JobcastClient<Jobs>
}

class Client implements JobcastClient {
  readonly #credential: string | undefined
  readonly #http: Http
  readonly #tokens: Tokens
  readonly #watches: Watches

  constructor(options: ClientOptions) {
    const { credential, fetch, renewToken } = options
    // An empty one is what a setting that is missing in a build leaves.
    const baseUrl = options.baseUrl ? addressOf(options.baseUrl)?.href : undefined
    this.#credential = credential
    this.#http = new Http({ baseUrl, fetch })
    const changed = (jobId: string) => this.#watches.credentialChanged(jobId)
    this.#tokens = new Tokens({ http: this.#http, credential, renewToken, changed })
    this.#watches = new Watches(this.#http, this.#tokens, options)
  }

  get connection(): Readable<ConnectionState> {
    return this.#watches.connection
  }

  now(): number {
    return this.#http.clock.now()
  }

  async submit<Name extends string>(submit: Submission<Name> & SubmitCall): Promise<SubmittedJob<Name>> {
    check('submit: the job', submit, SUBMISSION)
    const { idempotencyKey, signal, ...submission } = submit
    const answer = await this.#post<SubmittedJob<Name>>('/api/jobs', submission, { idempotencyKey, signal })
    this.#remember(answer)
    return answer
  }

  async submitBatch(jobs: readonly Submission[], call: SubmitCall = {}): Promise<BatchAnswer> {
    check('submitBatch: the jobs', jobs, listOf(SUBMISSION, 1, MAX_BATCH))
    checkOptions('submitBatch', call, SUBMIT_CALL)
    const answer = await this.#post<BatchAnswer>('/api/jobs/batch', { jobs }, call)
    for (const job of answer.jobs) this.#remember(job)
    return answer
  }

  async run(submission: Submission, call: RunCall = {}): Promise<unknown> {
    checkOptions('run', call, RUN_CALL)
    const { run } = await import('./run.ts')
    const cancel = (jobId: string, timeoutMs: number) =>
      this.#command<Job>('cancel', jobId, 'POST', '/cancel', timeoutMs)
    return run(this, cancel, submission, call)
  }

  async get(jobId: string, call: { readonly signal?: AbortSignal } = {}): Promise<Job> {
    checkJobId('get', jobId)
    checkOptions('get', call, SIGNALLED)
    return this.#http.json(jobPath(jobId), { ...call, credential: this.#credentialFor(jobId) })
  }

  async list(query: JobsQuery = {}, call: { readonly signal?: AbortSignal } = {}): Promise<ListAnswer> {
    return this.#call(`/api/jobs${search(query)}`, call)
  }

  types(call: { readonly signal?: AbortSignal } = {}): Promise<TypesAnswer> {
    return this.#call('/api/types', call)
  }

  overview(call: { readonly signal?: AbortSignal } = {}): Promise<OverviewAnswer> {
    return this.#call('/api/overview', call)
  }

  async cancel(jobId: string): Promise<Job> {
    return this.#command('cancel', jobId, 'POST', '/cancel')
  }

  async retry(jobId: string): Promise<Job> {
    return this.#command('retry', jobId, 'POST', '/retry')
  }

  async remove(jobId: string): Promise<void> {
    await this.#command('remove', jobId, 'DELETE')
  }

  async pause(type: string): Promise<void> {
    await this.#switch('pause', type)
  }

  async resume(type: string): Promise<void> {
    await this.#switch('resume', type)
  }

  watch(jobId: string, options: WatchOptions = {}): JobWatch {
    checkJobId('watch', jobId)
    checkOptions('watch', options, WATCH_OPTIONS)
    return this.#watches.watch(jobId, options)
  }

  watchList(query: ListQuery = {}): ListWatch {
    checkListQuery(query)
    return this.#watches.watchList(query)
  }

  close(): void {
    this.#watches.close()
  }

  async #command<T>(
    name: string,
    jobId: string,
    method: 'POST' | 'DELETE',
    rest?: string,
    timeoutMs?: number,
  ): Promise<T> {
    checkJobId(name, jobId)
    return this.#http.json(jobPath(jobId, rest), {
      method,
      credential: this.#credentialFor(jobId),
      timeoutMs,
    })
  }

  async #switch(name: 'pause' | 'resume', type: string): Promise<void> {
    check(`${name}: the type`, type, TYPE)
    await this.#call(`/api/types/${encodeURIComponent(type)}/${name}`, { method: 'POST' })
  }

  #call<T>(path: string, call: Call): Promise<T> {
    return this.#http.json(path, { ...call, credential: this.#credential })
  }

  /** Sends a submission; with an idempotency key again, where the server is away or its answer was lost. */
  async #post<T>(
    path: string,
    body: unknown,
    { idempotencyKey, signal }: Partial<SubmitCallArguments>,
  ): Promise<T> {
    const call: Call = { method: 'POST', body, signal }
    if (idempotencyKey === undefined) return this.#call(path, call)
    if (!/^[\x20-\x7e]{1,255}$/.test(idempotencyKey)) {
      throw new JobcastError('invalid_idempotency_key', 'an idempotency key is 1–255 printable characters')
    }
    const until = signal === undefined ? performance.now() + SUBMIT_WITHIN_MS : Number.POSITIVE_INFINITY
    for (let n = 0; ; n++) {
      try {
        return await this.#call(path, { ...call, headers: { 'idempotency-key': idempotencyKey } })
      } catch (error) {
        if (!(error instanceof JobcastError) || !mayPass(error)) throw error
        const delayMs = Math.max(reconnectDelayMs(n, Math.random), error.retryAfterMs ?? 0)
        if (performance.now() + delayMs > until) throw error
        await pause(delayMs, signal)
      }
    }
  }

  #credentialFor(jobId: string): string | undefined {
    return this.#credential ?? this.#tokens.get(jobId)
  }

  #remember(answer: Pick<SubmitAnswer, 'jobId' | 'token'>): void {
    if (answer.token !== undefined) this.#tokens.keep(answer.jobId, answer.token, 'fresh')
  }
}

/** An address of its own, or a path on the page's server. */
function isServer(baseUrl: string): boolean {
  const url = addressOf(baseUrl)
  // A server that renders a page has no address for a path, and calls nothing.
  if (url === null) return baseUrl.startsWith('/')
  return /^https?:$/.test(url.protocol) && url.search === '' && url.hash === ''
}

function addressOf(baseUrl: string): URL | null {
  const page = globalThis.location?.href
  return URL.canParse(baseUrl, page) ? new URL(baseUrl, page) : null
}

interface SubmitCallArguments {
  readonly idempotencyKey: string | undefined
  readonly signal: AbortSignal | undefined
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      unlink()
      resolve()
    }, ms)
    const unlink = onAbort(signal, () => {
      clearTimeout(timer)
      reject(new JobcastError('aborted', 'the call was aborted', { cause: signal?.reason }))
    })
  })
}

function search(query: JobsQuery): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === false) continue
    for (const one of [value].flat()) parameters.append(name, one === true ? '1' : String(one))
  }
  const text = parameters.toString()
  return text === '' ? '' : `?${text}`
}
