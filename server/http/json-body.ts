import { isUtf8 } from 'node:buffer'
import { ProblemError } from './problem.ts'

/** A JSON body, and how large it was on its way here. */
export interface JsonBody {
  readonly value: unknown
  readonly bytes: number
  /** Numbers that are not in `value` as they were sent. */
  readonly lossy: readonly LossyNumber[]
}

/**
 * Nesting at which a body is not even parsed: a million brackets cost 50 times their size in memory. What is
 * less deep than this is held to the protocol's limit by whoever knows which part of the body is the payload.
 */
const HOPELESS_DEPTH = 10_000

/** Throws `invalid_json`, and `invalid_payload` for what is nested too deeply to be parsed. */
export function parseBody(bytes: Buffer): JsonBody {
  if (bytes.length === 0) throw new ProblemError('invalid_json', 'the body is empty')
  const { value, text } = parseJson(bytes)
  return { value, bytes: bytes.length, lossy: lossyNumbers(text, bytes) }
}

export function parseJson(bytes: Buffer): { readonly value: unknown; readonly text: string } {
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

/** A number of a JSON text that JavaScript, and so whoever reads the job, would see as another one. */
export interface LossyNumber {
  /** Names of fields and indices of arrays, from the outside in. */
  readonly path: readonly (string | number)[]
  readonly message: string
}

const NONE: readonly LossyNumber[] = []
/** More are of no help to anybody. */
const MOST = 100

/**
 * What every lossy number in an object or array has: sixteen digits in front, or a point and an exponent, or an exponent
 * of three digits. So have others, and some a string; most bodies have none, and looking for it takes a fraction of the
 * time of parsing. No part of it can go over a long run of digits more than once.
 */
const SUSPICIOUS = /[\s,:[-]\d{16}|\.\d+[eE]\+?\d|\d[eE]\+?\d{3,}(?![^\s,\]}])/

/**
 * The numbers in a valid JSON text of an object or array that would become infinite, and the whole ones whose digits would change: 64-bit ids
 * beyond 2^53, above all. Judged by value, however they are written: `1.0`, `1e3`, `-0` and `1e23` are what they were,
 * `12345678901234567890.0` is not. A fraction is rounded to the nearest number that there is, as everywhere.
 */
export function lossyNumbers(text: string, bytes: Buffer): readonly LossyNumber[] {
  return SUSPICIOUS.test(text) ? new Scan(bytes).run() : NONE
}

/** Goes through the bytes once; where it stands is put into words only for what it finds. */
class Scan {
  readonly #bytes: Buffer
  readonly #found: LossyNumber[] = []
  /** Of each object and array that is open: the index in an array, or where the name of the field begins. */
  readonly #keys: number[] = []
  readonly #isObject: boolean[] = []
  #expectsName = false

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  run(): readonly LossyNumber[] {
    const bytes = this.#bytes
    for (let at = 0; at < bytes.length && this.#found.length < MOST; at++) {
      const byte = bytes[at] ?? 0
      if (byte === QUOTE) {
        if (this.#expectsName) this.#keys[this.#keys.length - 1] = at
        this.#expectsName = false
        at = endOfString(bytes, at + 1)
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        this.#expectsName = byte === OPEN_BRACE
        this.#isObject.push(this.#expectsName)
        this.#keys.push(0)
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        this.#expectsName = false
        this.#isObject.pop()
        this.#keys.pop()
      } else if (byte === COMMA) {
        this.#expectsName = this.#isObject.at(-1) === true
        if (!this.#expectsName) this.#keys[this.#keys.length - 1] = (this.#keys.at(-1) ?? 0) + 1
      } else if (byte === MINUS || isDigit(byte)) {
        at = this.#number(at) - 1
      }
    }
    return this.#found
  }

  /** Where the number ends that begins there. */
  #number(from: number): number {
    const bytes = this.#bytes
    let isFraction = false
    let hasExponent = false
    let hasPoint = false
    let at = from
    for (; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0
      if (byte === POINT) hasPoint = true
      else if ((byte | 0x20) === LOWER_E) hasExponent = true
      else if (isDigit(byte)) isFraction ||= hasPoint && byte !== ZERO
      else if (byte !== MINUS && byte !== PLUS) break
    }
    const isLong = at - from >= LONG && !isFraction
    if (!isLong && !hasExponent) return at
    const message = lossOf(bytes.toString('latin1', from, at))
    if (message !== null) this.#found.push({ path: this.#path(), message })
    return at
  }

  #path(): (string | number)[] {
    return this.#keys.map((key, depth) => {
      if (this.#isObject[depth] !== true) return key
      return String(JSON.parse(this.#bytes.toString('utf8', key, endOfString(this.#bytes, key + 1) + 1)))
    })
  }
}

const COMMA = 0x2c
const MINUS = 0x2d
const PLUS = 0x2b
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const LOWER_E = 0x65
/** Up to fifteen digits every whole number is what it was. */
const LONG = 16

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE
}

/** What becomes of a number, for a message; null where it stays what it is. */
function lossOf(written: string): string | null {
  const value = Number(written)
  if (!Number.isFinite(value)) return 'is larger than a number can be: send it as a string'
  const exact = decimal(written)
  if (exact.power < 0) return null
  const kept = decimal(String(value))
  if (exact.digits === kept.digits && exact.power === kept.power) return null
  return `would become ${value}: send it as a string`
}

/** The one way to write a number as digits without zeros around them, times a power of ten. */
function decimal(written: string): { readonly digits: string; readonly power: number } {
  const [, whole = '', fraction = '', exponent = '0'] = NUMBER.exec(written) ?? []
  const all = (whole + fraction).replace(/^0+/, '')
  const digits = all.replace(/0+$/, '')
  if (digits === '') return { digits, power: 0 }
  return { digits, power: Number(exponent) - fraction.length + all.length - digits.length }
}

const NUMBER = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** Where the quote stands that ends a string; `from` is behind the one that begins it. */
function endOfString(text: Buffer, from: number): number {
  for (let quote = text.indexOf(QUOTE, from); quote !== -1; quote = text.indexOf(QUOTE, quote + 1)) {
    let backslashes = 0
    while (quote - 1 - backslashes >= from && text[quote - 1 - backslashes] === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return quote
  }
  return text.length
}
