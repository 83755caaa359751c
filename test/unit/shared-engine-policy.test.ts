import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backoffDelay } from '../../server/engine/engine.ts'
import { judgeCursor } from '../../server/engine/job/stored-job.ts'
import type { Backoff } from '../../shared/options.ts'

const DAY_MS = 86_400_000
const EXPONENTIAL: Backoff = { kind: 'exponential', delayMs: 1000, maxMs: 60_000, jitter: 0.5 }

const policies = fc.record<Backoff>({
  kind: fc.constantFrom('fixed', 'exponential'),
  delayMs: fc.integer({ min: 0, max: DAY_MS }),
  maxMs: fc.integer({ min: 0, max: DAY_MS }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
})
const attempts = fc.integer({ min: 1, max: 100 })
const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('backoffDelay', () => {
  test('doubles from the first delay up to the longest', () => {
    const delays = [1, 2, 3, 4, 5, 6, 7, 8, 100].map((attempt) => backoffDelay(attempt, EXPONENTIAL, () => 0))
    expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
  })

  test('stays the same where it is fixed, up to the longest', () => {
    const fixed: Backoff = { ...EXPONENTIAL, kind: 'fixed', delayMs: 700 }
    expect([1, 2, 50].map((attempt) => backoffDelay(attempt, fixed, () => 0))).toEqual([700, 700, 700])
    expect(backoffDelay(1, { ...fixed, maxMs: 500 }, () => 0)).toBe(500)
  })

  test('takes off up to the jitter’s share, and is always a whole number of ms within its bounds', () => {
    fc.assert(
      fc.property(policies, attempts, randoms, (policy, attempt, random) => {
        const longest = backoffDelay(attempt, policy, () => 0)
        const delay = backoffDelay(attempt, policy, () => random)
        expect(Number.isSafeInteger(delay)).toBe(true)
        expect(longest).toBeLessThanOrEqual(policy.maxMs)
        expect(delay).toBeLessThanOrEqual(longest)
        expect(delay).toBeGreaterThanOrEqual(Math.floor(longest * (1 - policy.jitter)))
      }),
    )
  })

  test('never shrinks from attempt to attempt', () => {
    fc.assert(
      fc.property(policies, attempts, (policy, attempt) => {
        const delay = (of: number) => backoffDelay(of, policy, () => 0)
        expect(delay(attempt + 1)).toBeGreaterThanOrEqual(delay(attempt))
      }),
    )
  })
})

describe('judgeCursor', () => {
  const now = { epoch: 'e', seq: 10, trimmed: 4 }

  test.each([
    ['new', null],
    ['epoch', { epoch: 'other', seq: 10 }],
    ['epoch', { epoch: '', seq: 0 }],
    ['epoch', { epoch: 'other', seq: 99 }],
    ['ahead', { epoch: 'e', seq: 11 }],
    ['trimmed', { epoch: 'e', seq: 3 }],
    ['trimmed', { epoch: 'e', seq: 0 }],
    [null, { epoch: 'e', seq: 4 }],
    [null, { epoch: 'e', seq: 10 }],
  ])('answers %s', (reason, after) => {
    expect(judgeCursor(after, now)).toBe(reason)
  })

  test('lets a cursor go on exactly when nothing after it is missing', () => {
    const positions = fc.record({ epoch: fc.constantFrom('e', 'f'), seq: fc.nat(20) })
    fc.assert(
      fc.property(positions, fc.nat(20), fc.nat(20), (after, a, b) => {
        const store = { epoch: 'e', seq: Math.max(a, b), trimmed: Math.min(a, b) }
        const complete = after.epoch === 'e' && after.seq <= store.seq && after.seq >= store.trimmed
        expect(judgeCursor(after, store) === null).toBe(complete)
      }),
    )
  })
})
