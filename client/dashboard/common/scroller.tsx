import type { ReactNode, Ref } from 'react'

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
