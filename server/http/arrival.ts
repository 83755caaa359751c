import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { type Caller, requestOf } from '../auth/auth.ts'
import type { Incoming, Reach } from '../auth/reach.ts'
import type { OutputBudget } from '../gateway/output-budget.ts'
import { bytesTaken } from '../gateway/transports/websocket/socket-pipe.ts'
import { Answer } from './answer.ts'
import { Disconnected, ProblemError } from './problem.ts'

/**
 * A request as it arrived, whatever carries it: what the routes need of it, and may do with its caller, beside what Hono reads
 * of any request. One of `node:http`, one that `fetch` was called with, one of a client in this process.
 */
export interface Arrival extends Incoming {
  readonly place: Place
  readonly method: string
  /** Who is calling, where that is known already. */
  readonly caller: Caller | null
  /** Nobody is left to be answered. */
  readonly isGone: boolean
  /** Whether something may come behind the headers. */
  readonly hasBody: boolean
  /** Reads the body, of at most `limit` bytes. Throws `ProblemError` (413, 408) and `Disconnected`. */
  read(limit: number): Promise<Buffer>
  /** Breaks the connection off, where the reader is too slow; left out: the body of the answer is to break. */
  cut?(): void
  /** Counts a large answer until it is taken; what comes back is to be sent in its place. */
  charge(budget: OutputBudget, answer: Answer, bytes: number): Response
  /** The request for whoever decides by it; without its body. */
  toRequest(): Request
}

/** Express leaves in `url` what is behind the place where it mounted a handler, and parses bodies before it. */
type MaybeExpress = IncomingMessage & { readonly originalUrl?: unknown; readonly body?: unknown }

/** What came over `node:http`. */
export class NodeArrival implements Arrival {
  readonly caller = null
  readonly #incoming: MaybeExpress
  readonly #outgoing: ServerResponse
  readonly #reach: Reach
  /** Most requests need not be asked. */
  #place: Place | undefined

  constructor(incoming: IncomingMessage, outgoing: ServerResponse, reach: Reach) {
    this.#incoming = incoming
    this.#outgoing = outgoing
    this.#reach = reach
  }

  get place(): Place {
    this.#place ??= placeOfNode(this.#incoming, this.#reach)
    return this.#place
  }

  get mount(): string {
    return this.#incoming.originalUrl === undefined ? '' : this.place.mount
  }

  get method(): string {
    return this.#incoming.method ?? 'GET'
  }

  get headers(): IncomingHttpHeaders {
    return this.#incoming.headers
  }

  get socket(): Incoming['socket'] {
    return this.#incoming.socket
  }

  get isGone(): boolean {
    return this.#outgoing.destroyed
  }

  get hasBody(): boolean {
    const { headers } = this.#incoming
    const length = headers['content-length']
    return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
  }

  cut(): void {
    this.#incoming.socket.destroy()
  }

