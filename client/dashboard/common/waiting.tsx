import { Button, Text, VisuallyHidden } from '@mantine/core'
import { useTimeout } from '@mantine/hooks'
import { useState } from 'react'
import classes from './waiting.module.css'

const PATIENCE_MS = 8000

/** Grey bars where content will be; after some seconds it says so and offers to start over. */
export function Waiting({ what, rows = 4, retry }: { what: string; rows?: number; retry?: () => void }) {
  const [late, setLate] = useState(false)
  useTimeout(() => setLate(true), PATIENCE_MS, { autoInvoke: true })
  const again = retry ?? (() => location.reload())
  return (
    <div aria-busy="true">
      <VisuallyHidden role="status">Loading {what}</VisuallyHidden>
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the bars are all alike and never move
        <div key={row} className={classes.bar} />
      ))}
      {late && (
        <div className={classes.late} role="alert">
          <Text size="sm" c="dimmed">
            The server has not answered yet. Still trying.
          </Text>
          <Button variant="default" size="xs" onClick={again}>
            Start over
          </Button>
        </div>
      )}
    </div>
  )
}
