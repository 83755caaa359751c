import { memo } from 'react'
import { formatExact, formatNumber } from '../common/format.ts'
import { Section } from '../common/section.tsx'
import { Tail } from '../common/tail.tsx'
import { visible } from './control-characters.ts'
import { inWordsMissed, type LogEntry, type logOf } from './history.ts'
import classes from './log-view.module.css'

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
              {inWordsMissed(entry)}
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
