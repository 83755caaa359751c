import { Select } from '@mantine/core'
import type { TypeInfo } from '../../../shared/api.ts'
import { JOB_STATUSES, type JobStatus } from '../../../shared/status.ts'
import { formatCompact } from '../common/format.ts'
import { STATUS } from '../common/status.tsx'
import classes from './filter-bar.module.css'
import type { Filters } from './use-filters.ts'

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
