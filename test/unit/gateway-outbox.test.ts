import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Unavailable } from '../../server/engine/errors.ts'
import { type Dialect, Lane, Outbox, type Pipe } from '../../server/gateway/outbox.ts'
import { OutputBudget } from '../../server/gateway/output-budget.ts'
import type { Standing } from '../../server/gateway/queue-places.ts'
import { HIGH_WATER_BYTES } from '../../server/gateway/slow-reader.ts'
import type { JobEvent } from '../../shared/event.ts'

/** A pipe that takes what it is told to take. */
class Valve implements Pipe {
  readonly written: string[] = []
  readonly rounds: number[] = []
  blocked = 0
  taking = true
  passed = 0

  unsent() {
    return this.blocked
  }

  taken() {
    return this.passed
  }

  write(chunks: readonly Buffer[]) {
    this.rounds.push(chunks.length)
    for (const chunk of chunks) {
      this.written.push(chunk.toString())
      this.blocked += chunk.length
    }
    if (this.taking) this.take()
  }

  take() {
    this.passed += this.blocked
    this.blocked = 0
  }
}

const AT = '2026-11-23T15:49:00.000Z'

function progress(seq: number, note = ''): JobEvent {
  return { seq, at: AT, kind: 'progress', data: { percent: 1, note } }
}

function chunk(seq: number, bytes: number): JobEvent {
  return { seq, at: AT, kind: 'chunk', data: 'x'.repeat(bytes) }
}

const tick = () => new Promise<void>((resolve) => setImmediate(resolve))

/** The lane of a transport that writes events as it is told to. */
function laneOf(outbox: Outbox, encode: Dialect['encode']) {
  const place = ({ place }: Standing) => Buffer.from(`place ${place}`)
  return new Lane(outbox, { encode, place, replay: () => {}, over: () => {} })
}

function setUp() {
  const valve = new Valve()
  const onSlow = vi.fn()
  const onSent = vi.fn()
  const outbox = new Outbox({ pipe: valve, budget: new OutputBudget(), onSlow, onSent })
  const lane = laneOf(outbox, (event, prev) =>
    Buffer.from(`${prev}>${event.seq}`.padEnd(event.kind === 'chunk' ? 100 : 1)),
  )
  return { valve, onSlow, onSent, outbox, lane }
}

let open: Outbox | null = null
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  open?.close()
  vi.useRealTimers()
})

