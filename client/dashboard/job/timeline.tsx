import { memo } from 'react'
import type { JobEvent } from '../../../shared/event.ts'
import type { JobStatus } from '../../../shared/status.ts'
import type { Missed, WatchEvent } from '../../index.ts'
import { between, formatDateTime, formatDuration, formatExact } from '../common/format.ts'
import { Section } from '../common/parts.tsx'
import { StatusIcon } from '../common/status.tsx'
import { missedText } from '../common/words.ts'
import classes from './timeline.module.css'

type StatusEvent = Extract<JobEvent, { kind: 'status' }>

/** One row of the timeline. */
interface TimelineEntry {
  readonly seq: number
  readonly at: string
  readonly label: string
  /** What it says besides: an error, the time of the next attempt. */
  readonly detail: string | null
  readonly status: JobStatus | null
}

interface TimelineProps {
  readonly events: readonly WatchEvent[]
  readonly submittedAt: string
}

/** What happened to the job, and when. */
export const Timeline = memo(function Timeline({ events, submittedAt }: TimelineProps) {
  const entries = entriesOf(events)
  return (
    <Section title="Timeline">
      <ol className={classes.timeline}>
        {entries.map((entry, index) =>
          'kind' in entry ? (
            <li key={entry.seq} className={classes.cut}>
              {missedText(entry)}
            </li>
          ) : (
            <Row
              key={entry.seq}
              entry={entry}
              sinceLast={between(timeBefore(entries, index) ?? submittedAt, entry.at)}
            />
          ),
        )}
      </ol>
    </Section>
  )
})

/** The time of the change of status before this one. */
function timeBefore(entries: ReturnType<typeof entriesOf>, index: number): string | undefined {
  return entries.slice(0, index).findLast((entry) => 'at' in entry)?.at
}

function Row({ entry, sinceLast }: { entry: TimelineEntry; sinceLast: number }) {
  return (
    <li className={classes.row}>
      <span className={classes.sign} aria-hidden>
        {entry.status === null ? (
          <span className={classes.dot} />
        ) : (
          <StatusIcon status={entry.status} size={16} />
        )}
      </span>
      <div className={classes.words}>
        <span className={classes.label}>{entry.label}</span>
        {entry.detail !== null && <span className={classes.detail}>{entry.detail}</span>}
      </div>
      <div className={classes.times}>
        <time dateTime={entry.at} title={formatDateTime(entry.at)}>
          {formatExact(entry.at)}
        </time>
        {sinceLast > 0 && <span className={classes.delta}>+{formatDuration(sinceLast)}</span>}
      </div>
    </li>
  )
}

/** The changes of status, in words, and what is missing among all events. */
function entriesOf(events: readonly WatchEvent[]): readonly (TimelineEntry | Missed)[] {
  const entries: (TimelineEntry | Missed)[] = []
  let attempt = 1
  let before: JobStatus | null = null
  for (const event of events) {
    if (event.kind === 'missed') entries.push(event)
    if (event.kind !== 'status') continue
    attempt = event.data.attempt ?? attempt
    entries.push({ seq: event.seq, at: event.at, ...inWords(event, before, attempt) })
    before = event.data.status ?? before
  }
  return entries
}

function inWords({ data }: StatusEvent, before: JobStatus | null, attempt: number) {
  const status = data.status ?? null
  const error = data.error ?? null
  switch (status) {
    case 'scheduled':
      // What is put off says nothing of an attempt: it is the same one that will be made.
      if (data.attempt !== undefined) return { label: `Attempt ${attempt - 1} failed`, detail: error, status }
      return { label: before === 'processing' ? 'Put off' : 'Scheduled', detail: null, status }
    case 'queued':
      return { label: queuedFrom(before, attempt), detail: null, status }
    case 'processing':
      return { label: attempt > 1 ? `Attempt ${attempt} started` : 'Started', detail: null, status }
    case 'completed':
      return { label: 'Completed', detail: null, status }
    case 'failed':
      return { label: 'Failed', detail: error, status }
    case 'cancelled':
      return { label: 'Cancelled', detail: null, status }
    case null:
      return { label: data.cancelRequested === true ? 'Cancel requested' : 'Changed', detail: null, status }
  }
}

function queuedFrom(before: JobStatus | null, attempt: number): string {
  if (before === 'processing') return 'Back in the queue'
  if (before === 'scheduled') return attempt > 1 ? 'Queued again' : 'Due'
  if (before === 'failed' || before === 'cancelled') return 'Retried by hand'
  return 'Queued'
}
