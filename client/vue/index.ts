/**
 * Stores as refs, for Vue 3.
 *
 * @module
 */
import { getCurrentInstance, type MaybeRef, onMounted, type ShallowRef, shallowRef, unref, watch } from 'vue'
import type { Readable } from '../store.ts'

/**
 * The value of a store as a ref: of `createJobStore`, `createJobsStore`, a `watch`, `client.connection`. It is followed while the
 * component is mounted, so that a server renders what the store begins with; outside of a component, at once. Of a computed
 * store (another job for another prop) it is always the newest's.
 */
export function useStore<T>(store: MaybeRef<Readable<T>>): Readonly<ShallowRef<T>> {
  const value = shallowRef(unref(store).getSnapshot())
  const follow = () => {
    watch(
      () => unref(store),
      (followed, _before, onCleanup) => {
        const leave = followed.subscribe((newest) => {
          value.value = newest
        })
        onCleanup(leave)
      },
      { immediate: true },
    )
  }
  if (getCurrentInstance() === null) follow()
  else onMounted(follow)
  return value
}
