import { useMemo } from 'react'
import type { JobsQuery } from '../client.ts'
import { type JobsState, JobsStore } from '../stores/jobs-store.ts'
import { useClient } from './provider.ts'
import { useStore } from './use-store.ts'

export interface UseJobs extends JobsState {
  /** Reads the first page again, now. */
  refresh(): Promise<void>
  loadMore(): Promise<void>
}

/**
 * A live list of jobs: the server tells of new ones and of status changes over a WebSocket. Where it cannot (on another
 * transport; with `status`, `page` or `full`), new ones are found every `refreshMs` (default 3,000) while the page is
 * visible, and unfinished ones watched. The query is compared by value.
 */
export function useJobs(query: JobsQuery = {}, { refreshMs = 3000 }: { refreshMs?: number } = {}): UseJobs {
  const client = useClient()
  // The query is often another object at every render, so that its text stands for it.
  const inputs = [client, JSON.stringify(query), refreshMs]
  const { store, state } = useStore(() => new JobsStore(client, query, refreshMs), inputs)
  return useMemo(() => ({ ...state, refresh: store.refresh, loadMore: store.loadMore }), [store, state])
}
