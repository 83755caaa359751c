import { types } from 'node:util'
import { located, nameOf } from './json.ts'

/**
 * What of a value would not arrive in another thread as it is: a function cannot be sent, and an instance of a class
 * arrives without its class. Null where all of it would. Ends a sentence, as `holds a URL at "site"`.
 */
export function lostOnTheWay(value: unknown): string | null {
  try {
    return find(value, [], new Set())
  } catch {
    // It throws when it is looked at, or has no end.
    return 'cannot be copied'
  }
}

function find(value: unknown, path: readonly string[], seen: Set<object>): string | null {
  if (typeof value === 'function' || typeof value === 'symbol') return located(`a ${typeof value}`, path)
  if (typeof value !== 'object' || value === null || seen.has(value)) return null
  seen.add(value)
  if (!isCopied(value)) return located(nameOf(value), path)
  for (const [key, child] of childrenOf(value)) {
    const lost = find(child, [...path, key], seen)
    if (lost !== null) return lost
  }
  return null
}

/** The kinds that arrive as what they are, where nobody has made a subclass of them. */
const COPIED = [
  Object.prototype,
  Array.prototype,
  Date.prototype,
  RegExp.prototype,
  Map.prototype,
  Set.prototype,
  ArrayBuffer.prototype,
  DataView.prototype,
  ...[Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array].map(
    ({ prototype }) => prototype,
  ),
  ...[Float32Array, Float64Array, BigInt64Array, BigUint64Array].map(({ prototype }) => prototype),
]

function isCopied(object: object): boolean {
  if (types.isProxy(object) || !COPIED.includes(Object.getPrototypeOf(object))) return false
  return Object.getOwnPropertySymbols(object).length === 0
}

function childrenOf(object: object): Iterable<[string, unknown]> {
  if (object instanceof Map)
    return [...object].flatMap(([key, value]) => [
      ['key', key],
      [String(key), value],
    ])
  if (object instanceof Set) return [...object].map((value, at) => [String(at), value])
  return ArrayBuffer.isView(object) ? [] : Object.entries(object)
}
