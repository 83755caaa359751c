import { PROBLEM_TITLES, PROBLEMS, type ProblemCode } from '../shared/codes.ts'
import { PLANNED_RETRY_MS } from '../shared/limits.ts'
import { type Access, accessOf, callOf, isJobToken, permits } from './access.ts'

type Awaitable<T> = T | Promise<T>

interface CommonOptions {
  /** An API key of the server, which stays on this side; where the server asks for none, left out. */
  readonly key?: string | undefined
  /**
   * How many seconds an answer may take where the app runs: the same number as the route's own `export const maxDuration`.
   * Streams end before it, and their readers go on from where they were. Left out: answers end by themselves within 60 s.
   */
  readonly maxDuration?: number | undefined
  /**
   * Whether WebSockets get to the server under this same address, by an entry of `rewrites()` for its `/ws`. A route handler
   * cannot pass them on, so that without it clients are told to use server-sent events.
   */
  readonly webSocket?: boolean | undefined
}

/** For a Jobcast elsewhere. */
interface Remote extends CommonOptions {
  /** Where Jobcast is; left out: where `jobcast dev` is, `http://127.0.0.1:3300`. */
  readonly url?: string | undefined
  readonly server?: undefined
  /**
   * Who may do what: asked for every call that does not bring a job token along, with the request as it came, cookies and
   * all. Null is 401. It must leave the body alone, or read it from `request.clone()`.
   */
  authorize(request: Request): Awaitable<Access | null | undefined | false>
}

/** For a server within the app itself. */
interface Embedded extends CommonOptions {
  /** A server of this same process, as `createJobServer` made it. */
  readonly server: { fetch(request: Request): Awaitable<Response> }
  readonly url?: undefined
  /** As with `url`; left out: the server's own `authorize`, which gets the request as it came. */
  authorize?(request: Request): Awaitable<Access | null | undefined | false>
}

/** Of a Jobcast elsewhere (`url`), or of a server within the app (`server`). */
export type HandlerOptions = Remote | Embedded

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'
/** As a route of any framework has it. Next gives a second argument, whose type its builds compare with their own. */
type RouteHandler = (request: Request) => Promise<Response>

interface RouteContext {
  /** What `[...path]` stands for. */
  readonly params: Promise<Readonly<Record<string, string | readonly string[] | undefined>>>
}

/** Where `jobcast dev` listens. */
const DEV_URL = 'http://127.0.0.1:3300'

/**
 * The route handlers of `app/api/jobcast/[...path]/route.ts`, behind which a page finds Jobcast with `baseUrl` `/api/jobcast`.
 * They know no framework: a `Request` comes in, a `Response` goes out.
 *
 * Calls under `/api/` get through, and nothing else. Cookies and headers of the app stay here. A call that has a job token
 * is made with it; any other with `key`, as far as `authorize` permits.
 *
 * Throws a `TypeError` where an option is not what it must be.
 */
export function createHandler(options: HandlerOptions): Readonly<Record<Method, RouteHandler>> {
  checkOptions(options)
  const handler = new Handler(options)
  const handle = (request: Request, context?: RouteContext) => handler.answer(request, context)
  return { GET: handle, POST: handle, PUT: handle, DELETE: handle }
}

const OPTIONS = ['url', 'server', 'key', 'authorize', 'maxDuration', 'webSocket']

function checkOptions(options: HandlerOptions): void {
  const fail = (message: string) => {
    throw new TypeError(`createHandler: ${message}`)
  }
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name))
  if (unknown !== undefined) fail(`there is no option ${unknown}; there are ${OPTIONS.join(', ')}`)
  const { url, server, key, authorize, maxDuration } = options
  if (server !== undefined && url !== undefined)
    fail('url is a server elsewhere, server one in this process: give one of them')
  if (server !== undefined && typeof server.fetch !== 'function')
    fail('server must be what createJobServer returns')
  // With a key and nobody to ask, everybody would have its rights.
  if (authorize === undefined && (server === undefined || key !== undefined)) {
    fail(
      'authorize is missing, which says who may call: authorize: () => ({ submit: ["a-type"] }) lets everybody submit jobs of that type',
    )
  }
  if (authorize !== undefined && typeof authorize !== 'function') fail('authorize must be a function')
  if (maxDuration !== undefined && !(maxDuration >= 5))
    fail('maxDuration must be a number of seconds, 5 or more')
}

