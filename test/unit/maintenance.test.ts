import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Engine, Scheduled, Upcoming } from '../../server/engine/engine.ts'
import { createEvents } from '../../server/events.ts'
import { createMaintenance, type Maintenance } from '../../server/maintenance/maintenance.ts'

const NOTHING: Upcoming = { promoteInMs: null, rescueInMs: null, pruneInMs: null }

let looks: number[]
let calls: string[]
let upcoming: Upcoming
let schedule: (scheduled: Scheduled) => void
const events = createEvents()
let maintenance: Maintenance

const claimed = () => events.emit('run.claimed', { jobId: 'j', type: 't', attempt: 1, waitMs: 0 })
const gaps = () => looks.slice(1).map((at, n) => at - (looks[n] ?? 0))

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  looks = []
  calls = []
  upcoming = NOTHING
})
afterEach(async () => {
  await maintenance.stop()
  vi.useRealTimers()
})

async function start(kind: Engine['kind']): Promise<void> {
  const engine = {
    kind,
    async upcoming() {
      looks.push(performance.now())
      return upcoming
    },
    onScheduled(listener: typeof schedule) {
      schedule = listener
      return () => {}
    },
    async promote() {
      calls.push('promote')
      return { promoted: 0, nextInMs: null }
    },
    async rescue() {
      calls.push('rescue')
      return { rescued: 0 }
    },
    async prune() {
      calls.push('prune')
      return { pruned: 0 }
    },
  }
  maintenance = createMaintenance({ engine, events, random: () => 0.5 })
  maintenance.start()
  await vi.advanceTimersByTimeAsync(0)
}

test('where nothing goes on, a shared store is looked at every 13 s and otherwise left alone', async () => {
  await start('redis')
  await vi.advanceTimersByTimeAsync(10 * 60_000)
  expect(looks.length).toBeLessThan(55)
  expect(Math.max(...gaps())).toBeLessThanOrEqual(13_000)
  expect(calls).toEqual([])
})

test('where jobs run or come, it is looked at every 2.5 s', async () => {
  await start('redis')
  await vi.advanceTimersByTimeAsync(5000)
  claimed()
  await vi.advanceTimersByTimeAsync(2500)
  expect(looks).toHaveLength(2)
  upcoming = { ...NOTHING, rescueInMs: 15_000 }
  claimed()
  await vi.advanceTimersByTimeAsync(30_000)
  expect(
    gaps()
      .slice(1)
      .every((gap) => gap <= 2500),
  ).toBe(true)
  upcoming = NOTHING
  await vi.advanceTimersByTimeAsync(60_000)
  expect(gaps().at(-1)).toBeGreaterThan(10_000)
})

test('a lease that a look has shown is held to its end, and the store is asked what comes next', async () => {
  upcoming = { ...NOTHING, rescueInMs: 1000 }
  await start('redis')
  upcoming = NOTHING
  await vi.advanceTimersByTimeAsync(1500)
  expect(calls).toEqual(['rescue'])
  expect(looks).toHaveLength(2)
})

test('a store that comes back is looked at at once', async () => {
  await start('redis')
  await vi.advanceTimersByTimeAsync(1000)
  events.emit('store.up', { epoch: 'another', warnings: [] })
  await vi.advanceTimersByTimeAsync(200)
  expect(looks).toHaveLength(2)
})

test('what this process schedules is promoted to the moment, what others do in case that they do not', async () => {
  await start('redis')
  const began = performance.now()
  schedule({ inMs: 50, isOwn: true })
  await vi.advanceTimersByTimeAsync(51)
  expect(calls).toEqual(['promote'])
  schedule({ inMs: 2000, isOwn: false })
  for (let n = 0; n < 3000 && calls.length < 2; n++) await vi.advanceTimersByTimeAsync(1)
  const promotedAt = performance.now() - began
  expect(promotedAt).toBeGreaterThan(2251)
  expect(promotedAt).toBeLessThan(2500)
})

test('a store of its own is looked at every second: somebody may have set the clock', async () => {
  await start('sqlite')
  await vi.advanceTimersByTimeAsync(10_000)
  expect(looks.length).toBeGreaterThanOrEqual(10)
})
