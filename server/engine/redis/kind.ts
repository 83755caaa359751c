import type { RunPolicy } from '../../../shared/options.ts'
import { decodeNamed } from '../job/named.ts'
import { completePolicy, encodeUnplaced, remembered } from '../job/policy.ts'

/** What many jobs have in common. */
interface Kind {
  readonly type: string
  readonly policy: RunPolicy
}

/** How runs go where a kind does not say it, as most do not, to be short. It stays so, whatever the defaults become. */
const USUAL_RUNS = '3 e 1000 60000 0.5 600000'
const RUNS = /^\d+ [a-z] \d+ \d+ [\d.e-]+ \d+(?![^ ])/
const kindTexts = new WeakMap<RunPolicy, { readonly type: string; readonly text: string }>()

/**
 * `<type> <priority> <maxStalls> <retainMs>`, which scripts read, how runs go where that is unusual, and behind it JSON of
 * the options that are named.
 */
export function encodeKind(type: string, policy: RunPolicy): string {
  const known = kindTexts.get(policy)
  if (known?.type === type) return known.text
  const { priority, maxStalls, retainMs } = policy
  const runs = encodeRuns(policy)
  const named = encodeUnplaced(policy)
  const text = `${type} ${priority} ${maxStalls} ${retainMs}${runs === USUAL_RUNS ? '' : ` ${runs}`}${named && ` ${named}`}`
  kindTexts.set(policy, { type, text })
  return text
}

function encodeRuns({ maxAttempts, backoff, timeoutMs }: RunPolicy): string {
  const { kind, delayMs, maxMs, jitter } = backoff
  return `${maxAttempts} ${kind === 'fixed' ? 'f' : 'e'} ${delayMs} ${maxMs} ${jitter} ${timeoutMs}`
}

export const decodeKind = remembered((stored): Kind => {
  const [type = '', priority, maxStalls, retainMs, ...own] = stored.split(' ')
  const rest = own.join(' ')
  const runs = RUNS.exec(rest)?.[0]
  const [maxAttempts, word, delayMs, maxMs, jitter, timeoutMs] = (runs ?? USUAL_RUNS).split(' ')
  const policy = completePolicy({
    ...decodeNamed(rest.slice(runs?.length ?? 0).trimStart()),
    priority: Number(priority),
    maxAttempts: Number(maxAttempts),
    maxStalls: Number(maxStalls),
    backoff: {
      kind: word === 'f' ? 'fixed' : 'exponential',
      delayMs: Number(delayMs),
      maxMs: Number(maxMs),
      jitter: Number(jitter),
    },
    timeoutMs: Number(timeoutMs),
    retainMs: Number(retainMs),
  })
  return { type, policy }
})