/** Headers of a caller that the server gets; no cookies, and nothing that concerns one connection only. */
const PASSED_ON = [
  'accept',
  'content-type',
  'idempotency-key',
  'if-none-match',
  'last-event-id',
  'prefer',
  'user-agent',
  'x-request-id',
  'traceparent',
  'tracestate',
  'baggage',
]
/** Headers of answers: of one connection (RFC 9110 section 7.6.1), cookies, and what describes bytes that were decoded here. */
const NOT_RETURNED =
  /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|set-cookie|content-encoding|content-length|alt-svc)$/

/** The end of an address that is a call; what is before it is where the handler stands. */
const ADDRESS = /^(.*)(\/api\/(?:jobs|types|overview)(?:\/.*)?)$/
/** No call has any of this in its address: nothing climbs, and no separator hides. */
const ODD = /%2f|%5c|%2e|%00|\\|\/\/|\/\.{1,2}(?:\/|$)/i
const NO_CALL =
  'there is no such call here: those of Jobcast begin with /api/jobs behind the path of this handler'
const NO_TOKEN =
  'send the job token that came with the answer to the submission: useJob and watch take one as token'

/** Longer bodies are not looked into for the types that they submit; the server bounds all others. */
const MOST_BYTES = 32 * 1024 * 1024
/** What a planned end of a stream says last. */
const COME_BACK = `retry: ${PLANNED_RETRY_MS - 300}\n\n`
/** How long before `maxDuration` an answer ends, in seconds. */
const MARGIN_S = 2
/** Between two lines in the log about a server that is not there. */
const COMPLAINT_MS = 10_000

/** A call on its way to the server. */
interface Errand {
  /** Where the handler stands: `/api/jobcast`. */
  readonly prefix: string
  readonly target: URL
  readonly submits: boolean
  readonly credential: string | undefined
  readonly body: BodyInit | null
}

class Handler {
  readonly #options: HandlerOptions
  #complainedAt = Number.NEGATIVE_INFINITY

  constructor(options: HandlerOptions) {
    this.#options = options
  }

  async answer(request: Request, context?: RouteContext): Promise<Response> {
    const { authorize, key } = this.#options
    const address = await addressOf(request, context)
    const [, before = '', path = ''] = ADDRESS.exec(address.pathname) ?? []
    if (path === '' || ODD.test(address.pathname)) return this.#refuse('not_found', NO_CALL)
    const call = callOf(request.method, path)
    // A server that asks for no key would take any token for good.
    const token = key === undefined ? undefined : tokenOf(request, path, address.searchParams)
    const target = this.#target(address, path)
    const { submits } = call
    const prefix = basePathOf(request, before) + before
    const errand = { prefix, target, submits, credential: token ?? key, body: request.body }
    if (authorize === undefined) return this.#run(request, errand)
    if (isForeign(request)) return this.#refuse('forbidden', 'pages of other origins may not call this app')
    // Where there is no key nobody looks whether a token is true.
    if (token !== undefined && key !== undefined) return this.#run(request, errand)

    const access = accessOf(await authorize(request))
    if (access === null) return this.#refuse('unauthorized', 'this app does not let you call Jobcast')
    const permission = permits(access, call)
    if (permission === 'no') return this.#refuse('forbidden', 'this app does not let you make this call')
    // Where there is no key there are no tokens, and whoever knows the id of a job may see it.
    if (permission === 'token' && key !== undefined) return this.#refuse('unauthorized', NO_TOKEN)
    if (!submits || !('submit' in access) || access.submit === true) return this.#run(request, errand)

    const checked = await checkTypes(request, access.submit)
    if ('code' in checked) return this.#refuse(checked.code, checked.detail)
    return this.#run(request, { ...errand, body: checked.text })
  }

