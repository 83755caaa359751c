import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { moment, ServerClock } from '../../client/time.ts'
import { sleep } from '../helpers/page-stage.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const AHEAD_MS = 3_600_000
/** As a `Date` header has it. */
const told = (ms = Date.now() + AHEAD_MS) => Math.floor(ms / 1000) * 1000

it("is the machine's own until an answer tells", () => {
  const clock = new ServerClock()
  expect(clock.isKnown).toBe(false)
  expect(clock.now()).toBe(Date.now())
  clock.note(Number.NaN, moment())
  expect(clock.isKnown).toBe(false)
  clock.note(told(), moment())
  expect(clock.isKnown).toBe(true)
})

it('comes nearer with every answer, and never runs ahead of the server by more than one takes', async () => {
  const clock = new ServerClock()
  for (let n = 0; n < 40; n++) {
    const asked = moment()
    await vi.advanceTimersByTimeAsync(30)
    const time = told()
    await vi.advanceTimersByTimeAsync(30)
    clock.note(time, asked)
    await vi.advanceTimersByTimeAsync(711)
    const error = clock.now() - (Date.now() + AHEAD_MS)
    expect(error).toBeLessThanOrEqual(0)
    expect(error).toBeGreaterThan(n < 30 ? -1100 : -150)
  }
})

it("goes on while the machine sleeps, and is put right by the next answer where the machine's clock was", async () => {
  const clock = new ServerClock()
  clock.note(told(), moment())
  const before = clock.now()
  sleep(600_000)
  expect(clock.now() - before).toBe(600_000)

  const server = Date.now() + AHEAD_MS
  vi.setSystemTime(Date.now() + 86_400_000)
  clock.note(told(server), moment())
  expect(Math.abs(clock.now() - server)).toBeLessThanOrEqual(1000)
  vi.setSystemTime(Date.now() - 2 * 86_400_000)
  await vi.advanceTimersByTimeAsync(5000)
  expect(Math.abs(clock.now() - server - 5000)).toBeLessThanOrEqual(1000)
})
