import type { GatewayInfo } from '../../../shared/api.ts'
import { formatDecimal, formatNumber } from '../common/format.ts'
import { type Column, DataTable } from './data-table.tsx'
import { ProcessName } from './process-name.tsx'
import { Up } from './up.tsx'

const COLUMNS: readonly Column<GatewayInfo>[] = [
  { title: 'Gateway', cell: (gateway) => <ProcessName process={gateway} /> },
  { title: 'WebSockets', isNumber: true, cell: ({ sockets }) => formatNumber(sockets) },
  { title: 'SSE streams', isNumber: true, cell: ({ streams }) => formatNumber(streams) },
  { title: 'Long-polls', isNumber: true, cell: ({ polls }) => formatNumber(polls) },
  { title: 'Subscriptions', isNumber: true, cell: ({ subscriptions }) => formatNumber(subscriptions) },
  { title: 'Events/s', isNumber: true, cell: ({ ratePerSecond }) => formatDecimal(ratePerSecond) },
  { title: 'Up', isNumber: true, cell: ({ startedAt }) => <Up since={startedAt} /> },
]

/** The processes that push to watchers. */
export function GatewaysTable({ gateways }: { gateways: readonly GatewayInfo[] }) {
  return (
    <DataTable
      title="Gateways"
      columns={COLUMNS}
      rows={gateways}
      keyOf={({ id }) => id}
      empty="No gateway is alive."
    />
  )
}