  async #run(request: Request, errand: Errand): Promise<Response> {
    const { server, key } = this.#options
    try {
      const onItsWay = new Request(errand.target, {
        method: request.method,
        headers: this.#headers(request, errand),
        signal: request.signal,
        redirect: 'manual',
        cache: 'no-store',
        // Sent on while it still comes in, which goes in one direction at a time (fetch standard).
        ...(errand.body !== null && { body: errand.body, duplex: 'half' }),
      })
      const response = await (server === undefined ? fetch(onItsWay) : server.fetch(onItsWay))
      if (response.status === 401 && errand.credential === key && server === undefined)
        return this.#keyRefused()
      return this.#returned(await this.#led(response, errand))
    } catch (error) {
      if (server !== undefined) throw error
      // Nobody is left to be told.
      if (request.signal.aborted) return new Response(null, { status: 499 })
      return this.#away(request, error)
    }
  }

  /** The server's address is the app's to say; a caller adds the call to it, and nothing else. */
  #target(address: URL, path: string): URL {
    const { server, authorize, maxDuration } = this.#options
    // A server of this process that decides by itself does so by what it was asked as, too.
    const isAsked = server !== undefined && authorize === undefined
    const target = server === undefined ? this.#url() : new URL(isAsked ? address.origin : 'http://localhost')
    target.pathname = `${target.pathname.replace(/\/+$/, '')}${path}`
    target.search = address.search
    const wait = Number(target.searchParams.get('wait'))
    if (maxDuration !== undefined && wait > maxDuration - MARGIN_S) {
      target.searchParams.set('wait', String(Math.floor(maxDuration - MARGIN_S)))
    }
    return target
  }

  /** Throws where it is none, which a framework logs; not before the first call, since builds know no environment. */
  #url(): URL {
    const text = this.#options.url || DEV_URL
    const url = URL.canParse(text) ? new URL(text) : null
    if (url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '') return url
    throw new TypeError(
      `createHandler: url must be the address of Jobcast, such as "${DEV_URL}"; it is "${text}"`,
    )
  }

  #headers(request: Request, { credential }: Errand): Headers {
    const { server, authorize, maxDuration } = this.#options
    // A server of this process that decides by itself needs what the app decides by.
    const staysHere = server !== undefined && authorize === undefined
    const headers = new Headers(staysHere ? request.headers : undefined)
    for (const name of staysHere ? [] : PASSED_ON) {
      const value = request.headers.get(name)
      if (value !== null) headers.set(name, value)
    }
    const prefer = headers.get('prefer')
    if (prefer !== null && maxDuration !== undefined) {
      const most = Math.floor(maxDuration - MARGIN_S)
      headers.set(
        'prefer',
        prefer.replace(/\bwait=(\d+)/g, (_, wait) => `wait=${Math.min(Number(wait), most)}`),
      )
    }
    if (credential !== undefined) headers.set('authorization', `Bearer ${credential}`)
    return headers
  }

  /** The answer to a submission, with links that lead here. */
  async #led(response: Response, { prefix, submits }: Errand): Promise<Response> {
    if (!submits || !response.ok) return response
    const headers = new Headers(response.headers)
    const location = headers.get('location')
    if (location !== null) headers.set('location', location.replace(/^.*(?=\/api\/jobs\/)/, prefix))
    const { status } = response
    if (status !== 202) return new Response(response.body, { status, headers })
    // Of its texts only links have slashes.
    const text = (await response.text()).replace(/"[^"]*(?=\/api\/jobs\/|\/ws\?)/g, `"${prefix}`)
    return new Response(text, { status, headers })
  }

  /** What the server answered; nothing of what it says of the connection to it. */
  #returned(response: Response): Response {
    const headers = new Headers(response.headers)
    const ofConnection = (headers.get('connection') ?? '').toLowerCase().split(/\s*,\s*/)
    for (const name of [...headers.keys()]) {
      if (NOT_RETURNED.test(name) || ofConnection.includes(name)) headers.delete(name)
    }
    const { webSocket, maxDuration } = this.#options
    if (webSocket !== true) headers.set('jobcast-transports', 'sse, long-poll, polling')
    const { body, status } = response
    const isStream = body !== null && headers.get('content-type')?.startsWith('text/event-stream') === true
    const lifeMs = maxDuration === undefined ? null : (maxDuration - MARGIN_S) * 1000
    return new Response(isStream ? eventStream(body, lifeMs) : body, { status, headers })
  }

  #refuse(code: ProblemCode, detail: string, headers: Readonly<Record<string, string>> = {}): Response {
    const status = PROBLEMS[code]
    const problem = { type: `urn:jobcast:problem:${code}`, title: PROBLEM_TITLES[code], status, detail, code }
    return this.#returned(
      new Response(JSON.stringify(problem), {
        status,
        headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers },
      }),
    )
  }

  #keyRefused(): Response {
    const { key } = this.#options
    const what =
      key === undefined ? 'asks for an API key: give one as key' : 'does not know the key that it was given'
    this.#complain(`Jobcast at ${this.#url().origin} ${what}`)
    return this.#refuse(
      'internal_error',
      'Jobcast does not let this app call it; the log of the app says why',
    )
  }

  /** What passes by itself: an `EventSource` takes any other answer than 200 for final. */
  #away(request: Request, error: unknown): Response {
    this.#complain(
      `Jobcast cannot be reached at ${this.#url().origin}${reasonOf(error)}; "npx jobcast dev" starts one`,
    )
    const detail = 'Jobcast cannot be reached from this app; its log says where it was looked for'
    const { headers } = request
    if (headers.get('accept')?.startsWith('text/event-stream') === true) {
      const body = `: unavailable: ${detail}\nretry: 2000\n\n`
      return this.#returned(new Response(body, { headers: { 'content-type': 'text/event-stream' } }))
    }
    return this.#refuse('unavailable', detail, { 'retry-after': '1' })
  }

  /** For whoever runs the app, who else would only see that a page does not get on. */
  #complain(text: string): void {
    const now = Date.now()
    if (now - this.#complainedAt < COMPLAINT_MS) return
    this.#complainedAt = now
    // biome-ignore lint/suspicious/noConsole: it is the log that an app has.
    console.error(`createHandler: ${text}`)
  }
}

