import { memo } from 'react'
import { formatExact, formatNumber } from '../common/format.ts'
import { Section } from '../common/section.tsx'
import { Tail } from '../common/tail.tsx'
import { visible } from './control-characters.ts'
import type { LogEntry } from './history.ts'
import classes from './log-view.module.css'

/** The log lines of all attempts. */
export const LogView = memo(function LogView({ entries }: { entries: readonly LogEntry[] }) {
  return (
    <Section title="Log" aside={`${formatNumber(entries.length)} ${entries.length === 1 ? 'line' : 'lines'}`}>
      <Tail label="Log lines" className={classes.box} last={entries.at(-1)?.event.seq}>
        {entries.map((entry) => (
          <Line key={entry.event.seq} entry={entry} />
        ))}
      </Tail>
    </Section>
  )
})

const Line = memo(function Line({ entry: { event, newAttempt } }: { entry: LogEntry }) {
  const { level, line } = event.data
  return (
    <>
      {newAttempt !== null && <div className={classes.attempt}>Attempt {newAttempt}</div>}
      <div className={classes.line} data-level={level}>
        <time dateTime={event.at}>{formatExact(event.at)}</time>
        <span className={classes.level}>{level}</span>
        <span className={classes.text}>{visible(line)}</span>
      </div>
    </>
  )
}, isSameLine)

function isSameLine(before: { entry: LogEntry }, after: { entry: LogEntry }): boolean {
  return before.entry.event === after.entry.event && before.entry.newAttempt === after.entry.newAttempt
}
