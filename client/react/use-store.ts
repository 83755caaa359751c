import { useState, useSyncExternalStore } from 'react'
import type { Readable } from '../store.ts'

/**
 * Makes a store of the SDK, holds it for as long as its inputs are the same, and reads it. It is held in state: what
 * `useMemo` holds may be forgotten at any time, and is at every hot reload, with the job that the store had begun.
 */
export function useStore<T, S extends Readable<T>>(
  create: () => S & Readable<T>,
  inputs: readonly unknown[],
): { readonly store: S; readonly state: T } {
  const [first, hold] = useState(() => ({ inputs, store: create() }))
  let held = first
  if (!areSame(held.inputs, inputs)) {
    held = { inputs, store: create() }
    // React renders again at once, before anybody sees this one.
    hold(held)
  }
  const { store } = held
  return { store, state: useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot) }
}

function areSame(before: readonly unknown[], now: readonly unknown[]): boolean {
  return before.length === now.length && before.every((input, index) => Object.is(input, now[index]))
}
