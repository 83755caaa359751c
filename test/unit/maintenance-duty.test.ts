import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Done, Duty, type DutyOptions } from '../../server/maintenance/duty.ts'

/** Jobs in a store that several processes share, by when they are due on the fake clock. */
class Due {
  times: number[] = []

  take(limit: number): Done {
    this.times.sort((one, other) => one - other)
    const due = this.times.filter((time) => time <= performance.now()).slice(0, limit)
    this.times.splice(0, due.length)
    const [next] = this.times
    return { jobs: due.length, nextInMs: next === undefined ? null : Math.max(0, next - performance.now()) }
  }
}

const LIMIT = 10
const store = new Due()
let calls: { by: string; at: number; jobs: number }[] = []
const duties: Duty[] = []

function duty(by: string, options: Partial<DutyOptions> = {}): Duty {
  const one = new Duty({
    isPunctual: true,
    patienceMs: 200,
    restMs: 1000,
    limit: LIMIT,
    act: async () => {
      const done = store.take(LIMIT)
      calls.push({ by, at: performance.now(), jobs: done.jobs })
      return done
    },
    ask: () => {},
    failed: () => {},
    random: () => 0.5,
    ...options,
  })
  one.start()
  duties.push(one)
  return one
}

/** Each process that acted, and how late it was for one of the times. */
const lateness = (time: number) => calls.map(({ by, at, jobs }) => ({ by, late: at - time, jobs }))

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  store.times = []
  calls = []
})
afterEach(async () => {
  await Promise.all(duties.splice(0).map((one) => one.stop()))
  vi.useRealTimers()
})

function schedule(inMs: number): number {
  const time = performance.now() + inMs
  store.times.push(time)
  return time
}

describe('a duty', () => {
  test('is done to the moment, one time after the other, without being told of all', async () => {
    const one = duty('one')
    const times = [schedule(50), schedule(70), schedule(2000)]
    one.hint(50, true)
    await vi.advanceTimersByTimeAsync(5000)
    expect(calls.map(({ at }) => at)).toEqual(times.map((time) => time + 1))
    expect(calls.every(({ jobs }) => jobs === 1)).toBe(true)
  })

  test('moves up for what is due earlier, and not back for what is due later', async () => {
    const one = duty('one')
    const later = schedule(10_000)
    one.hint(10_000, true)
    const nearer = schedule(20)
    one.hint(20, true)
    one.hint(5000, true)
    await vi.advanceTimersByTimeAsync(11_000)
    expect(calls.map(({ at }) => at)).toEqual([nearer + 1, later + 1])
  })

  test('takes what there is beyond one call at once', async () => {
    const one = duty('one')
    for (let n = 0; n < 25; n++) schedule(10)
    one.hint(10, true)
    await vi.advanceTimersByTimeAsync(20)
    expect(calls.map(({ jobs }) => jobs)).toEqual([10, 10, 5])
  })

  test('goes to one of several processes: the others fall behind, and stand in when that one is gone', async () => {
    const [one, other] = [duty('one'), duty('other')]
    for (let n = 1; n <= 10; n++) {
      schedule(100 * n)
      if (n === 1) for (const each of [one, other]) each.expect(100)
    }
    await vi.advanceTimersByTimeAsync(950)
    expect(calls.filter(({ jobs }) => jobs > 0).every(({ by }) => by === 'one')).toBe(true)
    // At the first time both are there; from then on the other one looks once in a while.
    expect(calls.filter(({ by }) => by === 'other').length).toBeLessThanOrEqual(2)
    await one.stop()
    calls = []
    await vi.advanceTimersByTimeAsync(5000)
    expect(calls.filter(({ jobs }) => jobs > 0).map(({ by }) => by)).toEqual(['other'])
    const next = schedule(30)
    calls = []
    other.expect(30)
    await vi.advanceTimersByTimeAsync(100)
    expect(lateness(next)).toEqual([{ by: 'other', late: 1, jobs: 1 }])
  })

  test('is done late by who heard of it, where who brought it about does nothing', async () => {
    const time = schedule(50)
    duty('one').hint(50, false)
    await vi.advanceTimersByTimeAsync(1000)
    expect(lateness(time)).toEqual([{ by: 'one', late: 301, jobs: 1 }])
  })

  test('that finds what it brought about done already stays at hand for what comes next', async () => {
    const one = duty('one')
    one.hint(10, true)
    await vi.advanceTimersByTimeAsync(20)
    expect(calls).toMatchObject([{ jobs: 0 }])
    const time = schedule(100)
    calls = []
    one.expect(100)
    await vi.advanceTimersByTimeAsync(200)
    expect(lateness(time)).toEqual([{ by: 'one', late: 1, jobs: 1 }])
  })

  test('that was early, by another clock, waits for the rest', async () => {
    const one = duty('one')
    const time = schedule(120)
    one.expect(100)
    await vi.advanceTimersByTimeAsync(200)
    expect(calls.map(({ at, jobs }) => [at - time, jobs])).toEqual([
      [-19, 0],
      [1, 1],
    ])
  })

  test('of a store that fails is tried again, ever less often, and at once when told so', async () => {
    let isAway = true
    const failures: unknown[] = []
    const one = duty('one', {
      act: async () => {
        calls.push({ by: 'one', at: performance.now(), jobs: 0 })
        if (isAway) throw new Error('away')
        return store.take(LIMIT)
      },
      failed: (error) => failures.push(error),
    })
    schedule(10)
    one.hint(10, true)
    await vi.advanceTimersByTimeAsync(16_000)
    const gaps = calls.slice(1).map(({ at }, n) => at - (calls[n]?.at ?? 0))
    expect(gaps).toEqual([250, 500, 1000, 2000, 4000, 4000, 4000])
    expect(failures).toHaveLength(calls.length)
    isAway = false
    one.startOver()
    one.expect(0)
    await vi.advanceTimersByTimeAsync(1000)
    expect(store.times).toEqual([])
  })

  test('that need not be to the moment rests in between, and asks what comes next', async () => {
    let asked = 0
    const one = duty('one', {
      isPunctual: false,
      patienceMs: 0,
      restMs: 500,
      act: async () => {
        const { jobs } = store.take(LIMIT)
        calls.push({ by: 'one', at: performance.now(), jobs })
        return { jobs }
      },
      ask: () => {
        asked += 1
        setTimeout(() => one.expect(5), 0)
      },
    })
    const began = performance.now()
    one.expect(0)
    await vi.advanceTimersByTimeAsync(1100)
    expect(calls.map(({ at }) => at - began)).toEqual([1, 501, 1001])
    expect(asked).toBe(3)
  })
})
