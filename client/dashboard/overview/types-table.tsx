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
        <Link href={`/?type=${encodeURIComponent(type)}`} className={classes.link} title={type}>
          {type}
        </Link>
      ),
    },
    ...JOB_STATUSES.map((status) => ({
      title: STATUS[status].label,
      isNumber: true,
      cell: ({ counts }: TypeInfo) => <Figure value={counts[status]} />,
    })),
    {
      title: 'Workers',
      isNumber: true,
      cell: ({ workers, counts }) => <Figure value={workers} isMissed={counts.queued > 0} />,
    },
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

/** `isMissed`: that it is 0 keeps something from going on. */
function Figure({ value, isMissed = false }: { value: number; isMissed?: boolean }) {
  if (value !== 0) return formatNumber(value)
  return <span className={isMissed ? classes.missed : classes.none}>0</span>
}
