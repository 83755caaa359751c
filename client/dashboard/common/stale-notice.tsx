import { Button } from '@mantine/core'
import { IconCloudOff } from '@tabler/icons-react'
import { explain } from './explain.ts'
import classes from './stale-notice.module.css'

/** Above content that could not be refreshed: it stays, and this says that it may be old. */
export function StaleNotice({ error, retry }: { error: unknown; retry(): void }) {
  return (
    <div className={classes.notice} role="alert">
      <span className={classes.text}>
        <IconCloudOff size={16} className={classes.icon} aria-hidden />
        {explain(error).title}. What you see may be out of date.
      </span>
      <Button variant="subtle" color="cobalt" size="compact-sm" onClick={retry}>
        Try again
      </Button>
    </div>
  )
}
