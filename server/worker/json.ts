import { types } from 'node:util'
import { MAX_DEPTH } from '../../shared/limits.ts'
import { type Json, JsonText } from '../engine/engine.ts'
import { describeThrown, isThrown } from '../thrown.ts'

/**
 * Values in all, each as often as it stands in the text: more than 8 MiB have. Where stringify asks about each it takes
 * ten times as long.
 */
const MAX_VALUES = 20_000_000
const MAX_ASKED = 5_000_000

export type JsonCheck =
  /** As text: what the handler does to its value later does not show. */
  { readonly ok: true; readonly json: JsonText } | { readonly ok: false; readonly problem: string }

const NULL: JsonCheck = { ok: true, json: new JsonText('null') }

/**
 * Holds a value to JSON. Objects become what `JSON.stringify` makes of them (what their `toJSON` says, else their own
 * fields; undefined ones dropped), but what it would lose or change in silence is refused, by name and path: functions,
 * symbols, NaN and infinities, `undefined` in an array, invalid dates, and objects whose data is not in fields, such as
 * a `Map`, an `Error`, or a promise that nobody awaited.
 */
export function checkJson(value: unknown): JsonCheck {
  if (value === null) return NULL
  try {
    // With a function to ask about every value, stringify is several times as slow; few values need it.
    const plain = isPlain(value, MAX_DEPTH, new Budget(MAX_VALUES))
    const text = plain
      ? JSON.stringify(value)
      : JSON.stringify(value, refuseSilentLoss(new Budget(MAX_ASKED)))
    if (text === undefined) return { ok: false, problem: 'is undefined, which is not JSON' }
    if (!plain && isDeeperThan(JSON.parse(text), MAX_DEPTH))
      return { ok: false, problem: `is nested more than ${MAX_DEPTH} deep` }
    return { ok: true, json: new JsonText(text) }
  } catch (error) {
    if (isThrown(error, NotJson)) return { ok: false, problem: error.message }
    if (isThrown(error, RangeError)) return { ok: false, problem: 'is nested too deep or too large for JSON' }
    const [firstLine] = describeThrown(error, 'it').split('\n')
    return { ok: false, problem: `is not JSON: ${firstLine}` }
  }
}

/** Whether a value is JSON as it is, nested no deeper than that: nothing in it but undefined fields is dropped, changed or refused. */
function isPlain(value: unknown, depth: number, budget: Budget): boolean {
  budget.spend()
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'object':
      if (value === null) return true
      if (depth === 0) return false
      if (Array.isArray(value)) return isPlainArray(value, depth - 1, budget)
      if (Object.getPrototypeOf(value) !== Object.prototype || 'toJSON' in value) return false
      return Object.values(value).every((child) => child === undefined || isPlain(child, depth - 1, budget))
    default:
      return false
  }
}

/** Holes as well are undefined. */
function isPlainArray(array: readonly unknown[], depth: number, budget: Budget): boolean {
  for (let at = 0; at < array.length; at += 1) if (!isPlain(array[at], depth, budget)) return false
  return true
}

class NotJson extends Error {}

/** A value may hold the same one twice, and that the next one twice: looking at all of it would take for ever. */
class Budget {
  #left: number

  constructor(values: number) {
    this.#left = values
  }

  spend(): void {
    this.#left -= 1
    if (this.#left < 0) throw new RangeError('it holds too many values')
  }
}

/** A replacer for one call of `JSON.stringify`: it is asked about every value, as its `toJSON` has it, from outside in. */
function refuseSilentLoss(budget: Budget): (this: unknown, key: string, value: unknown) => unknown {
  /** The objects that the value asked about is in, each with its key. */
  const trail: { readonly key: string; readonly object: unknown }[] = []
  return function (key, value) {
    budget.spend()
    while (trail.length > 0 && trail.at(-1)?.object !== this) trail.pop()
    const loss = lossOf(value, this, key)
    if (loss !== null) throw new NotJson(`${located(loss, pathTo(trail, key))}, which is not JSON`)
    if (typeof value === 'object' && value !== null) trail.push({ key, object: value })
    return value
  }
}

/** The first object is the value itself, which has no name. */
function pathTo(trail: readonly { readonly key: string }[], key: string): string[] {
  return trail.length === 0 ? [] : [...trail.slice(1).map((step) => step.key), key]
}

/** `is a Map`, or `holds a Map at "groups.0"`. */
export function located(what: string, path: readonly string[]): string {
  return path.length === 0 ? `is ${what}` : `holds ${what} at "${path.join('.')}"`
}

/** What of a value `JSON.stringify` would lose or change; null where it is nothing. */
function lossOf(value: unknown, holder: unknown, key: string): string | null {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return null
    case 'number':
      return Number.isFinite(value) ? null : String(value)
    case 'undefined':
      return Array.isArray(holder) ? 'undefined' : null
    case 'object':
      if (value === null) return isInvalidDate(holder, key) ? 'an invalid Date' : null
      if (types.isBoxedPrimitive(value)) return lossOf(value.valueOf(), holder, key)
      return Array.isArray(value) || hasItsDataInFields(value) ? null : nameOf(value)
    default:
      return `a ${typeof value}`
  }
}

/** Its `toJSON` has said null by now. */
function isInvalidDate(holder: unknown, key: string): boolean {
  return typeof holder === 'object' && holder !== null && Reflect.get(holder, key) instanceof Date
}

function hasItsDataInFields(object: object): boolean {
  if (DATA_ELSEWHERE.some((is) => is(object))) return false
  if (object instanceof Error || Symbol.asyncIterator in object || isThenable(object)) return false
  return Object.keys(object).length > 0 || isPlainObject(object)
}

/** These may have fields as well; what they are is not in them. */
const DATA_ELSEWHERE = [
  types.isMap,
  types.isSet,
  types.isWeakMap,
  types.isWeakSet,
  types.isRegExp,
  types.isNativeError,
  types.isAnyArrayBuffer,
  types.isArrayBufferView,
  types.isGeneratorObject,
]

function isThenable(object: object): boolean {
  return 'then' in object && typeof object.then === 'function'
}

/** Also one of another realm, or without a prototype. */
function isPlainObject(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** What an object is, for a message: `a Map`, `an AbortSignal`. */
export function nameOf(object: object): string {
  const { constructor: made } = object
  // A bundler numbers what has the name of something else: the `Response` of the HTTP library, for one, is `Response$1`.
  const own = typeof made === 'function' ? made.name.replace(/\$\d+$/, '') : ''
  const said = Object.prototype.toString.call(object).slice(8, -1)
  // A name of a letter or two is mostly what a bundler has left of it.
  const name = own === 'Object' || own.length < (said === 'Object' ? 1 : 3) ? said : own
  const article = /^[aeio]/i.test(name) ? 'an' : 'a'
  return `${article} ${name}${isThenable(object) ? ' that nobody awaited' : ''}`
}

function isDeeperThan(value: Json, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (depth === 0) return true
  return Object.values(value).some((child) => isDeeperThan(child, depth - 1))
}
