import { useMemo } from 'react'
import { useSearchParams } from 'wouter'
import { JOB_STATUSES, type JobStatus } from '../../../shared/status.ts'

export interface Filters {
  readonly type: string | null
  readonly statuses: readonly JobStatus[]
  readonly isAny: boolean
  setType(type: string | null): void
  setStatuses(statuses: readonly JobStatus[]): void
  toggleStatus(status: JobStatus): void
  clear(): void
}

/** What the list is narrowed to. It lives in the address, so that a view can be shared and gone back to. */
export function useFilters(): Filters {
  const [search, setSearch] = useSearchParams()
  return useMemo(() => {
    const type = search.get('type')
    const asked = new Set(search.getAll('status'))
    const statuses = JOB_STATUSES.filter((status) => asked.has(status))

    function put(nextType: string | null, nextStatuses: readonly JobStatus[]) {
      const next = new URLSearchParams()
      if (nextType !== null) next.set('type', nextType)
      for (const status of nextStatuses) next.append('status', status)
      setSearch(next, { replace: true })
    }

    return {
      type,
      statuses,
      isAny: type !== null || statuses.length > 0,
      setType: (next) => put(next, statuses),
      setStatuses: (next) => put(type, next),
      toggleStatus: (status) =>
        put(
          type,
          JOB_STATUSES.filter((other) => (other === status) !== statuses.includes(other)),
        ),
      clear: () => put(null, []),
    }
  }, [search, setSearch])
}
