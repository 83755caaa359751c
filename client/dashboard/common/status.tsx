import {
  IconCircleCheckFilled,
  IconCircleDashed,
  IconCircleMinus,
  IconCircleXFilled,
  IconClock,
  IconLoader2,
} from '@tabler/icons-react'
import type { ComponentType } from 'react'
import type { JobStatus } from '../../../shared/status.ts'
import classes from './status.module.css'

interface Look {
  readonly label: string
  readonly icon: ComponentType<{ size?: number; className?: string | undefined }>
}

export const STATUS: Readonly<Record<JobStatus, Look>> = {
  scheduled: { label: 'Scheduled', icon: IconClock },
  queued: { label: 'Queued', icon: IconCircleDashed },
  processing: { label: 'Processing', icon: IconLoader2 },
  completed: { label: 'Completed', icon: IconCircleCheckFilled },
  failed: { label: 'Failed', icon: IconCircleXFilled },
  cancelled: { label: 'Cancelled', icon: IconCircleMinus },
}

/** The status as a sign alone; its name is there for screen readers. */
export function StatusIcon({ status, size = 18 }: { status: JobStatus; size?: number }) {
  const { icon: Icon, label } = STATUS[status]
  return (
    <span className={classes.icon} data-status={status} role="img" aria-label={label}>
      <Icon size={size} />
    </span>
  )
}

/** The status as sign and name. `cancelling` stands for a running job that was asked to stop. */
export function StatusBadge({ status, cancelling = false }: { status: JobStatus; cancelling?: boolean }) {
  const { icon: Icon, label } = STATUS[status]
  return (
    <span className={classes.badge} data-status={status} data-testid="status">
      <Icon size={15} />
      {cancelling ? 'Cancelling' : label}
    </span>
  )
}

interface ProgressBarProps {
  /** 0–100; null while nothing is known. */
  readonly percent: number | null
  readonly tone: 'live' | 'good' | 'bad' | 'still'
  readonly label: string
  readonly thick?: boolean
}

export function ProgressBar({ percent, tone, label, thick = false }: ProgressBarProps) {
  const value = percent === null ? {} : { 'aria-valuenow': Math.floor(percent) }
  return (
    <div
      className={classes.track}
      data-thick={thick || undefined}
      data-unknown={(percent === null && tone === 'live') || undefined}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      {...value}
    >
      <div
        className={classes.bar}
        data-tone={tone}
        style={{ transform: `scaleX(${(percent ?? 0) / 100})` }}
      />
    </div>
  )
}
