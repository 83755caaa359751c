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
      lost = new TypeError(`JSON cannot hold ${path}: ${loss}`)
      throw lost
    }
    if (inner === Object(inner)) trail.push({ key, object: inner })
    return inner
  }
  try {
    return JSON.stringify(value, refuseLoss)
  } catch (cause) {
    throw lost ?? new JobcastError('invalid_json', 'what is to be sent cannot be written as JSON', { cause })
  }
}

/** What it is that would be lost; null where nothing is. */
function lossOf(value: unknown, holder: unknown, key: string): string | null {
  if (value === undefined) return Array.isArray(holder) ? 'undefined' : null
  if (typeof value === 'number') return Number.isFinite(value) ? null : String(value)
  // Its `toJSON` has said null by now.
  if (value === null) return Reflect.get(Object(holder), key) instanceof Date ? 'an invalid Date' : null
  const kind = Object.prototype.toString.call(value).slice('[object '.length, -1)
  if (/^(Object|Array|Number|String|Boolean)$/.test(kind)) return null
  const isOdd = typeof value !== 'object' || Object.keys(value).length === 0 || /Error|Array$/.test(kind)
  return isOdd ? kind : null
}
