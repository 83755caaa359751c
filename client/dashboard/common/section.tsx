import { IconChevronRight } from '@tabler/icons-react'
import { type ReactNode, useId } from 'react'
import classes from './section.module.css'

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
