import type { Latency, WorkerInfo } from '../../../shared/api.ts'
import { formatDecimal, formatDuration, formatNumber } from '../common/format.ts'
import { type Column, DataTable } from './data-table.tsx'
import { ProcessName } from './process-name.tsx'
import { Up } from './up.tsx'
import classes from './workers-table.module.css'

const COLUMNS: readonly Column<WorkerInfo>[] = [
  { title: 'Worker', cell: (worker) => <ProcessName process={worker} /> },
  { title: 'Types', cell: ({ types }) => <TypeNames names={types.join(', ')} /> },
  {
    title: 'Running',
    isNumber: true,
    cell: ({ running, concurrency }) => `${formatNumber(running)} of ${formatNumber(concurrency)}`,
  },
  { title: 'Jobs/s', isNumber: true, cell: ({ ratePerSecond }) => formatDecimal(ratePerSecond) },
  { title: 'Wait p50 · p99', isNumber: true, cell: ({ waitMs }) => inWords(waitMs) },
  { title: 'Run p50 · p99', isNumber: true, cell: ({ runMs }) => inWords(runMs) },
  { title: 'Up', isNumber: true, cell: ({ startedAt }) => <Up since={startedAt} /> },
]

/** The processes that run jobs. */
export function WorkersTable({ workers }: { workers: readonly WorkerInfo[] }) {
  return (
    <DataTable
      title="Workers"
      columns={COLUMNS}
      rows={workers}
      keyOf={({ id }) => id}
      empty="No worker is alive: jobs wait in their queues."
    />
  )
}

/** A worker may run hundreds of types: what does not fit is told by the pointer, and by the table above. */
function TypeNames({ names }: { names: string }) {
  return (
    <span className={classes.types} title={names}>
      {names}
    </span>
  )
}

function inWords(latency: Latency): string {
  return latency === null ? '–' : `${formatDuration(latency.p50)} · ${formatDuration(latency.p99)}`
}
