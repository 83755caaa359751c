import { expect, onTestFinished, test, vi } from 'vitest'
import type { Presence, TypeRegistration, TypeState } from '../../server/engine/engine.ts'
import { Unavailable } from '../../server/engine/errors.ts'
import { createEvents } from '../../server/events.ts'
import { TypeKeeper } from '../../server/maintenance/type-keeper.ts'
import { DEFAULT_OPTIONS } from '../../shared/options.ts'

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
      hasQueued: async () => false,
      presences: async () => [],
    },
    events: createEvents(),
    registrations: ['known', 'used', 'lost'].map(registration),
    runs: true,
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
        hasQueued: async () => false,
        presences: async () => [],
      },
      events: createEvents(),
      registrations: ['known', 'other'].map(registration),
      runs: true,
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
    engine: { types, registerTypes: async () => {}, hasQueued: async () => false, presences: async () => [] },
    events,
    registrations: [],
    runs: true,
  })
  const comesBack = () => events.emit('store.up', { epoch: 'another', warnings: [] })
  keeper.start()
  comesBack()
  expect(looked).toBe(1)
  keeper.stop()
  comesBack()
  expect(looked).toBe(1)
})

test('a look that fails is made again until one succeeds, and the next one is where it is needed', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const store = { looks: 0, glances: 0, queued: false, workers: [] as Presence[] }
  const events = createEvents()
  const told: unknown[] = []
  events.on('types.unserved', ({ types }) => told.push(...types))
  const registered: string[] = []
  const keeper = new TypeKeeper({
    engine: {
      async types() {
        store.looks += 1
        if (store.looks < 3) throw new Unavailable('away')
        const foreign = state('foreign', true)
        return store.queued ? [{ ...foreign, counts: { ...counts, queued: 1 } }] : [foreign]
      },
      async hasQueued() {
        store.glances += 1
        return store.queued
      },
      registerTypes: async (all) => void registered.push(...all.map(({ type }) => type)),
      presences: async () => store.workers,
    },
    events,
    registrations: [registration('work')],
    runs: true,
  })
  keeper.start()
  events.emit('store.up', { epoch: 'another', warnings: [] })
  await vi.advanceTimersByTimeAsync(10_000)
  expect(registered).toEqual(['work'])
  const { looks } = store
  await vi.advanceTimersByTimeAsync(10 * 60_000)
  expect(store.looks).toBe(looks)
  expect(store.glances).toBeLessThan(10)
  store.queued = true
  await vi.advanceTimersByTimeAsync(190_000)
  expect(told).toEqual([{ type: 'foreign', queued: 1 }])
  keeper.stop()
})

test('a store that is away is no failure; anything else is', async () => {
  const failures: unknown[] = []
  const events = createEvents().on('failure', ({ error }) => failures.push(error))
  const mistake = new TypeError('a mistake')
  for (const error of [new Unavailable('away'), mistake]) {
    const types = () => Promise.reject(error)
    await new TypeKeeper({
      engine: {
        types,
        registerTypes: async () => {},
        hasQueued: async () => false,
        presences: async () => [],
      },
      events,
      registrations: [],
      runs: true,
    }).check()
  }
  expect(failures).toEqual([mistake])
})

test('types whose jobs wait and that nobody runs are told of once, when two looks find them so', async () => {
  const told: unknown[] = []
  const store = { queued: 3, paused: false, workers: [] as Presence[], asked: 0 }
  const waiting = (type: string): TypeState => ({
    ...state(type, true),
    counts: { ...counts, queued: store.queued },
    paused: store.paused,
  })
  const keeper = new TypeKeeper({
    engine: {
      types: async () => [waiting('own'), waiting('away'), state('idle', true)],
      registerTypes: async () => {},
      hasQueued: async () => store.queued > 0,
      presences: async () => {
        store.asked += 1
        return store.workers
      },
    },
    events: createEvents().on('types.unserved', ({ types }) => told.push(types)),
    registrations: [registration('own')],
    runs: true,
  })
  const look = async (times: number) => {
    for (let n = 0; n < times; n += 1) await keeper.check()
    return told.splice(0)
  }
  const worker = (...types: string[]): Presence => ({ id: 'w', role: 'worker', info: { types } })

  expect(await look(1)).toEqual([])
  expect(await look(3)).toEqual([[{ type: 'away', queued: 3 }]])
  store.workers = [worker('other'), worker('away')]
  expect(await look(2)).toEqual([])
  // Gone for a moment, as for a restart.
  store.workers = [worker('other')]
  await look(1)
  store.workers = [worker('away')]
  expect(await look(1)).toEqual([])
  store.workers = []
  store.paused = true
  expect(await look(3)).toEqual([])
  store.paused = false
  expect(await look(3)).toEqual([[{ type: 'away', queued: 3 }]])
  const { asked } = store
  store.queued = 0
  expect(await look(2)).toEqual([])
  expect(store.asked).toBe(asked)
})