/** Without what Next's edge runtime adds to the query: the parameters of the route, `?path=api&path=jobs`. */
async function addressOf({ url }: Request, context: RouteContext | undefined): Promise<URL> {
  const address = new URL(url)
  for (const [name, value] of Object.entries((await context?.params) ?? {})) {
    if (value !== undefined && address.searchParams.getAll(name).join('/') === [value].flat().join('/'))
      address.searchParams.delete(name)
  }
  return address
}

/** The `basePath` of an app of Next, where it was taken off the address. */
function basePathOf(request: Request, prefix: string): string {
  const address: unknown = Reflect.get(request, 'nextUrl')
  const basePath = isRecord(address) ? address.basePath : undefined
  return typeof basePath === 'string' && !`${prefix}/`.startsWith(`${basePath}/`) ? basePath : ''
}

/** A page of another origin, which could change something in the name of whoever is signed in to this app. */
function isForeign({ method, headers, url }: Request): boolean {
  if (method === 'GET' || method === 'HEAD') return false
  const site = headers.get('sec-fetch-site')
  if (site !== null) return site !== 'same-origin' && site !== 'none'
  const origin = headers.get('origin')
  if (origin === null) return false
  const host =
    headers.get('x-forwarded-host')?.split(',')[0]?.trim() ?? headers.get('host') ?? new URL(url).host
  return !URL.canParse(origin) || new URL(origin).host !== host
}

const BEARER = /^Bearer +(\S+)\s*$/i

/** What a job token is good for. */
const READS_A_JOB = /^\/api\/jobs\/[^/]+(?:\/events)?$/
const BY_TOKEN = /^\/api\/jobs\/[^/]+\/(?:cancel|token)$/

