import type { RunPolicy } from '../../../shared/api.ts'

/** What many jobs have in common. */
interface Kind {
  readonly type: string
  readonly policy: RunPolicy
}

/** How runs go where nobody said otherwise: left out of a kind, which stays short then. */
const USUAL_RUNS = '3 e 1000 60000 0.5 600000'
const USUAL = USUAL_RUNS.split(' ')
const RUNS = /^\d+ [a-z] \d+ \d+ [\d.e-]+ \d+$/
/** Kinds remembered; there are few but where every submission has options of its own. */
const MOST_KINDS = 1000
const kinds = new Map<string, Kind>()
const kindTexts = new WeakMap<RunPolicy, { readonly type: string; readonly text: string }>()

/** `<type> <priority> <maxStalls> <retainMs>`, which scripts read, and how runs go where that is unusual. */
export function encodeKind(type: string, policy: RunPolicy): string {
  const known = kindTexts.get(policy)
  if (known?.type === type) return known.text
  const { priority, maxAttempts, maxStalls, backoff, timeoutMs, retainMs } = policy
  const word = backoff.kind === 'fixed' ? 'f' : 'e'
  const runs = `${maxAttempts} ${word} ${backoff.delayMs} ${backoff.maxMs} ${backoff.jitter} ${timeoutMs}`
  const text = `${type} ${priority} ${maxStalls} ${retainMs}${runs === USUAL_RUNS ? '' : ` ${runs}`}`
  kindTexts.set(policy, { type, text })
  return text
}

export function decodeKind(stored: string): Kind {
  const known = kinds.get(stored)
  if (known !== undefined) return known
  const [type = '', priority, maxStalls, retainMs, ...own] = stored.split(' ')
  // A newer version may put something else behind, with these or without.
  const runs = own.slice(0, USUAL.length)
  const [maxAttempts, word, delayMs, maxMs, jitter, timeoutMs] = RUNS.test(runs.join(' ')) ? runs : USUAL
  const kind: Kind = {
    type,
    policy: {
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
    },
  }
  if (kinds.size >= MOST_KINDS) kinds.clear()
  kinds.set(stored, kind)
  return kind
}
