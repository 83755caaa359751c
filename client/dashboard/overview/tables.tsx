import { Switch } from '@mantine/core'
import { useState } from 'react'
import { Link } from 'wouter'
import type { GatewayInfo, Latency, TypeInfo, WorkerInfo } from '../../../shared/api.ts'
import { JOB_STATUSES } from '../../../shared/status.ts'
import { useClient } from '../../react/index.ts'
import { useKnownTime } from '../common/clock.ts'
import { type Column, DataTable } from '../common/data-table.tsx'
import { between, formatDecimal, formatDuration, formatNumber, formatTicking } from '../common/format.ts'
import { notifyFailure } from '../common/notices.tsx'
import { STATUS } from '../common/status.tsx'
import classes from './tables.module.css'

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

const WORKER_COLUMNS: readonly Column<WorkerInfo>[] = [
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
      columns={WORKER_COLUMNS}
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

const GATEWAY_COLUMNS: readonly Column<GatewayInfo>[] = [
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
      columns={GATEWAY_COLUMNS}
      rows={gateways}
      keyOf={({ id }) => id}
      empty="No gateway is alive."
    />
  )
}

/** Says and sets whether jobs of a type are started; those that run go on in either case. */
function PauseSwitch({ info, onChanged }: { info: TypeInfo; onChanged(): void }) {
  const client = useClient()
  const [isSending, setSending] = useState(false)

  async function toggle() {
    setSending(true)
    try {
      await (info.paused ? client.resume(info.type) : client.pause(info.type))
      onChanged()
    } catch (error) {
      notifyFailure(error)
    } finally {
      setSending(false)
    }
  }

  return (
    <Switch
      size="sm"
      color="green.9"
      checked={!info.paused}
      disabled={isSending}
      onChange={toggle}
      label={info.paused ? 'Paused' : 'Running'}
      aria-label={`Start jobs of type ${info.type}`}
    />
  )
}

/** Says where a process lives. */
function ProcessName({ process }: { process: { readonly host: string; readonly pid: number } }) {
  return (
    <>
      {process.host} <span className={classes.pid}>pid {process.pid}</span>
    </>
  )
}

/** How long a process has been running. */
function Up({ since }: { since: string }) {
  return formatTicking(between(since, useKnownTime()))
}
