import { describe, expect, test } from 'vitest'
import { Pace } from '../../server/worker/pace.ts'
import { TypePace } from '../../shared/pace.ts'

const room = (limit: number, free: number, limits: Record<string, number> = {}) => ({
  limit,
  free,
  limitOf: (type: string) => limits[type] ?? limit,
})

const running = (...types: string[]) => types.map((type) => ({ type, startedAt: 0 }))

describe('the pace of a worker', () => {
  test('is the mean of the runs so far, then one that forgets', () => {
    const pace = new Pace()
    for (const ms of [100, 200, 300]) pace.ended('work', ms, 0)
    const meanMs = () => pace.describe([], room(4, 4), 0)[0]?.meanMs ?? Number.NaN
    expect(meanMs()).toBeCloseTo(200)
    for (let run = 0; run < 200; run++) pace.ended('work', 1000, 0)
    expect(meanMs()).toBeGreaterThan(995)
    pace.ended('work', 2000, 0)
    expect(meanMs()).toBeLessThan(1060)
  })

  test('tells of what runs, for how long, and that the rest is free', () => {
    const pace = new Pace()
    pace.ended('work', 500, 0)
    const runs = [
      { type: 'work', startedAt: 700 },
      { type: 'work', startedAt: 900.4 },
    ]
    const told = pace.describe(runs, room(5, 3), 1000)
    expect(told).toEqual([{ type: 'work', meanMs: 500, slots: 5, free: 3, busyMs: [300, 100] }])
    for (const one of told) TypePace.parse(one)
  })

  test('gives each type no less than its share where others fill the slots', () => {
    const pace = new Pace()
    pace.ended('quiet', 10, 0)
    const told = pace.describe(running('a', 'a', 'a', 'b'), room(4, 0), 0)
    expect(told.map(({ type, slots, free }) => [type, slots, free])).toEqual([
      ['a', 3, 0],
      ['b', 2, 0],
      ['quiet', 2, 0],
    ])
  })

  test("keeps to a type's own concurrency", () => {
    const pace = new Pace()
    const told = pace.describe(running('one', 'other'), room(10, 8, { one: 1 }), 0)
    expect(told).toMatchObject([
      { type: 'one', slots: 1, free: 0 },
      { type: 'other', slots: 9, free: 8 },
    ])
  })

  test('stays short: of many runs none, of many types those that ran last', () => {
    const pace = new Pace()
    for (let type = 0; type < 300; type++) pace.ended(`t${type}`, 1, type)
    const told = pace.describe(running(...Array<string>(64).fill('t0')), room(100, 36), 0)
    expect(told).toHaveLength(100)
    expect(told[0]).toMatchObject({ type: 't0', slots: 100, free: 36, busyMs: [] })
    expect(told[1]?.type).toBe('t299')
    expect(told.at(-1)?.type).toBe('t201')
  })
})
