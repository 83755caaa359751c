import classes from './progress-bar.module.css'

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
