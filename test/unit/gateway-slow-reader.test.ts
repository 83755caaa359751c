import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { HIGH_WATER_BYTES, SlowReaderJudge } from '../../server/gateway/slow-reader.ts'

const MIB = 1024 * 1024
const MOMENT_MS = 250

/** A reader that has as much unsent as it is told to, and its judge. */
function setUp() {
  const uptake = {
    bytes: HIGH_WATER_BYTES,
    passed: 0,
    unsent: () => uptake.bytes,
    taken: () => uptake.passed,
  }
  const onSlow = vi.fn(() => judge.stop())
  const judge = new SlowReaderJudge({ uptake, stallMs: 10_000, onSlow })
  return { uptake, judge, onSlow }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

describe('a reader for whom live events wait', () => {
  test('is too slow after a moment with more than 1 MiB of which it takes little', () => {
    const { judge, onSlow } = setUp()
    judge.addLive(MIB + 1)
    judge.judgeWaiting()
    vi.advanceTimersByTime(MOMENT_MS - 1)
    expect(onSlow).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(onSlow).toHaveBeenCalledOnce()
  })

  test('is not with 1 MiB, nor with more that is gone when the moment is over', () => {
    const { judge, onSlow } = setUp()
    judge.addLive(MIB)
    judge.judgeWaiting()
    expect(vi.getTimerCount()).toBe(0)
    judge.addLive(MIB)
    judge.judgeWaiting()
    judge.addLive(-MIB)
    vi.advanceTimersByTime(10 * MOMENT_MS)
    expect(onSlow).not.toHaveBeenCalled()
  })

  test('gets no moment where little is unsent, and loses it when that is so', () => {
    const { uptake, judge, onSlow } = setUp()
    uptake.bytes = HIGH_WATER_BYTES - 1
    judge.addLive(2 * MIB)
    judge.judgeWaiting()
    expect(vi.getTimerCount()).toBe(0)
    uptake.bytes = HIGH_WATER_BYTES
    judge.judgeWaiting()
    judge.judgeWaiting()
    expect(vi.getTimerCount()).toBe(1)
    uptake.bytes = 0
    judge.judgeWaiting()
    expect(vi.getTimerCount()).toBe(0)
    expect(onSlow).not.toHaveBeenCalled()
  })

  test('gets another moment for every 256 KiB that it takes in one', () => {
    const { uptake, judge, onSlow } = setUp()
    judge.addLive(2 * MIB)
    judge.judgeWaiting()
    for (let moment = 0; moment < 20; moment++) {
      uptake.passed += 256 * 1024
      vi.advanceTimersByTime(MOMENT_MS)
    }
    expect(onSlow).not.toHaveBeenCalled()
    uptake.passed += 256 * 1024 - 1
    vi.advanceTimersByTime(MOMENT_MS)
    expect(onSlow).toHaveBeenCalledOnce()
  })

  test('is too slow at once with more than 8 MiB in memory, whatever it takes', () => {
    const { uptake, judge, onSlow } = setUp()
    uptake.bytes = 0
    judge.addLive(8 * MIB)
    judge.judgeWaiting()
    expect(onSlow).not.toHaveBeenCalled()
    judge.addLive(1)
    judge.judgeWaiting()
    expect(onSlow).toHaveBeenCalledOnce()
  })

  test('is judged by what waits in the store as well, but there after a moment', () => {
    const { uptake, judge, onSlow } = setUp()
    judge.addLive(MIB / 2)
    judge.addLagging(8 * MIB)
    judge.judgeWaiting()
    uptake.passed += MIB
    vi.advanceTimersByTime(MOMENT_MS - 1)
    expect(onSlow).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(onSlow).toHaveBeenCalledOnce()
  })

  test('is not for what it will not read any more', () => {
    const { judge, onSlow } = setUp()
    judge.addLagging(9 * MIB)
    judge.judgeWaiting()
    judge.forgetLagging()
    vi.advanceTimersByTime(10 * MOMENT_MS)
    expect(onSlow).not.toHaveBeenCalled()
  })

  test('is not blamed for a process that was busy with something else', () => {
    const { judge, onSlow } = setUp()
    judge.addLive(2 * MIB)
    judge.judgeWaiting()
    const began = performance.now()
    const clock = vi.spyOn(performance, 'now').mockReturnValue(began + 2 * MOMENT_MS)
    vi.advanceTimersByTime(MOMENT_MS)
    expect(onSlow).not.toHaveBeenCalled()
    clock.mockRestore()
    vi.advanceTimersByTime(MOMENT_MS)
    expect(onSlow).toHaveBeenCalledOnce()
  })
})

describe('a reader for whom anything waits', () => {
  test('is too slow when it takes no byte for the stall time', () => {
    const { uptake, judge, onSlow } = setUp()
    const start = performance.now()
    judge.judgeTaking(start + 9999, 1)
    uptake.passed++
    judge.judgeTaking(start + 10_000, 1)
    judge.judgeTaking(start + 19_999, 1)
    expect(onSlow).not.toHaveBeenCalled()
    judge.judgeTaking(start + 20_000, 1)
    expect(onSlow).toHaveBeenCalledOnce()
  })

  test('is not while nothing waits, and has the whole time from then on', () => {
    const { judge, onSlow } = setUp()
    const start = performance.now()
    judge.judgeTaking(start + 60_000, 0)
    judge.judgeTaking(start + 69_999, 1)
    expect(onSlow).not.toHaveBeenCalled()
    judge.judgeTaking(start + 70_000, 1)
    expect(onSlow).toHaveBeenCalledOnce()
  })
})