  async read(limit: number): Promise<Buffer> {
    const incoming = this.#incoming
    if (Number(incoming.headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
    // Node tells of a request as soon as it has read the headers, and of a body that came along with them right after.
    await null
    if (incoming.readableEnded) return parsedElsewhere(incoming.body, limit)
    if (incoming.destroyed) throw new Disconnected('the caller went away')
    const whole = readAtOnce(incoming)
    if (whole !== null) return whole
    // Whoever asked first is told to go on only now, when the call is allowed and the size is fine.
    if (incoming.headers.expect !== undefined) this.#outgoing.writeContinue()
    return readAsItComes(incoming, limit)
  }

  charge(budget: OutputBudget, answer: Answer, bytes: number): Response {
    const { socket } = this.#incoming
    const charge = budget.charge({ taken: () => bytesTaken(socket), cut: () => this.cut() })
    charge.add(bytes)
    this.#outgoing.once('close', charge.release)
    return answer
  }

  toRequest(): Request {
    return requestOf(this.#incoming, this.#reach)
  }
}

/** What `fetch` was called with. */
export class FetchArrival implements Arrival {
  readonly caller = null
  readonly place: Place
  readonly headers: IncomingHttpHeaders
  readonly socket = {}
  readonly #request: Request

  constructor(request: Request, reach: Reach) {
    const { pathname, host } = new URL(request.url)
    this.place = placeOf(pathname, reach)
    this.#request = request
    this.headers = Object.fromEntries(request.headers)
    this.headers.host ??= host
  }

  get method(): string {
    return this.#request.method
  }

  get isGone(): boolean {
    return this.#request.signal.aborted
  }

  get hasBody(): boolean {
    return this.#request.body !== null
  }

  async read(limit: number): Promise<Buffer> {
    if (this.#request.bodyUsed) throw readBefore()
    const { body } = this.#request
    return body === null ? Buffer.alloc(0) : readStream(body, limit)
  }

  charge(budget: OutputBudget, answer: Answer): Response {
    return metered(budget, answer)
  }

  toRequest(): Request {
    const { url, method, headers } = this.#request
    return new Request(url, { method, headers })
  }
}

/** What a client in this process asks. */
export interface Call {
  /** At `localhost`, without the base path. */
  readonly url: string
  readonly method: string
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
  readonly signal: AbortSignal
}

/** Comes from a client in this process, which may do everything; a `Request` would cost as much as all that is done with it. */
export class CallArrival implements Arrival {
  readonly place: Place
  readonly caller = { kind: 'anyone' } as const
  readonly headers: IncomingHttpHeaders
  readonly socket = {}
  readonly #call: Call

  constructor(call: Call) {
    const path = pathOf(call.url.slice(call.url.indexOf('/', 'http://'.length)))
    this.place = { path, isStripped: true, mount: '' }
    this.#call = call
    this.headers = { host: 'localhost', ...call.headers }
  }

  get method(): string {
    return this.#call.method
  }

  get isGone(): boolean {
    return this.#call.signal.aborted
  }

  get hasBody(): boolean {
    return this.#call.body !== null
  }

  /** As much of a `Request` as Hono and the routes look at. */
  get request(): Request {
    return this.#call as Pick<Request, 'url' | 'method' | 'signal'> as Request
  }

  async read(limit: number): Promise<Buffer> {
    return parsedElsewhere(this.#call.body ?? '', limit)
  }

  charge(_budget: OutputBudget, answer: Answer): Response {
    return answer
  }

  toRequest(): Request {
    const { url, method, headers } = this.#call
    return new Request(url, { method, headers })
  }
}

/** Where a request is addressed to. */
interface Place {
  /**
   * What of the path is below the base path; empty where it is not. Of the path as it was sent: what a URL parser makes of
   * `/a/../b` would hide what was asked for.
   */
  readonly path: string
  /** Whether the base path is left out in the address that Hono is given. */
  readonly isStripped: boolean
  /** See `Incoming`. */
  readonly mount: string
}

/** Whoever is asked for what is not below the base path. */
export function isElsewhere({ place }: Arrival): boolean {
  return place.path === ''
}

function placeOf(asked: string, reach: Reach): Place {
  return { path: reach.below(asked) ?? '', isStripped: false, mount: '' }
}

/**
 * The same of a request of `node:http`. Where Express has mounted the handler, `url` has left out what it is mounted at: the
 * base path, or anything where there is none.
 */
function placeOfNode({ url = '/', originalUrl = url }: MaybeExpress, reach: Reach): Place {
  const path = pathOf(url)
  if (typeof originalUrl !== 'string' || originalUrl === url) return placeOf(path, reach)
  const asked = pathOf(originalUrl)
  const mount = asked.endsWith(path) ? asked.slice(0, -path.length) : asked
  if (mount === reach.basePath) return { path, isStripped: true, mount: '' }
  return { ...placeOf(path, reach), mount }
}

function pathOf(target: string): string {
  return target.replace(/[?#].*$/s, '')
}

/** A body may take this long, in ms, whatever its speed; from then on it must have kept the least speed. */
const GRACE_MS = 10_000
const LEAST_BYTES_PER_MS = 1
const SPEED_CHECK_MS = 2000

/** A small body has mostly come together with its headers: then it needs neither listeners nor a timer. */
function readAtOnce(incoming: IncomingMessage): Buffer | null {
  const { readableLength } = incoming
  if (readableLength === 0 || readableLength !== Number(incoming.headers['content-length'])) return null
  return incoming.read()
}

function readAsItComes(incoming: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const started = performance.now()
    const chunks: Buffer[] = []
    let size = 0

    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size > limit) return fail(tooLarge(limit))
      chunks.push(chunk)
    }
    const onEnd = () => {
      release()
      resolve(joined(chunks, size))
    }
    const onGone = () => fail(new Disconnected('the caller went away'))
    const checkSpeed = () => {
      if (isTooSlow(size, started)) return fail(tooSlow())
      timer = setTimeout(checkSpeed, SPEED_CHECK_MS)
    }
    let timer = setTimeout(checkSpeed, GRACE_MS)
    const release = () => {
      clearTimeout(timer)
      incoming.off('data', onData)
      incoming.off('end', onEnd)
      incoming.off('error', onGone)
      incoming.off('close', onGone)
    }
    const fail = (error: Error) => {
      release()
      // An error that comes later, as when the connection breaks, must not go unheard.
      incoming.on('error', () => {})
      reject(error)
    }
    incoming.on('data', onData)
    incoming.on('end', onEnd)
    incoming.on('error', onGone)
    incoming.on('close', onGone)
  })
}

/** Does the same with the body of a `Request`. */
async function readStream(body: ReadableStream<Uint8Array>, limit: number): Promise<Buffer> {
  const reader = body.getReader()
  const started = performance.now()
  const chunks: Buffer[] = []
  let size = 0
  let failure: Error | null = null
  const giveUp = (error: Error) => {
    failure = error
    reader.cancel(error).catch(() => {})
  }
  const checkSpeed = () => {
    if (isTooSlow(size, started)) giveUp(tooSlow())
    else timer = setTimeout(checkSpeed, SPEED_CHECK_MS)
  }
  let timer = setTimeout(checkSpeed, GRACE_MS)
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (failure !== null) throw failure
      if (done) return joined(chunks, size)
      size += value.length
      if (size > limit) giveUp(tooLarge(limit))
      else chunks.push(Buffer.from(value.buffer, value.byteOffset, value.length))
    }
  } catch (error) {
    throw error instanceof ProblemError
      ? error
      : new Disconnected('the body could not be read', { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

function joined(chunks: readonly Buffer[], size: number): Buffer {
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size)
}

function isTooSlow(size: number, started: number): boolean {
  return size < (performance.now() - started) * LEAST_BYTES_PER_MS
}

/** What a parser before us, such as `express.json()`, has made of the body: as it was, or as JSON has it. */
function parsedElsewhere(body: unknown, limit: number): Buffer {
  if (body === undefined) throw readBefore()
  const bytes = Buffer.isBuffer(body)
    ? body
    : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  if (bytes.length > limit) throw tooLarge(limit)
  return bytes
}

function readBefore(): Error {
  return new Error(
    'the body was read before Jobcast saw the request, and is not in req.body: put its handler before whatever reads bodies',
  )
}

function tooLarge(limit: number): ProblemError {
  return new ProblemError('payload_too_large', `the body may have ${limit} bytes`)
}

function tooSlow(): ProblemError {
  return new ProblemError('request_timeout', 'the body came too slowly', { headers: { connection: 'close' } })
}

/** Pieces in which a large answer is handed to a host that shows by nothing else what it has taken. */
const PIECE_BYTES = 64 * 1024

function metered(budget: OutputBudget, answer: Answer): Response {
  const { source, status, headers } = answer
  if (!(source instanceof Uint8Array)) return answer
  let taken = 0
  let cut = () => {}
  const charge = budget.charge({ taken: () => taken, cut: () => cut() })
  charge.add(source.length)
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        cut = () => controller.error(new Error('the reader of this answer was too slow'))
      },
      pull(controller) {
        const piece = source.subarray(taken, taken + PIECE_BYTES)
        taken += piece.length
        controller.enqueue(piece)
        if (taken < source.length) return
        charge.release()
        controller.close()
      },
      cancel: charge.release,
    },
    { highWaterMark: 0 },
  )
  headers.set('content-length', String(source.length))
  return new Answer(body, { status, headers })
}
