import { Text } from '@mantine/core'
import type { Job, QueuePlace } from '../../../shared/job.ts'
import type { JobStatus } from '../../../shared/status.ts'
import { Announce } from '../common/announce.tsx'
import { useNow } from '../common/clock.ts'
import { between, formatPercent, formatTicking } from '../common/format.ts'
import { placeText, startText } from '../common/line.ts'
import { ProgressBar } from '../common/progress-bar.tsx'
import { STATUS } from '../common/status.tsx'
import classes from './job-progress.module.css'

/** How far a job is, in the largest letters of its page; gone once there is a result to look at. */
export function JobProgress({ job, queue }: { job: Job; queue: QueuePlace | null }) {
  const { status, progress } = job
  return (
    <>
      <Announce text={spoken(job)} />
      {status !== 'completed' && (
        <div className={classes.card}>
          <div className={classes.words}>
            <span className={classes.percent}>
              {progress === null ? headline(status, queue) : formatPercent(progress.percent)}
            </span>
            <Text size="sm" c="dimmed" className={classes.note} title={progress?.note ?? ''}>
              {progress?.note ?? <Waits job={job} queue={queue} />}
            </Text>
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

const WORDS: Readonly<Record<JobStatus, string>> = {
  scheduled: 'Waiting',
  queued: 'In line',
  processing: 'Running',
  completed: 'Done',
  failed: 'Failed',
  cancelled: 'Cancelled',
}

const TONES = {
  scheduled: 'still',
  queued: 'still',
  processing: 'live',
  completed: 'good',
  failed: 'bad',
  cancelled: 'still',
} as const satisfies Record<JobStatus, string>

function headline(status: JobStatus, queue: QueuePlace | null): string {
  return queue === null ? WORDS[status] : placeText(queue)
}

function Waits({ job, queue }: { job: Job; queue: QueuePlace | null }) {
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
