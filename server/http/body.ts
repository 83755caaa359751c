import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { CLOSE_BRACE, CLOSE_BRACKET, endOfString, OPEN_BRACE, OPEN_BRACKET, QUOTE } from './json-bytes.ts'
import { type LossyNumber, lossyNumbers } from './lossy-numbers.ts'
import { Disconnected, ProblemError } from './problem.ts'
import type { HttpContext } from './route.ts'

/** A JSON body, and how large it was on its way here. */
export interface JsonBody {
  readonly value: unknown
  readonly bytes: number
  /** Numbers that are not in `value` as they were sent. */
  readonly lossy: readonly LossyNumber[]
}

/** A body may take this long, in ms, whatever its speed; from then on it must have kept the least speed. */
const GRACE_MS = 10_000
const LEAST_BYTES_PER_MS = 1
const PACE_CHECK_MS = 2000

/**
 * Nesting at which a body is not even parsed: a million brackets cost 50 times their size in memory. What is
 * less deep than this is held to the protocol's limit by whoever knows which part of the body is the payload.
 */
const HOPELESS_DEPTH = 10_000

/** Reads a JSON body of at most `limit` bytes. Throws `ProblemError` (415, 413, 408) and `Disconnected`. */
export async function readBody(context: HttpContext, limit: number): Promise<Buffer> {
  checkMediaType(context.env.incoming)
  return readBytes(context, limit)
}

/** Throws `invalid_json`, and `invalid_payload` for what is nested too deeply to be parsed. */
export function parseBody(bytes: Buffer): JsonBody {
  if (bytes.length === 0) throw new ProblemError('invalid_json', 'the body is empty')
  const { value, text } = parse(bytes)
  return { value, bytes: bytes.length, lossy: lossyNumbers(text, bytes) }
}

/** Of calls that need no body: none, or an empty object; anything else would be ignored, so it is refused. */
export async function readNoBody(context: HttpContext): Promise<void> {
  const { headers } = context.env.incoming
  const length = headers['content-length']
  if (headers['transfer-encoding'] === undefined && (length === undefined || length === '0')) return
  const bytes = await readBytes(context, 1024)
  if (bytes.length === 0) return
  checkMediaType(context.env.incoming)
  const { value } = parse(bytes)
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

function parse(bytes: Buffer): { readonly value: unknown; readonly text: string } {
  if (!isUtf8(bytes)) throw new ProblemError('invalid_json', 'the body is not UTF-8')
  if (bytes.length > HOPELESS_DEPTH && nestsDeeper(bytes, HOPELESS_DEPTH)) {
    throw new ProblemError('invalid_payload', 'the body is nested too deeply', {
      errors: [{ path: 'payload', message: 'is nested too deeply' }],
    })
  }
  try {
    const text = bytes.toString('utf8')
    return { value: JSON.parse(text), text }
  } catch (error) {
    const reason = error instanceof Error ? error.message : ''
    throw new ProblemError('invalid_json', `the body is not JSON: ${reason.slice(0, 200)}`)
  }
}

/** Counts brackets outside of strings; JSON or not does not matter here. */
function nestsDeeper(text: Buffer, limit: number): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const byte = text[at]
    if (byte === QUOTE) {
      at = endOfString(text, at + 1)
    } else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
      if (++depth > limit) return true
    } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) {
      depth--
    }
  }
  return false
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
    const checkPace = () => {
      if (size < (performance.now() - started) * LEAST_BYTES_PER_MS) return fail(tooSlow())
      timer = setTimeout(checkPace, PACE_CHECK_MS)
    }
    let timer = setTimeout(checkPace, GRACE_MS)
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
