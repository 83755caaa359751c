import { Link } from 'wouter'
import type { TypeInfo } from '../../../shared/api.ts'
import { JOB_STATUSES } from '../../../shared/status.ts'
import { formatNumber } from '../common/format.ts'
import { STATUS } from '../common/status.tsx'
import { type Column, DataTable } from './data-table.tsx'
import { PauseSwitch } from './pause-switch.tsx'
import classes from './types-table.module.css'

/** Every type of job with its queue. */
export function TypesTable({ types, onChanged }: { types: readonly TypeInfo[]; onChanged(): void }) {
  const columns: readonly Column<TypeInfo>[] = [
    {
      title: 'Type',
      cell: ({ type }) => (
        <Link href={`/?type=${encodeURIComponent(type)}`} className={classes.link}>
          {type}
        </Link>
      ),
    },
    ...JOB_STATUSES.map((status) => ({
      title: STATUS[status].label,
      isNumber: true,
      cell: ({ counts }: TypeInfo) => <Figure value={counts[status]} />,
    })),
    { title: 'Workers', isNumber: true, cell: ({ workers }) => <Figure value={workers} /> },
    { title: 'Concurrency', isNumber: true, cell: ({ concurrency }) => <Figure value={concurrency} /> },
    { title: 'Runs', cell: (info) => <PauseSwitch info={info} onChanged={onChanged} /> },
  ]
  return (
    <DataTable
      title="Types"
      columns={columns}
      rows={types}
      keyOf={({ type }) => type}
      empty="No worker has announced a type yet."
    />
  )
}

function Figure({ value }: { value: number }) {
  return value === 0 ? <span className={classes.none}>0</span> : formatNumber(value)
}
