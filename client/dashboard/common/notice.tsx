import { Button, Text, Title } from '@mantine/core'
import { IconAlertTriangle, IconInbox } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import classes from './notice.module.css'

interface NoticeProps {
  readonly tone?: 'calm' | 'bad'
  readonly icon?: ReactNode
  /** It stands for a whole page, and its title heads it. */
  readonly isPage?: boolean
  readonly title: string
  readonly text?: ReactNode
  readonly action?: { readonly label: string; run(): void }
}

/** A centred word in place of content: nothing there, not found, it failed. */
export function Notice({ tone = 'calm', icon, isPage = false, title, text, action }: NoticeProps) {
  return (
    <div className={classes.notice} data-tone={tone} role={tone === 'bad' ? 'alert' : undefined}>
      <span className={classes.icon} aria-hidden>
        {icon ?? (tone === 'bad' ? <IconAlertTriangle size={22} /> : <IconInbox size={22} stroke={1.5} />)}
      </span>
      <Title order={isPage ? 1 : 2} className={classes.title}>
        {title}
      </Title>
      {text !== undefined && (
        <Text size="sm" c="dimmed" maw={420}>
          {text}
        </Text>
      )}
      {action !== undefined && (
        <Button variant="default" mt="xs" onClick={action.run}>
          {action.label}
        </Button>
      )}
    </div>
  )
}
