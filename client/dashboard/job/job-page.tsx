import { Title } from '@mantine/core'
import { useDocumentTitle, useThrottledValue } from '@mantine/hooks'
import { IconCloudOff } from '@tabler/icons-react'
import { useMemo, useState } from 'react'
import { Link, useLocation } from 'wouter'
import type { Job, QueuePlace } from '../../../shared/job.ts'
import { JobcastError, type WatchEvent } from '../../index.ts'
import { useConnection, useJob } from '../../react/index.ts'
import { formatPercent } from '../common/format.ts'
import { inOneLine, isRecord, type Json, JsonView } from '../common/json.tsx'
import { EmptyState, Failure, Loading } from '../common/notices.tsx'
import { Copy, FoldedSection } from '../common/parts.tsx'
import { STATUS, StatusBadge } from '../common/status.tsx'
import { placeText } from '../common/words.ts'
import { Facts, WatchFromTerminal } from './facts.tsx'
import { JobActions } from './job-actions.tsx'
import classes from './job-page.module.css'
import { JobErrorCard, JobProgress } from './job-progress.tsx'
import { LogView, logOf } from './log.tsx'
import { Output, outputOf } from './output.tsx'
import { picturesIn, Result } from './result.tsx'
import { Timeline } from './timeline.tsx'

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
      <LiveJob key={attempt} jobId={jobId} startOver={() => setAttempt(attempt + 1)} />
    </>
  )
}

function LiveJob({ jobId, startOver }: { jobId: string; startOver(): void }) {
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
  return <Loading what="the job" rows={5} retry={startOver} />
}

function isGone({ code }: JobcastError): boolean {
  return code === 'not_found' || code === 'removed' || code === 'expired'
}

function NoSuchJob() {
  const [, navigate] = useLocation()
  return (
    <EmptyState
      isPage
      title="There is no such job"
      text="It never was, was deleted, or finished so long ago that it is no longer kept."
      action={{ label: 'To the jobs', run: () => navigate('/') }}
    />
  )
}

/** The title tells how far the job is, for a tab in the background. */
function titleOf({ type, status, progress }: Job, queue: QueuePlace | null): string {
  if (status === 'processing' && progress !== null) return `${formatPercent(progress.percent)} ${type}`
  return `${queue === null ? STATUS[status].label : placeText(queue)}: ${type}`
}

const SHORT = 600

interface JobDetailsProps {
  readonly job: Job
  readonly queue: QueuePlace | null
  readonly events: readonly WatchEvent[]
  readonly isReconnecting: boolean
  /** The server has forgotten the job while it was shown. */
  readonly isGone: boolean
  cancel(): Promise<void>
  retry(): Promise<void>
}

function JobDetails({ job, queue, events, isReconnecting, isGone, cancel, retry }: JobDetailsProps) {
  const hasResult = job.status === 'completed' && job.result !== null
  const isPainted = hasResult && picturesIn(job.result).length > 0
  const output = useMemo(() => outputOf(events, isPainted), [events, isPainted])
  const log = useMemo(() => logOf(events), [events])
  return (
    <article>
      <JobHead job={job} isGone={isGone} cancel={cancel} retry={retry} />
      {isReconnecting && <Behind />}
      {isGone && <Stale text="The server no longer has this job. This is the last that was seen of it." />}
      <div className={classes.columns}>
        <div className={classes.main}>
          <JobProgress job={job} queue={queue} />
          <JobErrorCard job={job} />
          {hasResult && <Result result={job.result} name={job.type} />}
          {output.some(({ kind }) => kind === 'chunk') && <Output output={output} payload={job.payload} />}
          {log.some((entry) => 'event' in entry) && <LogView entries={log} />}
          <FoldedSection title="Payload" startsOpen={isShort(job.payload)}>
            <JsonView value={job.payload} label="payload" />
          </FoldedSection>
        </div>
        <div className={classes.side}>
          <Facts job={job} />
          <Timeline events={events} submittedAt={job.createdAt} />
          <WatchFromTerminal jobId={job.jobId} />
        </div>
      </div>
    </article>
  )
}

/** Worth showing without being asked: no picture, no page of text. */
function isShort(payload: Json): boolean {
  return !isRecord(payload) || Object.values(payload).every((value) => inOneLine(value).length <= SHORT)
}

function Behind() {
  const { phase } = useConnection()
  const why = phase === 'unavailable' ? 'The server cannot reach its store' : 'Reconnecting'
  return <Stale text={`${why}. What you see may be a little behind.`} />
}

function Stale({ text }: { text: string }) {
  return (
    <div className={classes.stale} role="status">
      <IconCloudOff size={16} aria-hidden />
      {text}
    </div>
  )
}

interface JobHeadProps {
  readonly job: Job
  readonly isGone: boolean
  cancel(): Promise<void>
  retry(): Promise<void>
}

/** Which job, how it stands, what can be done with it. */
function JobHead({ job, isGone, cancel, retry }: JobHeadProps) {
  return (
    <header className={classes.head}>
      <div className={classes.names}>
        <div className={classes.title}>
          <Title order={1}>{job.type}</Title>
          <StatusBadge status={job.status} cancelling={job.cancelRequested && job.status === 'processing'} />
        </div>
        <div className={classes.id}>
          <span>{job.jobId}</span>
          <Copy text={job.jobId} what="job id" />
        </div>
      </div>
      {!isGone && <JobActions job={job} cancel={cancel} retry={retry} />}
    </header>
  )
}
