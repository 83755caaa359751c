import { Select } from '@mantine/core'
import { useMemo } from 'react'
import { useSearchParams } from 'wouter'
import type { TypeInfo } from '../../../shared/api.ts'
import { JOB_STATUSES, type JobStatus } from '../../../shared/status.ts'
import { formatCompact } from '../common/format.ts'
import { STATUS } from '../common/status.tsx'
import classes from './filters.module.css'

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

/** Narrows the list to a type and to statuses; the counts are those of the chosen type. */
export function FilterBar({ filters, types }: { filters: Filters; types: readonly TypeInfo[] }) {
  const counted = types.filter(({ type }) => filters.type === null || type === filters.type)
  const names = new Set(types.map(({ type }) => type))
  if (filters.type !== null) names.add(filters.type)
  return (
    <div className={classes.bar}>
      <fieldset className={classes.statuses} aria-label="Status">
        <button
          type="button"
          className={classes.pill}
          aria-pressed={filters.statuses.length === 0}
          onClick={() => filters.statuses.length > 0 && filters.setStatuses([])}
        >
          All
        </button>
        {JOB_STATUSES.map((status) => (
          <button
            key={status}
            type="button"
            className={classes.pill}
            aria-pressed={filters.statuses.includes(status)}
            onClick={() => filters.toggleStatus(status)}
          >
            {STATUS[status].label}
            <Count of={sum(counted, status)} />
          </button>
        ))}
      </fieldset>
      <Select
        className={classes.type}
        size="xs"
        aria-label="Type"
        placeholder="All types"
        clearable
        data={[...names]}
        value={filters.type}
        onChange={filters.setType}
      />
    </div>
  )
}

function Count({ of }: { of: number }) {
  return of === 0 ? null : <span className={classes.count}>{formatCompact(of)}</span>
}

function sum(types: readonly TypeInfo[], status: JobStatus): number {
  return types.reduce((total, { counts }) => total + counts[status], 0)
}
