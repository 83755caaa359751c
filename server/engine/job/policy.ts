import { type Backoff, DEFAULT_OPTIONS, type RunPolicy } from '../../../shared/options.ts'
import { fill } from '../../../shared/table.ts'
import { encodeNamed } from './named.ts'

/**
 * How stores keep a policy, since every job has one. The first options have places of their own; all that came after them
 * stand by their names behind these, where they are not as usual. So an option is added as a row of `POLICY`, and nothing
 * here or in an engine changes: what is kept without it reads as usual, and a process that does not know it, or cannot read what
 * it says, passes it over.
 */

/** Processes of other versions count the places: none is added. */
const PLACED: ReadonlySet<string> = new Set<keyof RunPolicy>([
  ...(['priority', 'maxAttempts', 'maxStalls', 'timeoutMs', 'retainMs', 'backoff'] as const),
])

/** The options that have no place of their own, as `encodeNamed` writes them. */
export function encodeUnplaced(policy: RunPolicy): string {
  return encodeNamed(policy, DEFAULT_OPTIONS, PLACED)
}

/** What was kept of a policy, by this version or another, with nothing left open. */
export function completePolicy(kept: Partial<RunPolicy>): RunPolicy {
  return fill(kept, DEFAULT_OPTIONS)
}

const texts = new WeakMap<RunPolicy, string>()

/** A policy as an array. */
export function encodePolicy(policy: RunPolicy): string {
  const known = texts.get(policy)
  if (known !== undefined) return known
  const { priority, maxAttempts, maxStalls, timeoutMs, retainMs, backoff } = policy
  const { kind, delayMs, maxMs, jitter } = backoff
  const named = encodeUnplaced(policy)
  const placed = [priority, maxAttempts, maxStalls, timeoutMs, retainMs, `"${kind}"`, delayMs, maxMs, jitter]
  const text = `[${placed.join()}${named === '' ? '' : `,${named}`}]`
  texts.set(policy, text)
  return text
}

/** Texts that are remembered; there are few but where every submission has options of its own. */
const MOST_TEXTS = 1000

/** What `decode` makes of texts, each made once. */
export function remembered<Value extends object>(decode: (text: string) => Value): (text: string) => Value {
  const values = new Map<string, Value>()
  // The one that was asked for last, as it mostly is again.
  let last: { readonly text: string; readonly value: Value } | undefined
  return (text) => {
    if (last?.text === text) return last.value
    let value = values.get(text)
    if (value === undefined) {
      value = decode(text)
      if (values.size >= MOST_TEXTS) values.clear()
      values.set(text, value)
    }
    last = { text, value }
    return value
  }
}

/** Most jobs share a few, and every claim and settlement needs one. */
export const decodePolicy = remembered((text): RunPolicy => {
  const kept: PolicyValues | Partial<RunPolicy> = JSON.parse(text)
  // Files of the first version keep the policy itself.
  if (!Array.isArray(kept)) return completePolicy(kept)
  const [priority, maxAttempts, maxStalls, timeoutMs, retainMs, kind, delayMs, maxMs, jitter, named] = kept
  const backoff = { kind, delayMs, maxMs, jitter }
  return completePolicy({ ...named, priority, maxAttempts, maxStalls, timeoutMs, retainMs, backoff })
})

type PolicyValues = [
  ...[priority: number, maxAttempts: number, maxStalls: number, timeoutMs: number, retainMs: number],
  ...[kind: Backoff['kind'], delayMs: number, maxMs: number, jitter: number, named?: Partial<RunPolicy>],
]
