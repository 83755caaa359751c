import { Button } from '@mantine/core'
import { useInViewport } from '@mantine/hooks'
import { IconChevronRight, IconFilterOff, IconPlayerPlay } from '@tabler/icons-react'
import { memo } from 'react'
import { Link } from 'wouter'
import type { TypeInfo } from '../../../shared/api.ts'
import type { JobSummary } from '../../../shared/job.ts'
import { useJob, useJobs } from '../../react/index.ts'
import { useKnownTime, useNow } from '../common/clock.ts'
import {
  between,
  formatAge,
  formatDateTime,
  formatDuration,
  formatPercent,
  formatTicking,
} from '../common/format.ts'
import { EmptyState, Failure, Loading, StaleNotice } from '../common/notices.tsx'
import { ProgressBar, STATUS, StatusIcon } from '../common/status.tsx'
import { placeText, startText } from '../common/words.ts'
import { FilterBar, type Filters, useFilters } from './filters.tsx'
import classes from './job-list.module.css'

const PAGE_SIZE = 30

/** The jobs, newest first, kept live. */
export function JobList({ types }: { types: readonly TypeInfo[] }) {
  const filters = useFilters()
  return (
    <section aria-label="Jobs">
      <FilterBar filters={filters} types={types} />
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
  if (jobs.length === 0 && loading) return <Loading what="jobs" rows={6} retry={refresh} />
  if (jobs.length === 0) return <NoJobs filters={filters} />
  return (
    <>
      {error !== null && <StaleNotice error={error} retry={refresh} />}
      <ul className={classes.list}>
        {jobs.map((job) => (
          <JobListItem key={job.jobId} job={job} />
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
      <EmptyState
        icon={<IconFilterOff size={22} stroke={1.5} />}
        title="No job matches"
        text="None of the jobs has this type and status."
        action={{ label: 'Show all jobs', run: filters.clear }}
      />
    )
  }
  return (
    <EmptyState
      icon={<IconPlayerPlay size={22} stroke={1.5} />}
      title="No jobs yet"
      text="Submit one, and watch it here from its first moment to its last."
    />
  )
}

/** One job of the list; the whole row leads to its page. */
const JobListItem = memo(function JobListItem({ job }: { job: JobSummary }) {
  return (
    <li className={classes.item}>
      <Link href={`/jobs/${encodeURIComponent(job.jobId)}`} className={classes.row}>
        <StatusIcon status={job.status} />
        <span className={classes.main}>
          <span className={classes.name}>
            <span className={classes.type}>{job.type}</span>
            <span className={classes.id}>{shortId(job.jobId)}</span>
            {job.attempt > 1 && (
              <span className={classes.attempt}>
                attempt {job.attempt} of {job.maxAttempts}
              </span>
            )}
          </span>
          <Line job={job} />
        </span>
        <span className={classes.times}>
          <RanFor job={job} />
          <Age at={job.createdAt} />
        </span>
        <IconChevronRight size={16} className={classes.chevron} aria-hidden />
      </Link>
    </li>
  )
})

/** The end of a UUIDv7 is its random part; its start is much the same for neighbours. */
function shortId(jobId: string): string {
  return jobId.slice(-8)
}

/** What there is to say now: the progress of a running job, the place of a queued one, an error, else the status. */
function Line({ job }: { job: JobSummary }) {
  if (job.status === 'processing') {
    const percent = job.progress?.percent ?? null
    return (
      <span className={classes.progress}>
        <ProgressBar percent={percent} tone="live" label={`Progress of ${job.type}`} />
        <span className={classes.percent}>{percent === null ? '' : formatPercent(percent)}</span>
      </span>
    )
  }
  if (job.status === 'queued') return <InLine jobId={job.jobId} />
  if (job.error !== null) {
    return (
      <span className={classes.line} data-bad={job.status === 'failed' || undefined}>
        {job.status === 'scheduled' && 'Tries again: '}
        {job.error.replaceAll('\n', ' · ')}
      </span>
    )
  }
  return <span className={classes.line}>{STATUS[job.status].label}</span>
}

/** Watched only while it is to be seen: a list may be longer than what one connection can watch. */
function InLine({ jobId }: { jobId: string }) {
  const { ref, inViewport } = useInViewport<HTMLSpanElement>()
  const { queue } = useJob(inViewport ? { jobId } : {})
  const now = useNow()
  const words = queue === null ? [STATUS.queued.label] : [placeText(queue), startText(queue, now)]
  return (
    <span ref={ref} className={classes.line}>
      {words.filter((word) => word !== null).join(' · ')}
    </span>
  )
}

function RanFor({ job }: { job: JobSummary }) {
  if (job.startedAt === null) return null
  if (job.completedAt !== null) return <span>{formatDuration(between(job.startedAt, job.completedAt))}</span>
  return job.status === 'processing' ? <Running since={job.startedAt} /> : null
}

function Running({ since }: { since: string }) {
  return <span>{formatTicking(between(since, useKnownTime()))}</span>
}

function Age({ at }: { at: string }) {
  return (
    <time className={classes.age} dateTime={at} title={formatDateTime(at)}>
      {formatAge(between(at, useNow()))}
    </time>
  )
}
