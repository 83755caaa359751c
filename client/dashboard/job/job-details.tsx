import { IconCloudOff } from '@tabler/icons-react'
import { useMemo } from 'react'
import type { Job, QueuePlace } from '../../../shared/job.ts'
import type { WatchEvent } from '../../index.ts'
import { useConnection } from '../../react/index.ts'
import { JsonView } from '../common/json-view.tsx'
import { FoldedSection } from '../common/section.tsx'
import { inOneLine, type Json } from '../common/shorten.ts'
import { Facts } from './facts.tsx'
import { isRecord, logOf, outputOf } from './history.ts'
import classes from './job-details.module.css'
import { JobHead } from './job-head.tsx'
import { JobProblem } from './job-problem.tsx'
import { JobProgress } from './job-progress.tsx'
import { LogView } from './log-view.tsx'
import { Output } from './output.tsx'
import { Result } from './result.tsx'
import { Timeline } from './timeline.tsx'
import { WatchFromTerminal } from './watch-from-terminal.tsx'

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

export function JobDetails({ job, queue, events, isReconnecting, isGone, cancel, retry }: JobDetailsProps) {
  const output = useMemo(() => outputOf(events), [events])
  const log = useMemo(() => logOf(events), [events])
  const hasPicture = job.status === 'completed' && job.result !== null
  return (
    <article>
      <JobHead job={job} isGone={isGone} cancel={cancel} retry={retry} />
      {isReconnecting && <Behind />}
      {isGone && <Stale text="The server no longer has this job. This is the last that was seen of it." />}
      <div className={classes.columns}>
        <div className={classes.main}>
          <JobProgress job={job} queue={queue} />
          <JobProblem job={job} />
          {hasPicture && <Result result={job.result} name={job.type} />}
          {!(hasPicture && job.type === 'render') && output.some(({ kind }) => kind === 'chunk') && (
            <Output output={output} payload={job.payload} />
          )}
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
