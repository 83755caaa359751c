import { memo } from 'react'
import type { JobEvent } from '../../../shared/event.ts'
import type { Missed, WatchEvent } from '../../index.ts'
import { formatExact, formatNumber } from '../common/format.ts'
import { Section, Tail } from '../common/parts.tsx'
import { missedText, visible } from '../common/words.ts'
import classes from './log.module.css'

type LogEvent = Extract<JobEvent, { kind: 'log' }>

interface LogEntry {
  readonly event: LogEvent
  /** Set at the first line of each run but the first: `Attempt 2`, or `Attempt 1, again` after a worker was lost. */
  readonly heading: string | null
}

/** The log lines of all attempts. */
export const LogView = memo(function LogView({ entries }: { entries: ReturnType<typeof logOf> }) {
  const lines = entries.filter((entry) => 'event' in entry)
  return (
    <Section title="Log" aside={`${formatNumber(lines.length)} ${lines.length === 1 ? 'line' : 'lines'}`}>
      <Tail label="Log lines" className={classes.box} last={lines.at(-1)?.event.seq}>
        {entries.map((entry) =>
          'event' in entry ? (
            <Line key={entry.event.seq} entry={entry} />
          ) : (
            <div key={entry.seq} className={classes.missed}>
              {missedText(entry)}
            </div>
          ),
        )}
      </Tail>
    </Section>
  )
})

const Line = memo(function Line({ entry: { event, heading } }: { entry: LogEntry }) {
  const { level, line } = event.data
  return (
    <>
      {heading !== null && <div className={classes.attempt}>{heading}</div>}
      <div className={classes.line} data-level={level}>
        <time dateTime={event.at}>{formatExact(event.at)}</time>
        <span className={classes.level}>{level}</span>
        <span className={classes.text}>{visible(line)}</span>
      </div>
    </>
  )
}, isSameLine)

function isSameLine(before: { entry: LogEntry }, after: { entry: LogEntry }): boolean {
  return before.entry.event === after.entry.event && before.entry.heading === after.entry.heading
}

/** The log of all attempts; in between, what is missing among all events, some of which may have been lines. */
export function logOf(events: readonly WatchEvent[]): readonly (LogEntry | Missed)[] {
  const entries: (LogEntry | Missed)[] = []
  let attempt = 1
  let lastRun: number | null = null
  let heading: string | null = null
  for (const event of events) {
    if (event.kind === 'status') {
      attempt = event.data.attempt ?? attempt
      if (event.data.status === 'processing') {
        if (lastRun !== null) heading = `Attempt ${attempt}${attempt === lastRun ? ', again' : ''}`
        lastRun = attempt
      }
    }
    if (event.kind === 'missed') entries.push(event)
    if (event.kind !== 'log') continue
    entries.push({ event, heading })
    heading = null
  }
  return entries
}