describe('outbox', () => {
  test('frames of one tick go out together, in order', async () => {
    const { valve, outbox, lane, onSent } = setUp()
    outbox.frame(Buffer.from('hello'))
    outbox.frame(Buffer.from('subscribed'), lane, 7)
    lane.event(progress(8))
    lane.event(progress(9))
    expect(valve.written).toEqual([])
    await tick()
    expect(valve.written).toEqual(['hello', 'subscribed', '7>8', '8>9'])
    expect(valve.rounds).toEqual([4])
    expect(onSent).toHaveBeenCalledExactlyOnceWith(2)
  })

  test('past 64 KiB unsent, progress is merged to the latest, with a right prev', async () => {
    const { valve, outbox, lane } = setUp()
    outbox.frame(Buffer.from('subscribed'), lane, 0)
    await tick()
    valve.blocked = HIGH_WATER_BYTES + 1
    lane.event(progress(1))
    lane.event(progress(2))
    lane.event({ seq: 3, at: AT, kind: 'log', data: { level: 'info', line: 'kept' } })
    lane.event(progress(4))
    lane.event(progress(5))
    await tick()
    expect(valve.written).toEqual(['subscribed'])
    valve.take()
    outbox.wake()
    await tick()
    expect(valve.written).toEqual(['subscribed', '0>3', '3>5'])
  })

  test('jobs on one connection merge their own progress only', async () => {
    const { valve, outbox, lane } = setUp()
    const other = laneOf(outbox, (event, prev) => Buffer.from(`other ${prev}>${event.seq}`))
    valve.blocked = HIGH_WATER_BYTES + 1
    lane.event(progress(1))
    other.event(progress(1))
    lane.event(progress(2))
    valve.take()
    await tick()
    expect(valve.written).toEqual(['other 0>1', '0>2'])
  })

  test('a reader that keeps up gets every progress', async () => {
    const { valve, lane } = setUp()
    for (let seq = 1; seq <= 50; seq++) lane.event(progress(seq))
    await tick()
    expect(valve.written).toHaveLength(50)
  })

  test('endless progress takes no memory', async () => {
    const { valve, outbox, lane, onSlow } = setUp()
    valve.taking = false
    valve.blocked = HIGH_WATER_BYTES + 1
    for (let seq = 1; seq <= 100_000; seq++) lane.event(progress(seq, 'n'.repeat(100)))
    await tick()
    expect(onSlow).not.toHaveBeenCalled()
    expect(outbox.unsent()).toBeLessThan(HIGH_WATER_BYTES + 1000)
  })

  test('more than 1 MiB of live events waiting for a moment is too slow, and said once', async () => {
    const { valve, lane, onSlow } = setUp()
    valve.blocked = HIGH_WATER_BYTES
    for (let seq = 1; seq <= 4; seq++) lane.event(chunk(seq, 250_000))
    await tick()
    expect(onSlow).not.toHaveBeenCalled()
    for (let seq = 5; seq <= 8; seq++) lane.event(chunk(seq, 250_000))
    await tick()
    vi.advanceTimersByTime(240)
    expect(onSlow).not.toHaveBeenCalled()
    vi.advanceTimersByTime(10)
    expect(onSlow).toHaveBeenCalledOnce()
    lane.event(chunk(9, 20_000_000))
    await tick()
    expect(onSlow).toHaveBeenCalledOnce()
    expect(valve.written).toEqual([])
  })

  test('more than 8 MiB of live events waiting is too slow at once', async () => {
    const { valve, lane, onSlow } = setUp()
    valve.blocked = HIGH_WATER_BYTES
    for (let seq = 1; seq <= 34; seq++) lane.event(chunk(seq, 250_000))
    await tick()
    expect(onSlow).toHaveBeenCalledOnce()
  })

  test('a burst that is taken in good time is no slowness', async () => {
    const { valve, outbox, lane, onSlow } = setUp()
    valve.taking = false
    valve.blocked = HIGH_WATER_BYTES
    for (let seq = 1; seq <= 20; seq++) lane.event(chunk(seq, 250_000))
    await tick()
    for (let moment = 0; moment < 8; moment++) {
      valve.passed += 300_000
      vi.advanceTimersByTime(250)
    }
    expect(onSlow).not.toHaveBeenCalled()
    valve.taking = true
    valve.take()
    outbox.wake()
    await tick()
    expect(valve.written).toHaveLength(20)
  })

  test('live events that wait in the store count while the reader is behind, until they are read', async () => {
    const { valve, outbox, lane, onSlow } = setUp()
    open = outbox
    const other = laneOf(outbox, (event) => Buffer.from(`${event.seq}`))
    const anotherMoment = async () => {
      await tick()
      vi.advanceTimersByTime(600)
    }
    lane.lagging(3_000_000)
    await anotherMoment()
    expect(onSlow).not.toHaveBeenCalled()
    valve.blocked = HIGH_WATER_BYTES
    lane.lagging(0)
    other.lagging(600_000)
    await anotherMoment()
    expect(onSlow).not.toHaveBeenCalled()
    lane.lagging(600_000)
    await anotherMoment()
    expect(onSlow).toHaveBeenCalledOnce()
  })

  test('a burst that the system takes is no slowness', async () => {
    const { lane, onSlow, valve } = setUp()
    for (let seq = 1; seq <= 20; seq++) lane.event(chunk(seq, 250_000))
    await tick()
    expect(onSlow).not.toHaveBeenCalled()
    expect(valve.written).toHaveLength(20)
  })

  test('what was read from the store does not count', async () => {
    const { outbox, lane, onSlow, valve } = setUp()
    valve.blocked = HIGH_WATER_BYTES
    outbox.frame(Buffer.alloc(3_000_000), lane, 3)
    for (let seq = 4; seq <= 20; seq++) lane.caughtUp([chunk(seq, 250_000)])
    await tick()
    expect(onSlow).not.toHaveBeenCalled()
    outbox.close()
  })

  test('no byte taken for 10 s is too slow; one byte is enough', () => {
    const { outbox, lane, onSlow, valve } = setUp()
    open = outbox
    const start = performance.now()
    valve.blocked = 10
    lane.event(progress(1))
    outbox.check(start)
    outbox.check(start + 9000)
    valve.passed++
    outbox.check(start + 9500)
    outbox.check(start + 19_000)
    expect(onSlow).not.toHaveBeenCalled()
    outbox.check(start + 19_501)
    expect(onSlow).toHaveBeenCalledOnce()
  })

  test('a reader with nothing to read is not slow', () => {
    const { outbox, onSlow } = setUp()
    const start = performance.now()
    for (let second = 0; second < 100; second++) outbox.check(start + second * 1000)
    expect(onSlow).not.toHaveBeenCalled()
  })

  test('turns come one at a time, and only under 64 KiB unsent', async () => {
    const { outbox, valve } = setUp()
    const log: string[] = []
    valve.taking = false
    const turn = (name: string, bytes: number) =>
      outbox.turn(async () => {
        log.push(`${name} begins`)
        await tick()
        outbox.frame(Buffer.alloc(bytes))
        log.push(`${name} ends`)
      })
    const turns = Promise.all([turn('a', 10), turn('b', HIGH_WATER_BYTES), turn('c', 10)])
    for (let round = 0; round < 10; round++) await tick()
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends'])
    valve.take()
    outbox.wake()
    await turns
    expect(log.at(-1)).toBe('c ends')
    outbox.close()
  })

  test('where the store is away for one turn, nobody waits for a turn of its own', async () => {
    const { outbox } = setUp()
    let reads = 0
    const turns = Array.from({ length: 256 }, () =>
      outbox.turn(async () => {
        reads++
        await tick()
        throw new Unavailable('away')
      }),
    )
    const outcomes = await Promise.allSettled(turns)
    expect(outcomes.every((outcome) => outcome.status === 'rejected')).toBe(true)
    expect(reads).toBe(1)
  })

  test('finishing writes what waits, then calls back; closing settles who waits for a turn', async () => {
    const { outbox, valve } = setUp()
    const done = vi.fn()
    outbox.frame(Buffer.from('last words'))
    outbox.finish(done)
    outbox.frame(Buffer.from('too late'))
    await tick()
    expect(valve.written).toEqual(['last words'])
    expect(done).toHaveBeenCalledOnce()
    await expect(outbox.turn(async () => {})).rejects.toThrow(Unavailable)
  })

  test('dropping a lane takes back its events, and no answer', async () => {
    const { outbox, lane, valve } = setUp()
    outbox.frame(Buffer.from('subscribed'), lane, 0)
    lane.event(progress(1))
    outbox.drop(lane)
    await tick()
    expect(valve.written).toEqual(['subscribed'])
    expect(outbox.unsent()).toBe(0)
  })

  test('a place in line is told where there is room for it, and else not at all', async () => {
    const { outbox, lane, valve } = setUp()
    const standing = { place: 3, startsAtMs: null, held: null }
    valve.blocked = HIGH_WATER_BYTES + 1
    expect(lane.standing(standing)).toBe(false)
    valve.blocked = HIGH_WATER_BYTES
    expect(lane.standing(standing)).toBe(true)
    valve.take()
    outbox.wake()
    await tick()
    expect(valve.written).toEqual(['place 3'])
  })
})
