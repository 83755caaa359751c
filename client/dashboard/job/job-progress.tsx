import { Text } from '@mantine/core'
import { IconAlertCircle, IconInfoCircle } from '@tabler/icons-react'
import type { JobErrorCode } from '../../../shared/codes.ts'
import type { Job, QueuePlace } from '../../../shared/job.ts'
import { isTerminal, type JobStatus } from '../../../shared/status.ts'
import { useNow } from '../common/clock.ts'
import { between, formatPercent, formatTicking } from '../common/format.ts'
import { LiveRegion } from '../common/parts.tsx'
import { ProgressBar, STATUS } from '../common/status.tsx'
import { placeText, startText } from '../common/words.ts'
import classes from './job-progress.module.css'

/** How far a job is, in the largest letters of its page, or how long it still waits. */
export function JobProgress({ job, queue }: { job: Job; queue: QueuePlace | null }) {
  const { status, progress } = job
  return (
    <>
      <LiveRegion text={spoken(job)} />
      {hasSomethingToShow(job) && (
        <div className={classes.card}>
          <div className={classes.words}>
            <span className={classes.percent}>{headline(job, queue)}</span>
            {waits(status) ? (
              <Waits job={job} queue={queue} />
            ) : (
              <Text size="sm" c="dimmed" className={classes.note} title={progress?.note ?? ''}>
                {progress?.note}
              </Text>
            )}
          </div>
          <ProgressBar
            thick
            percent={progress?.percent ?? (status === 'processing' ? null : 0)}
            tone={TONES[status]}
            label="Progress"
          />
        </div>
      )}
    </>
  )
}

/** A result is looked at instead, and what ended before it told of progress has none. */
function hasSomethingToShow({ status, progress }: Job): boolean {
  return status !== 'completed' && (progress !== null || !isTerminal(status))
}

function waits(status: JobStatus): boolean {
  return status === 'scheduled' || status === 'queued'
}

const TONES = {
  scheduled: 'still',
  queued: 'still',
  processing: 'live',
  completed: 'good',
  failed: 'bad',
  cancelled: 'still',
} as const satisfies Record<JobStatus, string>

/** The progress of a job that waits is that of a run before: the bar still shows it, the words are about the wait. */
function headline({ status, progress }: Job, queue: QueuePlace | null): string {
  if (queue !== null) return placeText(queue)
  if (waits(status)) return status === 'queued' ? 'In line' : 'Waiting'
  return progress === null ? 'Running' : formatPercent(progress.percent)
}

function Waits({ job, queue }: { job: Job; queue: QueuePlace | null }) {
  const isHeld = queue !== null && queue.held !== null
  return (
    <Text size="sm" c={isHeld ? 'var(--jc-amber-text)' : 'dimmed'} className={classes.note}>
      <WaitsFor job={job} queue={queue} />
    </Text>
  )
}

function WaitsFor({ job, queue }: { job: Job; queue: QueuePlace | null }) {
  const now = useNow()
  if (job.status === 'queued') return (queue && startText(queue, now)) ?? 'for a worker'
  if (job.status !== 'scheduled' || job.scheduledFor === null) return null
  const left = between(new Date(now).toISOString(), job.scheduledFor)
  return left > 0
    ? `${job.attempt > 1 ? 'tries again' : 'starts'} in ${formatTicking(left)}`
    : 'any moment now'
}

/** Quarters only: every percent would talk without end. */
function spoken({ type, status, progress }: Job): string {
  if (status !== 'processing' || progress === null) return `${type}: ${STATUS[status].label}`
  return `${type}: ${formatPercent(Math.floor(progress.percent / 25) * 25)}`
}

/** Why it failed or was cancelled, or why the last attempt failed. */
export function JobErrorCard({ job }: { job: Job }) {
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

/** What an `errorCode` of a job means, in one sentence. */
const JOB_ERRORS: Readonly<Record<JobErrorCode, string>> = {
  handler_error: 'The handler threw an error, and no attempt is left.',
  uncaught: 'Something that the handler had begun threw where nobody could catch it, and no attempt is left.',
  unrecoverable: 'The handler gave up for good: trying again would not help.',
  timeout: 'The run took longer than its timeout allows.',
  stalled: 'Its worker died or hung more often than this job may survive.',
  invalid_payload: 'The worker’s schema refused the payload. This is not retried.',
  invalid_result: 'The handler’s result does not match the type’s schema. This is not retried.',
  unserializable_result: 'The handler returned something that JSON would lose. This is not retried.',
  result_too_large: 'The result is larger than the server stores. This is not retried.',
  cancelled: 'It was cancelled before it could finish.',
}
