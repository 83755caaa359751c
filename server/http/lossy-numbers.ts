import { CLOSE_BRACE, CLOSE_BRACKET, endOfString, OPEN_BRACE, OPEN_BRACKET, QUOTE } from './json-bytes.ts'

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
  readonly #places: number[] = []
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
        if (this.#expectsName) this.#places[this.#places.length - 1] = at
        this.#expectsName = false
        at = endOfString(bytes, at + 1)
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        this.#expectsName = byte === OPEN_BRACE
        this.#isObject.push(this.#expectsName)
        this.#places.push(0)
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        this.#expectsName = false
        this.#isObject.pop()
        this.#places.pop()
      } else if (byte === COMMA) {
        this.#expectsName = this.#isObject.at(-1) === true
        if (!this.#expectsName) this.#places[this.#places.length - 1] = (this.#places.at(-1) ?? 0) + 1
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
    return this.#places.map((place, depth) => {
      if (this.#isObject[depth] !== true) return place
      return String(JSON.parse(this.#bytes.toString('utf8', place, endOfString(this.#bytes, place + 1) + 1)))
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
