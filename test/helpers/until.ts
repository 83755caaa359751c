import { setTimeout as pause } from 'node:timers/promises'

/** What takes long is looked at less often: the looks of many that wait would slow down what they wait for. */
const LONGEST_INTERVAL_MS = 100
const INTERVAL_SHARE = 1 / 20

export interface UntilOptions {
  /** How long the condition may take to come true, in ms; left out: far longer than on any machine that is not stuck. */
  readonly timeoutMs?: number
  /** Between two looks at the condition, in ms, until it has been waited for long. */
  readonly intervalMs?: number
  /** What is waited for, for the message: "the job to complete". */
  readonly what?: string
}

/**
 * Waits until the condition answers something other than undefined, null or false, and resolves to that.
 * Rejects with what was waited for, and what the condition last answered or threw, once the time is over.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 40_000, intervalMs = 10, what = 'a condition' }: UntilOptions = {},
): Promise<NonNullable<T>> {
  const began = performance.now()
  let last = 'it was not looked at'
  for (;;) {
    try {
      const value = await condition()
      if (value !== undefined && value !== null && value !== false) return value
      last = `it last answered ${String(value)}`
    } catch (error) {
      last = `it last threw ${error instanceof Error ? error.message : String(error)}`
    }
    const waitedMs = performance.now() - began
    if (waitedMs >= timeoutMs) {
      throw new Error(`waited ${timeoutMs} ms in vain for ${what}: ${last}`)
    }
    await pause(Math.max(intervalMs, Math.min(INTERVAL_SHARE * waitedMs, LONGEST_INTERVAL_MS)))
  }
}
