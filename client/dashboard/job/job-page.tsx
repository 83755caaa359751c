import { useDocumentTitle, useThrottledValue } from '@mantine/hooks'
import { useState } from 'react'
import { Link, useLocation } from 'wouter'
import type { Job, QueuePlace } from '../../../shared/job.ts'
import { JobcastError } from '../../index.ts'
import { useJob } from '../../react/index.ts'
import { Failure } from '../common/failure.tsx'
import { formatPercent } from '../common/format.ts'
import { placeText } from '../common/line.ts'
import { Notice } from '../common/notice.tsx'
import { STATUS } from '../common/status.tsx'
import { Waiting } from '../common/waiting.tsx'
import { JobDetails } from './job-details.tsx'
import classes from './job-page.module.css'

/** A busy job has thousands of events a second; log and output need not be painted for each. */
const EVENTS_MS = 100

/** Everything about one job, live. */
export function JobPage({ jobId }: { jobId: string }) {
  const [attempt, setAttempt] = useState(0)
  return (
    <>
      <Link href="/" className={classes.back}>
        ← All jobs
      </Link>
      <WatchedJob key={attempt} jobId={jobId} startOver={() => setAttempt(attempt + 1)} />
    </>
  )
}

function WatchedJob({ jobId, startOver }: { jobId: string; startOver(): void }) {
  const { job, queue, events, phase, error, cancel, retry } = useJob({ jobId, history: true })
  const shownEvents = useThrottledValue(events, EVENTS_MS)
  useDocumentTitle(job === null ? 'Job · Jobcast' : `${titleOf(job, queue)} · Jobcast`)

  if (job !== null) {
    return (
      <JobDetails
        job={job}
        queue={queue}
        events={shownEvents}
        isReconnecting={phase === 'reconnecting'}
        isGone={phase === 'refused' && error instanceof JobcastError}
        cancel={cancel}
        retry={retry}
      />
    )
  }
  if (error instanceof JobcastError && isGone(error)) return <NoSuchJob />
  if (error instanceof JobcastError) return <Failure isPage error={error} retry={startOver} />
  return <Waiting what="the job" rows={5} retry={startOver} />
}

function isGone({ code }: JobcastError): boolean {
  return code === 'not_found' || code === 'removed' || code === 'expired'
}

function NoSuchJob() {
  const [, navigate] = useLocation()
  return (
    <Notice
      isPage
      title="There is no such job"
      text="It never was, was deleted, or finished so long ago that it is no longer kept."
      action={{ label: 'To the jobs', run: () => navigate('/') }}
    />
  )
}

/** So that a tab in the background tells how far it is. */
function titleOf({ type, status, progress }: Job, queue: QueuePlace | null): string {
  if (status === 'processing' && progress !== null) return `${formatPercent(progress.percent)} ${type}`
  return `${queue === null ? STATUS[status].label : placeText(queue)}: ${type}`
}
