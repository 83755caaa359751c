import type { Arrival } from './arrival.ts'
import { parseJson } from './json-body.ts'
import { ProblemError } from './problem.ts'

/** What is read of a body that is not needed, in bytes: enough to tell that it says something. */
const MOST_OF_NOTHING = 1024

/** Reads a JSON body of at most `limit` bytes. Throws `ProblemError` (415, 413, 408) and `Disconnected`. */
export async function readBody(arrival: Arrival, limit: number): Promise<Buffer> {
  checkMediaType(arrival)
  return arrival.read(limit)
}

/** Of calls that need no body: none, or an empty object; anything else would be ignored, so it is refused. */
export async function readNoBody(arrival: Arrival): Promise<void> {
  if (!arrival.hasBody) return
  const bytes = await arrival.read(MOST_OF_NOTHING)
  if (bytes.length === 0) return
  checkMediaType(arrival)
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

function checkMediaType({ headers }: Arrival): void {
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
