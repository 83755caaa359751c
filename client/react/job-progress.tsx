'use client'
import { type CSSProperties, type ReactNode, type RefObject, useEffect, useRef } from 'react'
import type { JobState } from '../stores/job-store.ts'
import type { KnownJob } from '../watch.ts'
import { useJob } from './hooks.ts'

/** What is shown of a job; of what `useJob` returns all but payload and result. */
export type ShownJob = Pick<JobState, 'status' | 'progress' | 'queue' | 'phase'> & {
  readonly error: unknown
  readonly job?: { readonly cancelRequested: boolean } | null
}

export interface JobProgressProps {
  /** What `useJob` returns; or else `jobId`, or `initialJob`, of a job that is watched for this. */
  readonly job?: ShownJob
  readonly jobId?: string | null
  readonly token?: string
  readonly initialJob?: KnownJob | null
  /** What is in progress, to those who cannot see it; default: "Job". */
  readonly label?: string
  /** In place of the line that says how it goes. */
  readonly describe?: (job: ShownJob) => ReactNode
  readonly className?: string
  /** Of the outermost element; `--jobcast-color`, `--jobcast-track`, `--jobcast-height` and `--jobcast-radius` change the bar. */
  readonly style?: CSSProperties & Readonly<Record<`--jobcast-${string}`, string>>
}

/**
 * A bar and a line that say how a job goes: its place in line, its progress, how it ended. It takes font and colour from
 * where it stands, in the light and in the dark, and needs no style sheet. Parts carry `data-part`, the whole `data-status` and
 * `data-phase`. Of no job nothing is shown.
 */
export function JobProgress({ job, jobId, token, initialJob, ...rest }: JobProgressProps): ReactNode {
  if (job !== undefined) return <Shown job={job} {...rest} />
  const named = { ...(jobId !== undefined && { jobId }), ...(token !== undefined && { token }) }
  return <Watched {...named} {...(initialJob !== undefined && { initialJob })} {...rest} />
}

type Looks = Omit<JobProgressProps, 'job' | 'jobId' | 'token' | 'initialJob'>

function Watched({ jobId, token, initialJob, ...looks }: Omit<JobProgressProps, 'job'>): ReactNode {
  return <Shown job={useJob({ jobId, token, initialJob })} {...looks} />
}

function Shown({ job, label = 'Job', describe = describeJob, className, style }: Looks & { job: ShownJob }) {
  const { status, progress, phase, error } = job
  const isOver = status === 'completed' || status === 'failed' || status === 'cancelled'
  const isMoving = status === 'loading' || status === 'submitting' || (status === 'processing' && !progress)
  const isOld = phase === 'reconnecting' && !isOver
  const bar = useSweep(isMoving)
  const percent = status === 'completed' ? 100 : (progress?.percent ?? (isOver ? 100 : 0))
  const message = status === 'failed' || status === 'idle' ? textOf(error) : null
  if (status === 'idle' && message === null) return null

  const shownPercent = status === 'processing' && progress ? `${Math.floor(percent)}%` : null
  const text = status === 'idle' ? 'Not available' : describe(job)
  const spoken = [typeof text === 'string' ? text : null, shownPercent].filter(Boolean).join(', ')
  return (
    <div
      className={className ?? 'jobcast-progress'}
      data-status={status}
      data-phase={phase}
      style={{ ...ROOT, ...style }}
    >
      <div style={LINE}>
        <span data-part="text" aria-live={isOver ? 'polite' : 'off'} style={TEXT}>
          {text}
          {isOld && <span style={FAINT}> · reconnecting…</span>}
        </span>
        <span data-part="percent" style={PERCENT}>
          {shownPercent}
        </span>
      </div>
      <div
        data-part="track"
        role="progressbar"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={isMoving ? undefined : Math.floor(percent)}
        aria-valuetext={spoken || undefined}
        style={TRACK}
      >
        <div
          ref={bar}
          data-part="bar"
          style={{
            ...BAR,
            background: COLORS[status] ?? `var(--jobcast-color, ${BLUE})`,
            width: isMoving ? '100%' : `${percent}%`,
            opacity: isOld || isMoving ? 0.45 : 1,
          }}
        />
      </div>
      {message !== null && (
        <div data-part="error" role="alert" style={ERROR}>
          {message}
        </div>
      )}
    </div>
  )
}

function describeJob({ status, progress, queue, job, error }: ShownJob): string {
  if (job?.cancelRequested && status === 'processing') return 'Cancelling…'
  switch (status) {
    case 'loading':
      return 'Loading…'
    case 'submitting':
      return 'Submitting…'
    case 'scheduled':
      return textOf(error) === null ? 'Scheduled' : 'Failed, will be tried again'
    case 'queued':
      return placeText(queue)
    case 'processing':
      return progress?.note || 'Running'
    case 'completed':
      return 'Done'
    case 'failed':
      return 'Failed'
    default:
      return status === 'cancelled' ? 'Cancelled' : ''
  }
}

function placeText(queue: ShownJob['queue']): string {
  if (queue?.held === 'paused') return 'Paused'
  if (queue?.held === 'no_worker') return 'Waiting for a worker'
  if (queue === null || queue.place === null) return 'Waiting in line'
  return queue.place === 1 ? 'Next in line' : `Number ${queue.place} in line`
}

function textOf(error: unknown): string | null {
  if (error instanceof Error) return error.message
  return typeof error === 'string' && error !== '' ? error : null
}

/** While nobody knows how far it is something moves, for those who do not mind. */
function useSweep(isMoving: boolean): RefObject<HTMLDivElement | null> {
  const bar = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!isMoving || matchMedia('(prefers-reduced-motion: reduce)').matches) return
    // Not a rule of a style sheet, which a page's policy may forbid.
    const piece = { width: '30%', opacity: 1 }
    const sweep = bar.current?.animate(
      [
        { ...piece, transform: 'translateX(-100%)' },
        { ...piece, transform: 'translateX(334%)' },
      ],
      { duration: 1400, iterations: Number.POSITIVE_INFINITY, easing: 'ease-in-out' },
    )
    return () => sweep?.cancel()
  }, [isMoving])
  return bar
}

// Each is seen on white and on black.
const BLUE = '#3b82f6'
const GREEN = '#16a34a'
const RED = '#ef4444'
const COLORS: Partial<Record<ShownJob['status'], string>> = {
  completed: GREEN,
  failed: RED,
  cancelled: 'color-mix(in srgb, currentColor 40%, transparent)',
}

const ROOT = { display: 'grid', gap: '0.4em', font: 'inherit', color: 'inherit', minWidth: 0 } as const
const LINE = { display: 'flex', justifyContent: 'space-between', alignItems: 'baseline', gap: '1em' } as const
const TEXT = { minWidth: 0, overflowWrap: 'anywhere' } as const
const FAINT = { opacity: 0.65 } as const
const PERCENT = { fontVariantNumeric: 'tabular-nums', whiteSpace: 'nowrap' } as const
const TRACK = {
  height: 'var(--jobcast-height, 0.5em)',
  borderRadius: 'var(--jobcast-radius, 1em)',
  background: 'var(--jobcast-track, color-mix(in srgb, currentColor 14%, transparent))',
  overflow: 'hidden',
} as const
const BAR = { height: '100%', borderRadius: 'inherit', transition: 'width 0.3s, opacity 0.3s' } as const
const ERROR = {
  color: `color-mix(in srgb, ${RED} 75%, currentColor)`,
  fontSize: '0.875em',
  whiteSpace: 'pre-wrap',
  overflowWrap: 'anywhere',
  maxHeight: '9em',
  overflow: 'auto',
} as const
