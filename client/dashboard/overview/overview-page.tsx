import { Text, Title } from '@mantine/core'
import { useDocumentTitle } from '@mantine/hooks'
import { Link } from 'wouter'
import type { OverviewAnswer, StatusCounts } from '../../../shared/api.ts'
import { JOB_STATUSES } from '../../../shared/status.ts'
import { useOverview, useTypes } from '../../react/index.ts'
import { StaleContext } from '../common/clock.ts'
import { formatNumber } from '../common/format.ts'
import { Failure, Loading, StaleNotice } from '../common/notices.tsx'
import { STATUS, StatusIcon } from '../common/status.tsx'
import classes from './overview-page.module.css'
import { GatewaysTable, TypesTable, WorkersTable } from './tables.tsx'

/** The whole system at a glance: what waits, what runs, and who runs it. */
export function OverviewPage() {
  useDocumentTitle('Overview · Jobcast')
  const overview = useOverview()
  const types = useTypes()
  const error = overview.error ?? types.error

  function retry() {
    overview.refresh()
    types.refresh()
  }

  return (
    <>
      <header className={classes.head}>
        <Title order={1}>Overview</Title>
        <Text c="dimmed">
          {overview.data === null ? 'Queues, workers and gateways.' : about(overview.data)}
        </Text>
      </header>
      {overview.data === null ? (
        error === null ? (
          <Loading what="the overview" rows={6} retry={retry} />
        ) : (
          <Failure error={error} retry={retry} />
        )
      ) : (
        <div className={classes.stack}>
          {error !== null && <StaleNotice error={error} retry={retry} />}
          <StaleContext value={error !== null}>
            <Counts counts={overview.data.counts} />
            <TypesTable types={types.data?.types ?? []} onChanged={types.refresh} />
            <WorkersTable workers={overview.data.workers} />
            <GatewaysTable gateways={overview.data.gateways} />
          </StaleContext>
        </div>
      )}
    </>
  )
}

const ENGINES = { sqlite: 'the embedded SQLite engine', redis: 'Redis' } as const

function about({ engine, version }: OverviewAnswer): string {
  return `Jobcast ${version} on ${ENGINES[engine]}`
}

/** How many jobs there are in each status; each leads to their list. */
function Counts({ counts }: { counts: StatusCounts }) {
  return (
    <ul className={classes.counts} aria-label="Jobs by status">
      {JOB_STATUSES.map((status) => (
        <li key={status}>
          <Link href={`/?status=${status}`} className={classes.count}>
            <span className={classes.label}>
              <span aria-hidden className={classes.sign}>
                <StatusIcon status={status} size={15} />
              </span>
              {STATUS[status].label}
            </span>
            <span className={classes.number}>{formatNumber(counts[status])}</span>
          </Link>
        </li>
      ))}
    </ul>
  )
}
