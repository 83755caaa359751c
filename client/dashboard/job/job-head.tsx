import { Title } from '@mantine/core'
import type { Job } from '../../../shared/job.ts'
import { Copy } from '../common/copy.tsx'
import { StatusBadge } from '../common/status.tsx'
import { JobActions } from './job-actions.tsx'
import classes from './job-head.module.css'

interface JobHeadProps {
  readonly job: Job
  readonly isGone: boolean
  cancel(): Promise<void>
  retry(): Promise<void>
}

/** Which job, how it stands, what can be done with it. */
export function JobHead({ job, isGone, cancel, retry }: JobHeadProps) {
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
