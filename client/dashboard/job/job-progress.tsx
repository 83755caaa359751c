import { Text } from '@mantine/core'
import type { Job, QueuePlace } from '../../../shared/job.ts'
import { isTerminal, type JobStatus } from '../../../shared/status.ts'
import { Announce } from '../common/announce.tsx'
import { useNow } from '../common/clock.ts'
import { between, formatPercent, formatTicking } from '../common/format.ts'
import { placeText, startText } from '../common/line.ts'
import { ProgressBar } from '../common/progress-bar.tsx'
import { STATUS } from '../common/status.tsx'
import classes from './job-progress.module.css'

/** How far a job is, in the largest letters of its page, or how long it still waits. */
export function JobProgress({ job, queue }: { job: Job; queue: QueuePlace | null }) {
  const { status, progress } = job
  return (
    <>
      <Announce text={spoken(job)} />
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

/** Of a job that waits, its progress is that of a run before: the bar still shows it, the words are about the wait. */
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
