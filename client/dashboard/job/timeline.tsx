import { memo } from 'react'
import type { JobEvent } from '../../../shared/event.ts'
import { between, formatDateTime, formatDuration, formatExact } from '../common/format.ts'
import { Section } from '../common/section.tsx'
import { StatusIcon } from '../common/status.tsx'
import { type Moment, momentsOf } from './history.ts'
import classes from './timeline.module.css'

interface TimelineProps {
  readonly events: readonly JobEvent[]
  readonly submittedAt: string
}

/** What happened to the job, and when. */
export const Timeline = memo(function Timeline({ events, submittedAt }: TimelineProps) {
  const moments = momentsOf(events)
  const isCut = (events[0]?.seq ?? 1) > 1
  return (
    <Section title="Timeline">
      <ol className={classes.timeline}>
        {isCut && <li className={classes.cut}>Earlier events are no longer kept</li>}
        {moments.map((moment, index) => (
          <Row
            key={moment.seq}
            moment={moment}
            sinceLast={between(moments[index - 1]?.at ?? submittedAt, moment.at)}
          />
        ))}
      </ol>
    </Section>
  )
})

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
