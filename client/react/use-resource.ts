import { useMemo, useSyncExternalStore } from 'react'
import type { OverviewAnswer, TypesAnswer } from '../../shared/api.ts'
import type { JobcastClient } from '../client.ts'
import type { ConnectionState } from '../connection.ts'
import { type ResourceState, ResourceStore } from '../stores/resource-store.ts'
import { useClient } from './provider.ts'
import { useStore } from './use-store.ts'

export interface UseResource<T> extends ResourceState<T> {
  /** Reads it again, now. */
  refresh(): Promise<void>
}

interface RefreshOptions {
  readonly refreshMs?: number
}

/** The job types with their counts, read again every `refreshMs` (default 3,000) while the page is visible. */
export function useTypes({ refreshMs = 3000 }: RefreshOptions = {}): UseResource<TypesAnswer> {
  return useResource(refreshMs, (client, signal) => client.types({ signal }))
}

/** Workers, gateways and counts, read again every `refreshMs` (default 3,000) while the page is visible. */
export function useOverview({ refreshMs = 3000 }: RefreshOptions = {}): UseResource<OverviewAnswer> {
  return useResource(refreshMs, (client, signal) => client.overview({ signal }))
}

/** How the client is connected. */
export function useConnection(): ConnectionState {
  const { connection } = useClient()
  return useSyncExternalStore(connection.subscribe, connection.getSnapshot, connection.getSnapshot)
}

function useResource<T>(
  refreshMs: number,
  read: (client: JobcastClient, signal: AbortSignal) => Promise<T>,
): UseResource<T> {
  const client = useClient()
  const { store, state } = useStore(
    () => new ResourceStore(refreshMs, (signal) => read(client, signal)),
    [client, refreshMs],
  )
  return useMemo(() => ({ ...state, refresh: store.refresh }), [store, state])
}
