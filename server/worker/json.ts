import { MAX_DEPTH } from '../../shared/limits.ts'
import type { Json } from '../engine/engine.ts'
import { describeThrown, isThrown } from '../thrown.ts'

export type JsonCheck =
  | {
      readonly ok: true
      /** A copy: what the handler does to its value later does not show. */
      readonly json: Json
      /** Of its text, in UTF-8. */
      readonly bytes: number
    }
  | { readonly ok: false; readonly problem: string }

/**
 * Holds a value to JSON. Objects become what `JSON.stringify` makes of them (a Date its ISO text, undefined fields
 * dropped), but what it would drop or change in silence is refused: functions, symbols, NaN and infinities.
 */
export function checkJson(value: unknown): JsonCheck {
  if (value === null) return { ok: true, json: null, bytes: 4 }
  try {
    // With a function to ask about every value, stringify is several times as slow; few values need it.
    const plain = isPlain(value, MAX_DEPTH)
    const text = plain ? JSON.stringify(value) : JSON.stringify(value, refuseSilentLoss)
    if (text === undefined) return { ok: false, problem: 'is undefined, which is not JSON' }
    const json: Json = JSON.parse(text)
    if (!plain && isDeeperThan(json, MAX_DEPTH))
      return { ok: false, problem: `is nested more than ${MAX_DEPTH} deep` }
    return { ok: true, json, bytes: Buffer.byteLength(text) }
  } catch (error) {
    if (isThrown(error, NotJson)) return { ok: false, problem: error.message }
    if (isThrown(error, RangeError)) return { ok: false, problem: 'is nested too deep or too large for JSON' }
    const [firstLine] = describeThrown(error).split('\n')
    return { ok: false, problem: `is not JSON: ${firstLine}` }
  }
}

/** Whether a value is JSON as it is, nested no deeper than that: nothing in it is dropped, changed or refused. */
function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'object':
      if (value === null) return true
      if (depth === 0) return false
      if (Array.isArray(value)) return value.every((child) => isPlain(child, depth - 1))
      if (Object.getPrototypeOf(value) !== Object.prototype || 'toJSON' in value) return false
      return Object.values(value).every((child) => isPlain(child, depth - 1))
    default:
      return false
  }
}

class NotJson extends Error {}

function refuseSilentLoss(key: string, value: unknown): unknown {
  const kind = typeof value
  if (kind === 'function' || kind === 'symbol' || kind === 'bigint') throw notJson(key, `a ${kind}`)
  if (kind === 'number' && !Number.isFinite(value)) throw notJson(key, String(value))
  return value
}

function notJson(key: string, what: string): NotJson {
  return new NotJson(
    key === '' ? `is ${what}, which is not JSON` : `holds ${what} at "${key}", which is not JSON`,
  )
}

function isDeeperThan(value: Json, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (depth === 0) return true
  return Object.values(value).some((child) => isDeeperThan(child, depth - 1))
}
