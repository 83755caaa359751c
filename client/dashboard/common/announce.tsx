import { VisuallyHidden } from '@mantine/core'

/** Words for screen readers only, spoken when they change. */
export function Announce({ text }: { text: string }) {
  return (
    <VisuallyHidden role="status" aria-live="polite" aria-atomic="true">
      {text}
    </VisuallyHidden>
  )
}
