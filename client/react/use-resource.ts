import { useMemo, useSyncExternalStore } from 'react'
import type { OverviewAnswer, TypesAnswer } from '../../shared/api.ts'
import type { ConnectionState } from '../connection.ts'
import { type ResourceState, ResourceStore } from '../stores/resource-store.ts'
import { useClient } from './provider.ts'

export interface UseResource<T> extends ResourceState<T> {
  /** Reads it again, now. */
  refresh(): Promise<void>
}

interface RefreshOptions {
  readonly refreshMs?: number
}

/** The job types with their counts, read again every `refreshMs` (default 3,000) while the page is visible. */
export function useTypes({ refreshMs = 3000 }: RefreshOptions = {}): UseResource<TypesAnswer> {
  const client = useClient()
  const store = useMemo(
    () => new ResourceStore(refreshMs, (signal) => client.types({ signal })),
    [client, refreshMs],
  )
  return useResource(store)
}

/** Workers, gateways and counts, read again every `refreshMs` (default 3,000) while the page is visible. */
export function useOverview({ refreshMs = 3000 }: RefreshOptions = {}): UseResource<OverviewAnswer> {
  const client = useClient()
  const store = useMemo(
    () => new ResourceStore(refreshMs, (signal) => client.overview({ signal })),
    [client, refreshMs],
  )
  return useResource(store)
}

/** How the client is connected. */
export function useConnection(): ConnectionState {
  const { connection } = useClient()
  return useSyncExternalStore(connection.subscribe, connection.getSnapshot, connection.getSnapshot)
}

function useResource<T>(store: ResourceStore<T>): UseResource<T> {
  const state = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot)
  return useMemo(() => ({ ...state, refresh: store.refresh }), [store, state])
}
