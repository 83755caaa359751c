import { expect, onTestFinished, test, vi } from 'vitest'
import type { Engine } from '../../server/engine/engine.ts'
import { OutcomeUnknown, Unavailable } from '../../server/engine/errors.ts'
import { createEvents } from '../../server/events.ts'
import { PresenceBoard } from '../../server/maintenance/presence.ts'

async function failuresOf(error: Error): Promise<unknown[]> {
  const events = createEvents()
  const failures: unknown[] = []
  events.on('failure', (failure) => failures.push(failure.error))
  const engine: Pick<Engine, 'announce' | 'withdraw'> = {
    announce: () => Promise.reject(error),
    withdraw: () => Promise.resolve(),
  }
  const describe = () => [{ id: 'w-1', role: 'worker', info: {} }] as const
  const board = new PresenceBoard({ engine, events, describe })
  onTestFinished(() => board.stop())
  await board.start()
  return failures
}

test('a store that is away, or whose answer is lost, is nothing that nobody foresaw', async () => {
  expect(await failuresOf(new Unavailable('away'))).toEqual([])
  expect(await failuresOf(new OutcomeUnknown('the answer was lost', []))).toEqual([])
})

test('anything else is', async () => {
  const error = new TypeError('a mistake')
  expect(await failuresOf(error)).toEqual([error])
})

test('what is as before is said again from time to time, and what has changed within two seconds', async () => {
  vi.useFakeTimers()
  let running = 0
  const said: unknown[] = []
  const board = new PresenceBoard({
    engine: { announce: async ({ info }) => void said.push(info), withdraw: async () => {} },
    events: createEvents(),
    describe: () => [{ id: 'w-1', role: 'worker', info: { running } }],
  })
  onTestFinished(async () => {
    await board.stop()
    vi.useRealTimers()
  })
  await board.start()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(said).toEqual(Array.from({ length: 6 }, () => ({ running: 0 })))
  running = 1
  await vi.advanceTimersByTimeAsync(2000)
  expect(said.at(-1)).toEqual({ running: 1 })
  expect(said).toHaveLength(7)
})

test('what did not arrive is said again in two seconds', async () => {
  vi.useFakeTimers()
  let calls = 0
  const board = new PresenceBoard({
    engine: {
      async announce() {
        calls += 1
        if (calls === 1) throw new Unavailable('away')
      },
      withdraw: async () => {},
    },
    events: createEvents(),
    describe: () => [{ id: 'w-1', role: 'worker', info: {} }],
  })
  onTestFinished(async () => {
    await board.stop()
    vi.useRealTimers()
  })
  await board.start()
  await vi.advanceTimersByTimeAsync(2000)
  expect(calls).toBe(2)
})
