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
  const store = { states: [] as TypeState[], asked: 0 }
  const types = async () => {
    store.asked += 1
    return store.states
  }
  const registry = new TypeRegistry(withVerbs({} as Engine, { kind, types }), [], 1)
  const isKnown = async (type: string) => {
    vi.advanceTimersByTime(2500)
    return (await registry.find(type)) !== null
  }
  return { store, isKnown }
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

test('on the embedded engine only what this process defines is known, and nobody is asked', async () => {
  const { store, isKnown } = registryOn('sqlite')
  store.states = [state('work', true)]
  expect(await isKnown('work')).toBe(false)
  expect(store.asked).toBe(0)
})
