'use client'
import { useMemo, useState, useSyncExternalStore } from 'react'
import type { Readable } from '../store.ts'

export interface Held<S> {
  readonly inputs: readonly unknown[]
  readonly store: S
  /** What the component has read of the store's state. */
  readonly read: Set<PropertyKey>
}

/**
 * Makes a store of the SDK and holds it for as long as its inputs are the same; `create` is given what was held before. It is
 * held in state: what `useMemo` holds may be forgotten at any time, and is at every hot reload, with the job that the store had
 * begun.
 */
export function useHeld<S>(inputs: readonly unknown[], create: (before: Held<S> | null) => S): Held<S> {
  const [held, hold] = useState(() => ({ inputs, store: create(null), read: new Set<PropertyKey>() }))
  if (areSame(held.inputs, inputs)) return held
  const next = { inputs, store: create(held), read: new Set<PropertyKey>() }
  // React renders again at once, before anybody sees this one.
  hold(next)
  return next
}

export function areSame(before: readonly unknown[], now: readonly unknown[]): boolean {
  return before.length === now.length && before.every((input, index) => Object.is(input, now[index]))
}

/**
 * The state of a store, beside methods of it. What is read of it is remembered, and only a change of that renders the
 * component again; whatever renders it, it reads the newest. `onServer` is what a server has rendered, where that may differ.
 */
export function useTracked<State extends object, S extends Readable<State>, Name extends keyof S = never>(
  { store, read }: Held<S & Readable<State>>,
  methods: readonly Name[],
  onServer?: State,
): State & Pick<S, Name> {
  const newest = store.getSnapshot()
  // React asks this one from now on whether there is something new.
  const getSnapshot = () => {
    const now = store.getSnapshot()
    for (const name of read) if (!Object.is(Reflect.get(newest, name), Reflect.get(now, name))) return now
    return newest
  }
  const state = useSyncExternalStore(store.subscribe, getSnapshot, () => onServer ?? newest)
  return useMemo(() => {
    const view: Partial<S> = {}
    for (const name of methods) view[name] = store[name]
    const get = (target: object, name: PropertyKey) => {
      read.add(name)
      return Reflect.get(target, name)
    }
    return new Proxy(Object.assign(view, state), { get }) as State & Pick<S, Name>
  }, [store, state, read, methods])
}
