import { memo } from 'react'
import type { WatchEvent } from '../../index.ts'
import { between, formatDateTime, formatDuration, formatExact } from '../common/format.ts'
import { Section } from '../common/section.tsx'
import { StatusIcon } from '../common/status.tsx'
import { inWordsMissed, type Moment, momentsOf } from './history.ts'
import classes from './timeline.module.css'

interface TimelineProps {
  readonly events: readonly WatchEvent[]
  readonly submittedAt: string
}

/** What happened to the job, and when. */
export const Timeline = memo(function Timeline({ events, submittedAt }: TimelineProps) {
  const moments = momentsOf(events)
  return (
    <Section title="Timeline">
      <ol className={classes.timeline}>
        {moments.map((moment, index) =>
          'kind' in moment ? (
            <li key={moment.seq} className={classes.cut}>
              {inWordsMissed(moment)}
            </li>
          ) : (
            <Row
              key={moment.seq}
              moment={moment}
              sinceLast={between(timeBefore(moments, index) ?? submittedAt, moment.at)}
            />
          ),
        )}
      </ol>
    </Section>
  )
})

/** Of the change of status before this one. */
function timeBefore(moments: ReturnType<typeof momentsOf>, index: number): string | undefined {
  return moments.slice(0, index).findLast((moment) => 'at' in moment)?.at
}

function Row({ moment, sinceLast }: { moment: Moment; sinceLast: number }) {
  return (
    <li className={classes.row}>
      <span className={classes.sign} aria-hidden>
        {moment.status === null ? (
          <span className={classes.dot} />
        ) : (
          <StatusIcon status={moment.status} size={16} />
        )}
      </span>
      <div className={classes.words}>
        <span className={classes.label}>{moment.label}</span>
        {moment.detail !== null && <span className={classes.detail}>{moment.detail}</span>}
      </div>
      <div className={classes.times}>
        <time dateTime={moment.at} title={formatDateTime(moment.at)}>
          {formatExact(moment.at)}
        </time>
        {sinceLast > 0 && <span className={classes.delta}>+{formatDuration(sinceLast)}</span>}
      </div>
    </li>
  )
}
