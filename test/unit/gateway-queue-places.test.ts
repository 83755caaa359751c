import { describe, expect, test } from 'vitest'
import { isNews, toQueuePlace } from '../../server/gateway/queue-places.ts'
import { slotsByType, startsInMs } from '../../server/gateway/start-estimates.ts'
import type { Held } from '../../shared/job.ts'
import type { TypePace } from '../../shared/pace.ts'

const pace = (changes: Partial<TypePace> = {}): TypePace => ({
  type: 'work',
  meanMs: 1000,
  slots: 1,
  free: 0,
  busyMs: [0],
  ...changes,
})

/** In how many ms the jobs at places 1, 2, … start. */
function starts(paces: TypePace[], places: number, sinceMs = 0): number[] {
  const slots = slotsByType(paces).get('work')
  if (slots === undefined) throw new Error('there are no slots')
  return Array.from({ length: places }, (_, index) => startsInMs(slots, index + 1, sinceMs))
}

describe('when a queued job starts', () => {
  test('one slot: when what runs is done, then a run each', () => {
    expect(starts([pace({ busyMs: [400] })], 4)).toEqual([600, 1600, 2600, 3600])
  })

  test('time goes by: the start stays where it is', () => {
    expect(starts([pace({ busyMs: [400] })], 2, 250)).toEqual([350, 1350])
  })

  test('a run that takes longer than the mean is over at any moment, never in the past', () => {
    expect(starts([pace({ busyMs: [5000] })], 2)).toEqual([0, 1000])
    expect(starts([pace({ busyMs: [400] })], 2, 60_000)).toEqual([0, 1000])
  })

  test('several slots, of several workers: whichever is free first', () => {
    const paces = [pace({ slots: 2, busyMs: [900, 100] }), pace({ slots: 1, busyMs: [500] })]
    expect(starts(paces, 5)).toEqual([100, 500, 900, 1100, 1500])
  })

  test('free slots take what is next at once', () => {
    expect(starts([pace({ slots: 3, free: 2, busyMs: [0] })], 4)).toEqual([0, 0, 1000, 1000])
  })

  test('slots of which nothing is told are free one after the other', () => {
    expect(starts([pace({ slots: 4, busyMs: [] })], 5)).toEqual([125, 375, 625, 875, 1125])
  })

  test('workers of different speed count by their slots', () => {
    const paces = [
      pace({ meanMs: 1000, slots: 3, busyMs: [0, 0, 0] }),
      pace({ meanMs: 5000, busyMs: [4500] }),
    ]
    expect(starts(paces, 5)).toEqual([500, 1000, 1000, 1000, 2500])
  })

  test('a worker whose first run has not ended is taken to be like the others', () => {
    expect(starts([pace(), pace({ meanMs: null, busyMs: [250] })], 2)).toEqual([750, 1000])
  })

  test('nobody knows without a run that ended, or without a worker', () => {
    expect(slotsByType([pace({ meanMs: null })]).size).toBe(0)
    expect(slotsByType([]).size).toBe(0)
    expect([...slotsByType([pace({ type: 'other' })]).keys()]).toEqual(['other'])
  })
})

describe('what is worth telling', () => {
  const at = (place: number | null, startsAtMs: number | null = null, held: Held | null = null) => ({
    place,
    startsAtMs,
    held,
  })

  test('a place, step by step near the head, in hundredths further back', () => {
    expect(isNews(null, at(1), 0)).toBe(true)
    expect(isNews(at(3), at(2), 0)).toBe(true)
    expect(isNews(at(3), at(4), 0)).toBe(true)
    expect(isNews(at(3), at(3), 0)).toBe(false)
    expect(isNews(at(3), at(3, null, 'no_worker'), 0)).toBe(true)
    expect(isNews(at(3, null, 'no_worker'), at(3, null, 'paused'), 0)).toBe(true)
    expect(isNews(at(3, null, 'paused'), at(3), 0)).toBe(true)
    expect(isNews(at(3, null, 'paused'), at(3, null, 'paused'), 0)).toBe(false)
    expect(isNews(at(100), at(99), 0)).toBe(true)
    expect(isNews(at(5000), at(4990), 0)).toBe(false)
    expect(isNews(at(5000), at(4950), 0)).toBe(true)
    expect(isNews(at(5000), at(5060), 0)).toBe(true)
    expect(isNews(at(null), at(10_000), 0)).toBe(true)
    expect(isNews(at(null), at(null), 0)).toBe(false)
  })

  test('a start that moved by more than a fifth of what was left, and a second', () => {
    const now = 1_000_000
    const starting = (inMs: number) => at(7, now + inMs)
    expect(isNews(starting(10_000), starting(12_000), now)).toBe(false)
    expect(isNews(starting(10_000), starting(12_001), now)).toBe(true)
    expect(isNews(starting(10_000), starting(7_999), now)).toBe(true)
    expect(isNews(starting(2000), starting(2999), now)).toBe(false)
    expect(isNews(starting(2000), starting(3000), now)).toBe(true)
    expect(isNews(starting(10_000), at(7), now)).toBe(true)
    expect(isNews(at(7), starting(10_000), now)).toBe(true)
  })

  test('what is past is "at any moment" and nothing new', () => {
    expect(isNews(at(1, 1_000_000), at(1, 1_060_000), 1_060_000)).toBe(false)
    expect(isNews(at(1, 1_000_000), at(1, 1_062_000), 1_060_000)).toBe(true)
  })

  test('goes out as an ISO time', () => {
    expect(toQueuePlace(at(2, 0))).toEqual({ place: 2, startsAt: '1970-01-01T00:00:00.000Z', held: null })
    expect(toQueuePlace(at(null, null, 'paused'))).toEqual({ place: null, startsAt: null, held: 'paused' })
  })
})
