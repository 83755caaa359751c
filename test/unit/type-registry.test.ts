import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Engine, TypeState } from '../../server/engine/engine.ts'
import { TypeRegistry } from '../../server/jobs/registry.ts'
import { DEFAULT_OPTIONS } from '../../shared/options.ts'
import { withVerbs } from '../helpers/workbench.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const counts = { scheduled: 0, queued: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 }
const state = (type: string, isRegistered: boolean): TypeState => ({
  type,
  counts,
  paused: false,
  registration: isRegistered ? { type, policy: DEFAULT_OPTIONS, payloadSchema: null } : null,
})

/** A registry of a process without types of its own, and the store that it asks. */
function registryOn(kind: Engine['kind']) {
  const store = { states: [] as TypeState[], asked: 0, isAway: false }
  const types = async () => {
    store.asked += 1
    if (store.isAway) throw new Error('away')
    return store.states
  }
  const registry = new TypeRegistry(withVerbs({} as Engine, { kind, types }), [], 1)
  const isKnown = async (type: string) => {
    vi.advanceTimersByTime(2500)
    return (await registry.find(type)) !== null
  }
  return { store, registry, isKnown }
}

test('a type that workers elsewhere have registered may be submitted, until that is too long ago', async () => {
  const { store, isKnown } = registryOn('redis')
  expect(await isKnown('work')).toBe(false)
  store.states = [state('work', true)]
  expect(await isKnown('work')).toBe(true)
  store.states = [{ ...state('work', false), isOutdated: true }]
  expect(await isKnown('work')).toBe(false)
})

test('a type is not refused because its store was wiped', async () => {
  const { store, isKnown } = registryOn('redis')
  store.states = [state('work', true)]
  expect(await isKnown('work')).toBe(true)
  store.states = []
  expect(await isKnown('work')).toBe(true)
  // A job was submitted, and no worker has registered its types again.
  store.states = [state('work', false)]
  expect(await isKnown('work')).toBe(true)
})

/** As `work` is registered: an object whose field `n` has this type. */
const told = (type: string, more: object = { resultSchema: null }): TypeState => ({
  ...state('work', true),
  registration: {
    type: 'work',
    policy: DEFAULT_OPTIONS,
    payloadSchema: { type: 'object', properties: { n: { type } } },
    ...more,
  },
})

test('payloads are held to what a worker elsewhere tells of its schema, which is made ready once', async () => {
  const { store, registry } = registryOn('redis')
  const find = async () => {
    vi.advanceTimersByTime(2500)
    return registry.find('work')
  }
  store.states = [told('number')]
  const known = await find()
  expect(known?.check({ n: 'x' })).toBeInstanceOf(Promise)
  expect(await known?.check({ n: 'x' })).toEqual([{ path: 'n', message: 'must be a number' }])
  // From then on it is known at once, also for what is registered again as it was.
  store.states = [told('number')]
  expect(await find()).toBe(known)
  expect(known?.check({ n: 1 })).toEqual([])
  store.states = [told('string')]
  expect(await (await find())?.check({ n: 1 })).toEqual([{ path: 'n', message: 'must be a string' }])
  store.states = [told('string', {})]
  expect((await find())?.check({ n: 1 })).toEqual([])
})

test('the schemas of all types are listed anew only where one has changed, and known while the store is away', async () => {
  const { store, registry } = registryOn('redis')
  const schemas = async () => {
    vi.advanceTimersByTime(2500)
    return registry.schemas()
  }
  store.states = [told('number')]
  const first = await schemas()
  expect(first).toMatchObject([{ type: 'work', payloadSchema: { type: 'object' }, resultSchema: null }])
  store.states = [told('number')]
  expect(await schemas()).toBe(first)
  store.states = [told('number'), state('more', true)]
  expect((await schemas()).map(({ type }) => type)).toEqual(['more', 'work'])
  store.isAway = true
  expect((await schemas()).map(({ type }) => type)).toEqual(['more', 'work'])
})

test('up to three types are near, the nearest first', async () => {
  const { store, registry, isKnown } = registryOn('redis')
  store.states = ['report', 'reports', 'resort', 'rapport', 'import'].map((type) => state(type, true))
  await isKnown('work')
  expect(registry.nearest('Report')).toEqual(['report', 'reports', 'resort'])
  expect(registry.nearest('thumbnails')).toEqual([])
  expect(registry.nearest('x'.repeat(10_000))).toEqual([])
})

test('on the embedded engine only what this process defines is known, and nobody is asked', async () => {
  const { store, isKnown } = registryOn('sqlite')
  store.states = [state('work', true)]
  expect(await isKnown('work')).toBe(false)
  expect(store.asked).toBe(0)
})
