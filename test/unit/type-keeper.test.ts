import { expect, test, vi } from 'vitest'
import type { TypeRegistration, TypeState } from '../../server/engine/engine.ts'
import { Unavailable } from '../../server/engine/errors.ts'
import { createEvents } from '../../server/events.ts'
import { TypeKeeper } from '../../server/type-keeper.ts'
import { DEFAULT_OPTIONS } from '../../shared/api.ts'

const registration = (type: string): TypeRegistration => ({
  type,
  policy: DEFAULT_OPTIONS,
  payloadSchema: null,
})

const counts = { scheduled: 0, queued: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 }
const state = (type: string, isRegistered: boolean): TypeState => ({
  type,
  counts,
  paused: false,
  registration: isRegistered ? registration(type) : null,
})

test('what the store has forgotten is registered again, and what it knows is left alone', async () => {
  const registered: string[][] = []
  const keeper = new TypeKeeper({
    engine: {
      types: async () => [state('known', true), state('used', false), state('foreign', true)],
      registerTypes: async (types) => void registered.push(types.map(({ type }) => type)),
    },
    events: createEvents(),
    registrations: ['known', 'used', 'lost'].map(registration),
  })
  await keeper.check()
  expect(registered).toEqual([['used', 'lost']])
})

test('all are registered again a day later, so that the store goes on believing them', async () => {
  vi.useFakeTimers()
  try {
    const registered: string[][] = []
    const keeper = new TypeKeeper({
      engine: {
        types: async () => [state('known', true), state('other', true)],
        registerTypes: async (types) => void registered.push(types.map(({ type }) => type)),
      },
      events: createEvents(),
      registrations: ['known', 'other'].map(registration),
    })
    vi.advanceTimersByTime(23 * 3_600_000)
    await keeper.check()
    expect(registered).toEqual([])
    vi.advanceTimersByTime(2 * 3_600_000)
    await keeper.check()
    await keeper.check()
    expect(registered).toEqual([['known', 'other']])
  } finally {
    vi.useRealTimers()
  }
})

test('a store that comes back is looked at at once, until the keeper stops', async () => {
  let looked = 0
  const events = createEvents()
  const types = async () => {
    looked += 1
    return []
  }
  const keeper = new TypeKeeper({
    engine: { types, registerTypes: async () => {} },
    events,
    registrations: [],
  })
  const comesBack = () => events.emit('store.up', { epoch: 'another', warnings: [] })
  keeper.start()
  comesBack()
  expect(looked).toBe(1)
  keeper.stop()
  comesBack()
  expect(looked).toBe(1)
})

test('a store that is away is no failure; anything else is', async () => {
  const failures: unknown[] = []
  const events = createEvents().on('failure', ({ error }) => failures.push(error))
  const mistake = new TypeError('a mistake')
  for (const error of [new Unavailable('away'), mistake]) {
    const types = () => Promise.reject(error)
    await new TypeKeeper({
      engine: { types, registerTypes: async () => {} },
      events,
      registrations: [],
    }).check()
  }
  expect(failures).toEqual([mistake])
})
