import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Unavailable } from '../../server/engine/errors.ts'
import { OutputBudget } from '../../server/gateway/output-budget.ts'

const MIB = 1024 * 1024

/** A reader that takes as much as it is told to. */
function takerOf() {
  const taker = { bytes: 0, cut: vi.fn(), taken: () => taker.bytes }
  return taker
}

/** A read that ends when it is told to. */
function openRead(budget: OutputBudget, how: 'read' | 'readAlone' = 'read') {
  const state = { isBegun: false, end: () => {} }
  const done = budget[how](() => {
    state.isBegun = true
    return new Promise<void>((resolve) => {
      state.end = resolve
    })
  })
  return Object.assign(state, { done })
}

describe('what waits for readers', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('reads begin at once while there is room, and then when some is made', async () => {
    const budget = new OutputBudget(10 * MIB)
    const charge = budget.charge(takerOf())
    charge.add(9 * MIB)
    expect(await budget.read(async () => 'small')).toBe('small')
    charge.add(2 * MIB)
    const read = openRead(budget)
    await vi.advanceTimersByTimeAsync(1000)
    expect(read.isBegun).toBe(false)
    charge.release()
    charge.release()
    expect(budget.bytes).toBe(0)
    await vi.advanceTimersByTimeAsync(0)
    expect(read.isBegun).toBe(true)
    read.end()
    await read.done
  })

  test('who finds no room within two seconds is told so', async () => {
    const budget = new OutputBudget(MIB)
    const taker = takerOf()
    const sips = setInterval(() => {
      taker.bytes += 1000
    }, 100)
    budget.charge(taker).add(2 * MIB)
    const refused = expect(budget.read(async () => null)).rejects.toThrow(Unavailable)
    await vi.advanceTimersByTimeAsync(1999)
    await refused
    clearInterval(sips)
    expect(taker.cut).not.toHaveBeenCalled()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('those that take nothing are cut off where somebody waits for room, and nobody else', async () => {
    const budget = new OutputBudget(MIB)
    const KB = 1000
    const [stuck, alsoStuck, taking] = [takerOf(), takerOf(), takerOf()]
    for (const taker of [stuck, alsoStuck, taking]) budget.charge(taker).add(600 * KB)
    const sips = setInterval(() => {
      taking.bytes += 1
    }, 100)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(stuck.cut).not.toHaveBeenCalled()
    const read = budget.read(async () => 'read')
    await vi.advanceTimersByTimeAsync(1500)
    expect(await read).toBe('read')
    clearInterval(sips)
    expect([stuck, alsoStuck, taking].map(({ cut }) => cut.mock.calls.length)).toEqual([1, 1, 0])
    expect(budget.bytes).toBe(600 * KB)
  })

  test('where reads bring large jobs, few are under way at once; of small ones many', async () => {
    const budget = new OutputBudget(64 * MIB)
    const large = budget.charge(takerOf())
    large.add(8 * MIB)
    large.release()
    const reads = Array.from({ length: 40 }, () => openRead(budget))
    const begun = () => reads.filter(({ isBegun }) => isBegun).length
    await vi.advanceTimersByTimeAsync(0)
    expect(begun()).toBe(8)
    for (let ended = 0; ended < 40; ended++) {
      reads[ended]?.end()
      await vi.advanceTimersByTimeAsync(0)
    }
    expect(begun()).toBe(40)
    for (let small = 0; small < 500; small++) await budget.read(async () => null)
    const more = Array.from({ length: 100 }, () => [openRead(budget), openRead(budget, 'readAlone')])
    await vi.advanceTimersByTimeAsync(0)
    // One by one to the store: even of small ones not all, since nobody knows.
    const begunOf = (which: number) => more.filter((pair) => pair[which]?.isBegun).length
    expect([begunOf(0), begunOf(1)]).toEqual([65, 64])
    for (let round = 0; round < 3; round++) {
      for (const { end } of more.flat()) end()
      await vi.advanceTimersByTimeAsync(0)
    }
    expect([begunOf(0), begunOf(1)]).toEqual([100, 100])
  })

  test('what is being made takes room as well, and nobody is cut off for it', async () => {
    const budget = new OutputBudget(MIB)
    const made = budget.charge(null)
    expect(budget.hasRoom).toBe(true)
    made.add(2 * MIB)
    expect(budget.hasRoom).toBe(false)
    const refused = expect(budget.read(async () => null)).rejects.toThrow(Unavailable)
    await vi.advanceTimersByTimeAsync(2000)
    await refused
    made.release()
    expect(await budget.read(async () => 'read')).toBe('read')
  })

  test('a read that fails makes room as well', async () => {
    const budget = new OutputBudget(MIB)
    for (let failed = 0; failed < 100; failed++) {
      await expect(budget.read(() => Promise.reject(new Error('away')))).rejects.toThrow('away')
    }
    expect(await budget.read(async () => 'read')).toBe('read')
  })

  test('one answer is always given, however large, and none beyond twice the most', () => {
    const budget = new OutputBudget(MIB)
    expect(budget.fits(20 * MIB)).toBe(true)
    budget.charge(takerOf()).add(1.5 * MIB)
    expect(budget.fits(0.4 * MIB)).toBe(true)
    expect(budget.fits(0.6 * MIB)).toBe(false)
  })
})
