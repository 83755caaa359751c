import type { Backoff, RunPolicy } from '../../../shared/api.ts'

/** A policy as its numbers, since every job has one. */
export function policyText(policy: RunPolicy): string {
  const { priority, maxAttempts, maxStalls, timeoutMs, retainMs, backoff } = policy
  const { kind, delayMs, maxMs, jitter } = backoff
  return `[${priority},${maxAttempts},${maxStalls},${timeoutMs},${retainMs},"${kind}",${delayMs},${maxMs},${jitter}]`
}

/** Policies by their text: most jobs share a few, and every claim and settle needs one. */
const policies = new Map<string, RunPolicy>()
const MAX_POLICIES = 1000

/** The one that was asked for last, as it mostly is again. */
let last: { text: string; policy: RunPolicy } | undefined

export function policyOf(text: string): RunPolicy {
  if (last?.text !== text) last = { text, policy: knownPolicy(text) }
  return last.policy
}

function knownPolicy(text: string): RunPolicy {
  const known = policies.get(text)
  if (known !== undefined) return known
  const policy = parsePolicy(text)
  if (policies.size >= MAX_POLICIES) policies.clear()
  policies.set(text, policy)
  return policy
}

function parsePolicy(text: string): RunPolicy {
  const kept = JSON.parse(text) as PolicyNumbers | RunPolicy
  // Files of the first version keep the policy itself.
  if (!Array.isArray(kept)) return kept as RunPolicy
  const [priority, maxAttempts, maxStalls, timeoutMs, retainMs, kind, delayMs, maxMs, jitter] = kept
  const backoff = { kind, delayMs, maxMs, jitter }
  return { priority, maxAttempts, maxStalls, backoff, timeoutMs, retainMs }
}

type PolicyNumbers = [number, number, number, number, number, Backoff['kind'], number, number, number]
