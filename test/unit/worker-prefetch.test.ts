import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Prefetch } from '../../server/worker/prefetch.ts'

describe('Prefetch', () => {
  let given: string[][]
  let prefetch: Prefetch<string>

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    given = []
    prefetch = new Prefetch({ slots: 1, giveBack: (runs) => given.push([...runs]) })
  })
  afterEach(() => vi.useRealTimers())

  const learn = (runMs: number, callMs: number, times = 100) => {
    for (let time = 0; time < times; time++) {
      prefetch.called(callMs)
      prefetch.ended(runMs)
    }
  }

  test('claims nothing ahead before it knows how long runs take', () => {
    prefetch.called(1)
    expect(prefetch.depth()).toBe(0)
  })

  test('claims ahead what is done within a round trip of each of the two calls that may be under way', () => {
    learn(0.1, 2)
    expect(prefetch.depth()).toBeGreaterThanOrEqual(39)
    expect(prefetch.depth()).toBeLessThanOrEqual(41)
  })

  test('claims nothing ahead of runs longer than a round trip', () => {
    learn(5, 1)
    expect(prefetch.depth()).toBe(0)
  })

  test('one long run counts at once, and is forgotten little by little', () => {
    learn(0.1, 1)
    prefetch.ended(2000)
    expect(prefetch.depth()).toBe(0)
    learn(0.1, 1, 20)
    expect(prefetch.depth()).toBe(0)
    learn(0.1, 1, 300)
    expect(prefetch.depth()).toBeGreaterThan(0)
  })

  test('claims nothing ahead where no run has ended of late', () => {
    learn(0.1, 1)
    vi.advanceTimersByTime(6)
    expect(prefetch.depth()).toBe(0)
  })

  test('hands out what waits in the order in which it came', () => {
    prefetch.add('a')
    prefetch.add('b')
    expect([prefetch.next(), prefetch.next(), prefetch.next()]).toEqual(['a', 'b', undefined])
  })

  test('gives back what waits when no run ends for 5 ms, and claims nothing more ahead', () => {
    learn(0.1, 1)
    prefetch.add('a')
    prefetch.add('b')
    vi.advanceTimersByTime(4)
    expect(given).toEqual([])
    vi.advanceTimersByTime(2)
    expect(given).toEqual([['a', 'b']])
    expect(prefetch.waiting).toBe(0)
    prefetch.ended(0.1)
    expect(prefetch.depth()).toBe(0)
  })

  test('gives nothing back while runs end', () => {
    learn(0.1, 1)
    prefetch.add('a')
    for (let ms = 0; ms < 50; ms += 3) {
      vi.advanceTimersByTime(3)
      prefetch.ended(0.1)
    }
    expect(given).toEqual([])
    prefetch.clear()
    expect(given).toEqual([['a']])
    expect(vi.getTimerCount()).toBe(0)
  })
})
