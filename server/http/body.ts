import type { IncomingMessage } from 'node:http'
import { parseJson } from './json-body.ts'
import { Disconnected, ProblemError } from './problem.ts'
import type { HttpContext } from './route.ts'

/** A body may take this long, in ms, whatever its speed; from then on it must have kept the least speed. */
const GRACE_MS = 10_000
const LEAST_BYTES_PER_MS = 1
const SPEED_CHECK_MS = 2000

/** Reads a JSON body of at most `limit` bytes. Throws `ProblemError` (415, 413, 408) and `Disconnected`. */
export async function readBody(context: HttpContext, limit: number): Promise<Buffer> {
  checkMediaType(context.env.incoming)
  return readBytes(context, limit)
}

/** Of calls that need no body: none, or an empty object; anything else would be ignored, so it is refused. */
export async function readNoBody(context: HttpContext): Promise<void> {
  const { headers } = context.env.incoming
  const length = headers['content-length']
  if (headers['transfer-encoding'] === undefined && (length === undefined || length === '0')) return
  const bytes = await readBytes(context, 1024)
  if (bytes.length === 0) return
  checkMediaType(context.env.incoming)
  const { value } = parseJson(bytes)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const fields = Object.keys(value)
    if (fields.length === 0) return
    const errors = fields.map((path) => ({ path, message: 'unknown field' }))
    throw new ProblemError('invalid_request', 'this call takes no fields', { errors })
  }
  throw new ProblemError('invalid_request', 'this call takes no body')
}

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i
const CHARSET = /;\s*charset\s*=\s*"?([^\s";]+)/i

function checkMediaType({ headers }: IncomingMessage): void {
  const type = headers['content-type']
  if (type !== 'application/json' && !isJsonInUtf8(type ?? '')) {
    throw new ProblemError(
      'unsupported_media_type',
      'send the body as JSON in UTF-8, with Content-Type: application/json',
      {
        headers: { accept: 'application/json' },
      },
    )
  }
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new ProblemError('unsupported_media_type', 'send the body uncompressed', {
      headers: { 'accept-encoding': 'identity' },
    })
  }
}

function isJsonInUtf8(type: string): boolean {
  const charset = CHARSET.exec(type)?.[1]?.toLowerCase() ?? 'utf-8'
  return JSON_TYPE.test(type) && (charset === 'utf-8' || charset === 'utf8')
}

async function readBytes({ env: { incoming, outgoing } }: HttpContext, limit: number): Promise<Buffer> {
  if (Number(incoming.headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
  // Node tells of a request as soon as it has read the headers, and of a body that came along with them right after.
  await null
  if (incoming.destroyed) throw new Disconnected('the caller went away')
  const whole = readAtOnce(incoming)
  if (whole !== null) return whole
  // Whoever asked first is told to go on only now, when the call is allowed and the size is fine.
  if (incoming.headers.expect !== undefined) outgoing.writeContinue()
  return readAsItComes(incoming, limit)
}

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
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size))
    }
    const onGone = () => fail(new Disconnected('the caller went away'))
    const checkSpeed = () => {
      if (size < (performance.now() - started) * LEAST_BYTES_PER_MS) return fail(tooSlow())
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

function tooLarge(limit: number): ProblemError {
  return new ProblemError('payload_too_large', `the body may have ${limit} bytes`)
}

function tooSlow(): ProblemError {
  return new ProblemError('request_timeout', 'the body came too slowly', { headers: { connection: 'close' } })
}

interface Waiting {
  readonly bytes: number
  readonly admit: () => void
}

/** This many may be under way, however large they are: one is prepared while the store is at work on another. */
const ALWAYS = 2

/**
 * Lets bodies in one after another, at most about `mostBytes` of them at once. What waits, waits as the bytes that came,
 * outside of the heap: thousands of parsed jobs that wait for the store cost more in garbage collection than all that
 * is done with them, and large bodies that were all parsed at once would fill the memory.
 */
export class Intake {
  readonly #mostBytes: number
  readonly #queue: Waiting[] = []
  #bytes = 0
  #underWay = 0

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  /** Does the work on a body of this size once it is its turn; settles as the work does. */
  async through<Result>(bytes: number, work: () => Promise<Result>): Promise<Result> {
    if (this.#queue.length === 0 && this.#hasRoom()) this.#enter(bytes)
    else await new Promise<void>((admit) => this.#queue.push({ bytes, admit }))
    try {
      return await work()
    } finally {
      this.#leave(bytes)
    }
  }

  #hasRoom(): boolean {
    return this.#underWay < ALWAYS || this.#bytes < this.#mostBytes
  }

  #enter(bytes: number): void {
    this.#underWay += 1
    this.#bytes += bytes
  }

  #leave(bytes: number): void {
    this.#underWay -= 1
    this.#bytes -= bytes
    while (this.#hasRoom()) {
      const next = this.#queue.shift()
      if (next === undefined) return
      this.#enter(next.bytes)
      next.admit()
    }
  }
}
