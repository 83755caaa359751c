import { Button } from '@mantine/core'
import { IconArrowDown } from '@tabler/icons-react'
import { memo, useLayoutEffect, useRef, useState } from 'react'
import { formatExact, formatNumber } from '../common/format.ts'
import { Scroller } from '../common/scroller.tsx'
import { Section } from '../common/section.tsx'
import { visible } from './control-characters.ts'
import type { LogEntry } from './history.ts'
import classes from './log-view.module.css'

const NEAR_END_PX = 24

/** The log lines; keeps to the newest one until one scrolls up. */
export function LogView({ entries }: { entries: readonly LogEntry[] }) {
  const box = useRef<HTMLDivElement>(null)
  const [isFollowing, setFollowing] = useState(true)
  const last = entries.at(-1)?.event.seq

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new last line is what there is to scroll to
  useLayoutEffect(() => {
    if (isFollowing) box.current?.scrollTo({ top: box.current.scrollHeight })
  }, [last, isFollowing])

  function noteScroll() {
    if (box.current === null) return
    const { scrollHeight, scrollTop, clientHeight } = box.current
    setFollowing(scrollHeight - scrollTop - clientHeight < NEAR_END_PX)
  }

  return (
    <Section title="Log" aside={`${formatNumber(entries.length)} lines`}>
      <div className={classes.frame}>
        <Scroller ref={box} label="Log lines" className={classes.box} onScroll={noteScroll}>
          {entries.map((entry) => (
            <Line key={entry.event.seq} entry={entry} />
          ))}
        </Scroller>
        {!isFollowing && (
          <Button
            className={classes.jump}
            size="compact-sm"
            leftSection={<IconArrowDown size={14} />}
            onClick={() => setFollowing(true)}
          >
            Latest
          </Button>
        )}
      </div>
    </Section>
  )
}

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
