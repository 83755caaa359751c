import { JobcastError } from './errors.ts'

/**
 * The JSON of a value. Throws a `TypeError` that names the path of what JSON would lose or change in silence: an
 * infinite number, a `BigInt`, a function, `undefined` in an array, or an object whose data is not in its fields, such as a
 * `Map`, a `Blob` or a promise. A field that is undefined is left out, a `toJSON` is followed. Where there is no JSON at all,
 * as of a circular value, a `JobcastError`.
 */
export function toJson(value: unknown): string {
  /** The objects that the value asked about is in, each with its key. */
  const trail: { readonly key: string; readonly object: unknown }[] = []
  let lost: TypeError | undefined
  function refuseLoss(this: unknown, key: string, inner: unknown): unknown {
    while (trail.length > 0 && trail.at(-1)?.object !== this) trail.pop()
    const loss = lossOf(inner, this, key)
    if (loss !== null) {
      // The first object is the value itself, which has no name.
      const path = [...trail.slice(1).map((step) => step.key), key].join('.')
      lost = new TypeError(`${path} is ${loss}, which JSON cannot hold`)
      throw lost
    }
    if (typeof inner === 'object' && inner !== null) trail.push({ key, object: inner })
    return inner
  }
  try {
    return JSON.stringify(value, refuseLoss)
  } catch (cause) {
    throw lost ?? new JobcastError('invalid_json', 'what is to be sent cannot be written as JSON', { cause })
  }
}

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
      return value === null ? dateLoss(holder, key) : objectLoss(value)
    default:
      return `a ${typeof value}`
  }
}

/** Its `toJSON` has said null by now. */
function dateLoss(holder: unknown, key: string): string | null {
  const own: unknown = typeof holder === 'object' && holder !== null ? Reflect.get(holder, key) : null
  return own instanceof Date ? 'an invalid Date' : null
}

function objectLoss(value: object): string | null {
  if (Array.isArray(value)) return null
  if (value instanceof Number || value instanceof String || value instanceof Boolean) return null
  const isEmpty = Object.keys(value).length === 0
  if (value instanceof Error || ArrayBuffer.isView(value)) return nameOf(value)
  return isEmpty && !isPlain(value) ? nameOf(value) : null
}

/** Also one of another realm, or without a prototype. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function nameOf(value: object): string {
  const name = Object.prototype.toString.call(value).slice('[object '.length, -1)
  return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`
}
