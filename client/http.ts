import type { Problem } from '../shared/api.ts'
import { JobcastError } from './errors.ts'
import { toJson } from './json.ts'
import { moment, ServerClock } from './server-clock.ts'
import { startTimeout } from './timeout.ts'

export interface HttpOptions {
  /** Without a slash at the end; undefined: the page's own origin. */
  readonly baseUrl: string | undefined
  readonly fetch: typeof fetch | undefined
}

export interface Call {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly body?: unknown
  /** API key or job token. */
  readonly credential?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
  /** How long the whole answer may take. */
  readonly timeoutMs?: number
}

/** Large payloads over slow lines take their time; for ever is too long. */
const CALL_TIMEOUT_MS = 60_000

/** HTTP calls to one server; whatever goes wrong is a `JobcastError`. */
export class Http {
  readonly clock = new ServerClock()
  readonly #options: HttpOptions

  constructor(options: HttpOptions) {
    this.#options = options
  }

  /** The address of a path on the server. Throws where nobody said which server. */
  url(path: string): string {
    const base = this.#options.baseUrl ?? globalThis.location?.origin
    if (base === undefined) throw new JobcastError('unsupported', 'outside of a page, baseUrl must be given')
    return base.replace(/\/+$/, '') + path
  }

  /**
   * Makes the call and reads its JSON; null for an answer without a body. Rejects with a `TypeError`, and sends nothing,
   * where JSON cannot hold the body.
   */
  async json<T>(path: string, call: Call = {}): Promise<T> {
    const body = call.body === undefined ? undefined : toJson(call.body)
    const deadline = new AbortController()
    const abort = () => deadline.abort(call.signal?.reason)
    call.signal?.addEventListener('abort', abort)
    if (call.signal?.aborted) abort()
    const timer = startTimeout(call.timeoutMs ?? CALL_TIMEOUT_MS, (slept) =>
      deadline.abort(new JobcastError(slept ? 'network' : 'timeout', 'the server did not answer in time')),
    )
    try {
      const response = await this.send(path, { ...call, signal: deadline.signal }, body)
      if (response.status === 204) return null as T
      return await readJson<T>(response)
    } catch (error) {
      throw describe(error, deadline.signal)
    } finally {
      clearTimeout(timer)
      call.signal?.removeEventListener('abort', abort)
    }
  }

  /** The raw answer, once its head is there; a refusal throws. The caller bounds it with a signal. */
  async send(path: string, call: Omit<Call, 'body'>, body?: string): Promise<Response> {
    const headers: Record<string, string> = { accept: 'application/json', ...call.headers }
    if (call.credential !== undefined) headers.authorization = `Bearer ${call.credential}`
    if (body !== undefined) headers['content-type'] = 'application/json'
    const request = this.#options.fetch ?? globalThis.fetch
    const asked = moment()
    let response: Response
    try {
      response = await request(this.url(path), {
        method: call.method ?? 'GET',
        headers,
        cache: 'no-store',
        ...(body === undefined ? {} : { body }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      })
    } catch (error) {
      throw describe(error, call.signal)
    }
    if (!response.ok) throw await refusal(response)
    this.clock.note(Date.parse(response.headers.get('date') ?? ''), asked)
    return response
  }
}

/** The border: the server's answers are trusted to have the shape that the protocol promises. */
async function readJson<T>(response: Response): Promise<T> {
  const text = await response.text()
  try {
    return JSON.parse(text) as T
  } catch (cause) {
    const { status } = response
    throw new JobcastError('http_error', `HTTP ${status} with something that is not JSON`, { status, cause })
  }
}

/** The server's own words (RFC 9457), or what little a stranger's answer says. */
async function refusal(response: Response): Promise<JobcastError> {
  const { status, statusText, headers } = response
  const details = { status, retryAfterMs: retryAfterMs(headers) }
  const isProblem = headers.get('content-type')?.startsWith('application/problem+json') === true
  const problem = isProblem ? await readJson<Problem>(response).catch(() => null) : null
  if (problem === null) return new JobcastError('http_error', `HTTP ${status} ${statusText}`.trim(), details)
  const { code, detail, errors = [], jobId, jobIds = jobId === undefined ? [] : [jobId] } = problem
  return new JobcastError(code, detail, { ...details, errors, jobIds })
}

/** `Retry-After` in ms: seconds, or a date (RFC 9110 section 10.2.3), which is one by the clock of whoever answers. */
export function retryAfterMs(headers: Headers): number | null {
  const header = headers.get('retry-after')
  if (header === null) return null
  if (/^\d+$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  const answeredAt = Date.parse(headers.get('date') ?? '')
  return Number.isNaN(at) ? null : Math.max(0, at - (Number.isNaN(answeredAt) ? Date.now() : answeredAt))
}

function describe(error: unknown, signal: AbortSignal | undefined): JobcastError {
  if (error instanceof JobcastError) return error
  if (signal?.aborted) {
    if (signal.reason instanceof JobcastError) return signal.reason
    return new JobcastError('aborted', 'the call was aborted', { cause: signal.reason })
  }
  const why = error instanceof Error && error.message !== '' ? `: ${error.message}` : ''
  return new JobcastError('network', `the server could not be reached${why}`, { cause: error })
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

export function jobPath(jobId: string, rest = ''): string {
  return `/api/jobs/${encodeURIComponent(jobId)}${rest}`
}
