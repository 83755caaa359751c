import { Button } from '@mantine/core'
import { IconFilterOff, IconPlayerPlay } from '@tabler/icons-react'
import { useJobs, useTypes } from '../../react/index.ts'
import { Failure } from '../common/failure.tsx'
import { Notice } from '../common/notice.tsx'
import { StaleNotice } from '../common/stale-notice.tsx'
import { Waiting } from '../common/waiting.tsx'
import { FilterBar } from './filter-bar.tsx'
import classes from './job-list.module.css'
import { JobRow } from './job-row.tsx'
import { type Filters, useFilters } from './use-filters.ts'

const PAGE_SIZE = 30

/** The jobs, newest first, kept live. */
export function JobList() {
  const filters = useFilters()
  const { data } = useTypes()
  return (
    <section aria-label="Jobs">
      <FilterBar filters={filters} types={data?.types ?? []} />
      <Jobs filters={filters} />
    </section>
  )
}

function Jobs({ filters }: { filters: Filters }) {
  const { jobs, loading, error, hasMore, loadMore, refresh } = useJobs({
    limit: PAGE_SIZE,
    ...(filters.type !== null && { type: filters.type }),
    ...(filters.statuses.length > 0 && { status: filters.statuses }),
  })

  if (jobs.length === 0 && error !== null) return <Failure error={error} retry={refresh} />
  if (jobs.length === 0 && loading) return <Waiting what="jobs" rows={6} retry={refresh} />
  if (jobs.length === 0) return <NoJobs filters={filters} />
  return (
    <>
      {error !== null && <StaleNotice error={error} retry={refresh} />}
      <ul className={classes.list}>
        {jobs.map((job) => (
          <JobRow key={job.jobId} job={job} />
        ))}
      </ul>
      {hasMore && (
        <div className={classes.more}>
          <Button variant="default" onClick={loadMore} loading={loading}>
            Load more
          </Button>
        </div>
      )}
    </>
  )
}

function NoJobs({ filters }: { filters: Filters }) {
  if (filters.isAny) {
    return (
      <Notice
        icon={<IconFilterOff size={22} stroke={1.5} />}
        title="No job matches"
        text="None of the jobs has this type and status."
        action={{ label: 'Show all jobs', run: filters.clear }}
      />
    )
  }
  return (
    <Notice
      icon={<IconPlayerPlay size={22} stroke={1.5} />}
      title="No jobs yet"
      text="Submit one with the form, and watch it here from its first moment to its last."
    />
  )
}