/** A job token of the caller: in its header, or, as of an `EventSource`, in the address of a stream. */
function tokenOf(request: Request, path: string, query: URLSearchParams): string | undefined {
  const reads = request.method === 'GET' || request.method === 'HEAD'
  if (!(reads ? READS_A_JOB : BY_TOKEN).test(path)) return undefined
  const bearer = BEARER.exec(request.headers.get('authorization') ?? '')?.[1]
  if (bearer !== undefined && isJobToken(bearer)) return bearer
  return path.endsWith('/events') ? (query.get('token') ?? undefined) : undefined
}

/**
 * The text of a body whose jobs are all of these types; of one that names no type, where there is only one. What is
 * to be sent is what was looked at: numbers keep the digits that a second writing would lose.
 */
async function checkTypes(
  request: Request,
  types: readonly string[],
): Promise<{ readonly text: string } | { readonly code: ProblemCode; readonly detail: string }> {
  const tooLarge = { code: 'payload_too_large', detail: `the body may have ${MOST_BYTES} bytes` } as const
  const text = await textOf(request)
  if (text === null) return tooLarge
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return { code: 'invalid_json', detail: 'the body is not JSON' }
  }
  const jobs = isRecord(body) && Array.isArray(body.jobs) ? body.jobs : [body]
  const only = types.length === 1 ? types[0] : undefined
  if (only !== undefined && isRecord(body) && !('type' in body) && !('jobs' in body)) {
    return {
      text: text.replace('{', `{"type":${JSON.stringify(only)}${Object.keys(body).length > 0 ? ',' : ''}`),
    }
  }
  const foreign = jobs.find(
    (job) => !isRecord(job) || typeof job.type !== 'string' || !types.includes(job.type),
  )
  if (foreign === undefined) return { text }
  return { code: 'forbidden', detail: `this app lets you submit jobs of type ${types.join(' or ')} only` }
}

/** Null where it is too long, which one that comes in chunks does not say beforehand. */
async function textOf({ headers, body }: Request): Promise<string | null> {
  if (Number(headers.get('content-length')) > MOST_BYTES) return null
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  const reader = body?.getReader()
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
    if (done || value === undefined) return text + decoder.decode()
    bytes += value.byteLength
    if (bytes > MOST_BYTES) {
      reader?.cancel().catch(() => {})
      return null
    }
    text += decoder.decode(value, { stream: true })
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** Why a call of `fetch` failed, which it tells in its cause: ECONNREFUSED, say. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  if (!(cause instanceof Error)) return ''
  return ` (${'code' in cause ? cause.code : cause.message})`
}

/**
 * A stream of events as it comes in. When its time is over it ends behind a whole event with a `retry:` that asks its
 * reader to come back at once; where the server breaks off it just ends, which readers mend, and frameworks do not log.
 */
function eventStream(events: ReadableStream<Uint8Array>, lifeMs: number | null): ReadableStream<Uint8Array> {
  const reader = events.getReader()
  let timer: ReturnType<typeof setTimeout> | undefined
  let state: 'open' | 'due' | 'ended' = 'open'
  let isBetweenEvents = true

  function end(controller: ReadableStreamDefaultController<Uint8Array>, lastWords = ''): void {
    if (state === 'ended') return
    state = 'ended'
    clearTimeout(timer)
    if (lastWords !== '') controller.enqueue(new TextEncoder().encode(lastWords))
    controller.close()
    reader.cancel().catch(() => {})
  }

  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (lifeMs === null) return
      timer = setTimeout(() => {
        if (state !== 'ended') state = 'due'
        if (isBetweenEvents) end(controller, COME_BACK)
      }, lifeMs)
    },
    async pull(controller) {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }))
      if (state === 'ended') return
      if (done || value === undefined) return end(controller)
      controller.enqueue(value)
      isBetweenEvents = value.at(-1) === 0x0a && value.at(-2) === 0x0a
      if (state === 'due' && isBetweenEvents) end(controller, COME_BACK)
    },
    cancel(reason) {
      state = 'ended'
      clearTimeout(timer)
      return reader.cancel(reason)
    },
  })
}
