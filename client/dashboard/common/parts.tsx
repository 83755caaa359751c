import { ActionIcon, Button, Tooltip, VisuallyHidden } from '@mantine/core'
import { useClipboard } from '@mantine/hooks'
import { IconArrowDown, IconCheck, IconChevronRight, IconCopy } from '@tabler/icons-react'
import { type ReactNode, type Ref, useId, useLayoutEffect, useRef, useState } from 'react'
import classes from './parts.module.css'

interface SectionProps {
  readonly title: string
  /** Beside the title: a count, a button. */
  readonly aside?: ReactNode
  readonly children: ReactNode
}

/** A titled card. */
export function Section({ title, aside, children }: SectionProps) {
  const id = useId()
  return (
    <section className={classes.section} aria-labelledby={id}>
      <div className={classes.head}>
        <h2 id={id} className={classes.title}>
          {title}
        </h2>
        {aside !== undefined && <div className={classes.aside}>{aside}</div>}
      </div>
      <div className={classes.body}>{children}</div>
    </section>
  )
}

/** A titled card that opens and closes. */
export function FoldedSection({
  title,
  aside,
  startsOpen,
  children,
}: SectionProps & { startsOpen: boolean }) {
  return (
    <details className={classes.section} open={startsOpen}>
      <summary className={classes.head} data-folds>
        <IconChevronRight size={15} className={classes.chevron} aria-hidden />
        <h2 className={classes.title}>{title}</h2>
        {aside !== undefined && <div className={classes.aside}>{aside}</div>}
      </summary>
      <div className={classes.body}>{children}</div>
    </details>
  )
}

interface ScrollerProps {
  /** Names it for screen readers. */
  readonly label: string
  readonly className: string | undefined
  readonly ref?: Ref<HTMLDivElement>
  readonly onScroll?: () => void
  readonly children: ReactNode
}

/** A box that scrolls by itself, and can be scrolled by keyboard. */
export function Scroller({ label, className, ref, onScroll, children }: ScrollerProps) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset groups inputs, and this has none
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must take the focus
    <div ref={ref} className={className} tabIndex={0} role="group" aria-label={label} onScroll={onScroll}>
      {children}
    </div>
  )
}

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

interface CopyProps {
  /** The text; a function where it takes time to make. */
  readonly text: string | (() => string)
  /** Names it: "job id". */
  readonly what: string
}

/** Copies a text. */
export function Copy({ text, what }: CopyProps) {
  const { copied, copy } = useClipboard({ timeout: 1500 })
  return (
    <Tooltip label={copied ? 'Copied' : `Copy ${what}`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="sm"
        aria-label={copied ? `Copied ${what}` : `Copy ${what}`}
        onClick={() => copy(typeof text === 'string' ? text : text())}
      >
        {copied ? (
          <IconCheck size={14} color="var(--jc-green)" />
        ) : (
          <IconCopy size={14} color="var(--jc-muted)" />
        )}
      </ActionIcon>
    </Tooltip>
  )
}

/** Words for screen readers only, spoken when they change. */
export function LiveRegion({ text }: { text: string }) {
  return (
    <VisuallyHidden role="status" aria-live="polite" aria-atomic="true">
      {text}
    </VisuallyHidden>
  )
}
