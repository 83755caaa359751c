import { expect, test } from 'vitest'
import { isJobId, newJobId } from '../../server/engine/job/ids.ts'

/** Later than any id that was made before. */
const NOW = Date.now() + 3_600_000

test('ids of one millisecond ascend, are told apart and say when they were made', () => {
  const ids = Array.from({ length: 5000 }, () => newJobId(NOW))
  expect(ids.every(isJobId)).toBe(true)
  expect([...ids].sort()).toEqual(ids)
  expect(new Set(ids.map((id) => id.slice(19))).size).toBe(ids.length)
  const times = ids.map((id) => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16))
  expect(times[0]).toBe(NOW)
  // More than a millisecond can count go on in those after it.
  expect(times.at(-1)).toBeLessThanOrEqual(NOW + 3)
})

test('they ascend while the clock goes back a little, and follow it when it was set back', () => {
  const last = newJobId(NOW + 100)
  expect(newJobId(NOW + 50) > last).toBe(true)
  const before = NOW - 1_800_000
  expect(Number.parseInt(newJobId(before).replace('-', '').slice(0, 12), 16)).toBe(before)
})
