import { Text, Title } from '@mantine/core'
import { useDocumentTitle } from '@mantine/hooks'
import type { OverviewAnswer } from '../../../shared/api.ts'
import { useOverview, useTypes } from '../../react/index.ts'
import { StaleContext } from '../common/clock.ts'
import { Failure } from '../common/failure.tsx'
import { StaleNotice } from '../common/stale-notice.tsx'
import { Waiting } from '../common/waiting.tsx'
import { Counts } from './counts.tsx'
import { GatewaysTable } from './gateways-table.tsx'
import classes from './overview-page.module.css'
import { TypesTable } from './types-table.tsx'
import { WorkersTable } from './workers-table.tsx'

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
          <Waiting what="the overview" rows={6} retry={retry} />
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
