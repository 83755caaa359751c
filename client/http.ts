import type { Problem } from '../shared/api.ts'
import { JobcastError } from './errors.ts'
import { moment, onAbort, ServerClock, startTimeout } from './time.ts'

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
  readonly timeoutMs?: number | undefined
}

/** Who stands before a server and cannot pass on every transport says with it which ones get through. */
const TRANSPORTS_HEADER = 'jobcast-transports'
/** Large payloads over slow lines take their time; for ever is too long. */
const CALL_TIMEOUT_MS = 60_000

/** HTTP calls to one server; whatever goes wrong is a `JobcastError`. */
export class Http {
  readonly clock = new ServerClock()
  /** The transports that get to the server, as its answers say where something on the way lets fewer through; null: nothing said so. */
  passing: readonly string[] | null = null
  readonly #options: HttpOptions

  constructor(options: HttpOptions) {
    this.#options = options
  }

  /** Whether the server is below a path, so that something stands before it. */
  get isBelowPath(): boolean {
    return new URL(this.url('/')).pathname !== '/'
  }

  /** The address of a path on the server. Throws where nobody said which server. */
  url(path: string): string {
    const base = this.#options.baseUrl ?? globalThis.location?.origin
    if (base === undefined) {
      throw new JobcastError(
        'unsupported',
        'outside of a page, baseUrl must be the whole address of a server',
      )
    }
    return base.replace(/\/+$/, '') + path
  }

  /**
   * Makes the call and reads its JSON; null for an answer without a body. Rejects with a `TypeError`, and sends nothing,
   * where JSON cannot hold the body.
   */
  async json<T>(path: string, call: Call = {}): Promise<T> {
    const body = call.body === undefined ? undefined : toJson(call.body)
    const deadline = new AbortController()
    const unlink = onAbort(call.signal, () => deadline.abort(call.signal?.reason))
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
      unlink()
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
        body: body ?? null,
        signal: call.signal ?? null,
      })
    } catch (error) {
      throw describe(error, call.signal)
    }
    const passing = response.headers.get(TRANSPORTS_HEADER)
    if (passing !== null) this.passing = passing.split(/\s*,\s*/)
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

/**
 * The JSON of a value. Throws a `TypeError` that names the path of what JSON would lose or change in silence: an
 * infinite number, a `BigInt`, a function, `undefined` in an array, or an object whose data is not in its fields, such as a
 * `Map`, a `Blob` or a promise. A field that is undefined is left out, a `toJSON` is followed. Where there is no JSON at all,
 * as of a circular value, a `JobcastError`.
 */
export function toJson(value: unknown): string {
  let lost: string | null
  try {
    lost = lossIn(value, '', '')
    if (lost === null) return JSON.stringify(value)
  } catch (cause) {
    throw new JobcastError('invalid_json', 'what is to be sent cannot be written as JSON', { cause })
  }
  throw new TypeError(`JSON cannot hold ${lost}`)
}

/** The path of what would be lost, with what it is; null where nothing is. */
function lossIn(value: unknown, path: string, key: string, holder?: unknown): string | null {
  const toJSON: unknown = Reflect.get(Object(value), 'toJSON')
  const inner: unknown = typeof toJSON === 'function' ? toJSON.call(value, key) : value
  const loss = lossOf(inner, value, holder)
  if (loss !== null) return `${path}: ${loss}`
  if (typeof inner !== 'object' || inner === null) return null
  for (const [name, one] of Object.entries(inner)) {
    const lost = lossIn(one, path === '' ? name : `${path}.${name}`, name, inner)
    if (lost !== null) return lost
  }
  return null
}

/** What it is that would be lost of a value, whose own `toJSON` has spoken. */
function lossOf(value: unknown, whole: unknown, holder: unknown): string | null {
  if (value === undefined) return Array.isArray(holder) ? 'undefined' : null
  if (typeof value === 'number') return Number.isFinite(value) ? null : String(value)
  if (value === null) return whole instanceof Date ? 'an invalid Date' : null
  const kind = Object.prototype.toString.call(value).slice('[object '.length, -1)
  if (/^(Object|Array|Number|String|Boolean)$/.test(kind)) return null
  const isOdd = typeof value !== 'object' || Object.keys(value).length === 0 || /Error|Array$/.test(kind)
  return isOdd ? kind : null
}
