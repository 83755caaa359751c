import { IconAlertCircle, IconInfoCircle } from '@tabler/icons-react'
import type { Job } from '../../../shared/job.ts'
import { JOB_ERRORS } from '../common/explain.ts'
import classes from './job-problem.module.css'

/** Why it failed or was cancelled, or why the last attempt failed. */
export function JobProblem({ job }: { job: Job }) {
  const { error, errorCode, status, attempt } = job
  if (errorCode === null) return null
  const [message, ...causes] = error?.split('\n') ?? []
  const isFinal = status === 'failed'
  const isCancelled = errorCode === 'cancelled'
  const Icon = isCancelled ? IconInfoCircle : IconAlertCircle
  return (
    <section
      className={classes.problem}
      data-tone={isFinal ? 'bad' : isCancelled ? 'calm' : 'warn'}
      aria-label={isCancelled ? 'Cancelled' : 'Error'}
    >
      <Icon size={19} stroke={1.75} className={classes.icon} aria-hidden />
      <div className={classes.text}>
        {message !== undefined && <p className={classes.message}>{message}</p>}
        {causes.length > 0 && <p className={classes.causes}>{causes.join('\n')}</p>}
        <p className={classes.meaning}>
          {isFinal || isCancelled
            ? JOB_ERRORS[errorCode]
            : `Attempt ${attempt - 1} failed with this; it is tried again.`}
        </p>
      </div>
      <code className={classes.code}>{errorCode}</code>
    </section>
  )
}
