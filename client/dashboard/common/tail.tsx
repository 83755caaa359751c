import { Button } from '@mantine/core'
import { IconArrowDown } from '@tabler/icons-react'
import { type ReactNode, useLayoutEffect, useRef, useState } from 'react'
import { Scroller } from './scroller.tsx'
import classes from './tail.module.css'

const NEAR_END_PX = 24

interface TailProps {
  readonly label: string
  readonly className: string | undefined
  /** Changes whenever something was added at the end. */
  readonly last: number | undefined
  readonly children: ReactNode
}

/** A scrolling box that keeps to its end until one scrolls up, and offers the way back. */
export function Tail({ label, className, last, children }: TailProps) {
  const box = useRef<HTMLDivElement>(null)
  const [isFollowing, setFollowing] = useState(true)

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
    <div className={classes.frame}>
      <Scroller ref={box} label={label} className={className} onScroll={noteScroll}>
        {children}
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
  )
}
