import { Button, Text, Title, VisuallyHidden } from '@mantine/core'
import { useTimeout } from '@mantine/hooks'
import { notifications } from '@mantine/notifications'
import { IconAlertTriangle, IconCloudOff, IconInbox } from '@tabler/icons-react'
import { Component, type ReactNode, useState } from 'react'
import { JobcastError } from '../../index.ts'
import { SignIn } from '../api-key.tsx'
import classes from './notices.module.css'
import { explain } from './words.ts'

interface EmptyStateProps {
  readonly tone?: 'calm' | 'bad'
  readonly icon?: ReactNode
  /** It stands for a whole page, and its title heads it. */
  readonly isPage?: boolean
  readonly title: string
  readonly text?: ReactNode
  readonly action?: { readonly label: string; run(): void }
}

/** A centred word in place of content: nothing there, not found, it failed. */
export function EmptyState({ tone = 'calm', icon, isPage = false, title, text, action }: EmptyStateProps) {
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

interface FailureProps {
  readonly error: unknown
  /** Nothing else is on the page. */
  readonly isPage?: boolean
  retry(): void
}

/** Something could not be loaded: says why, and offers another try or, where a key is wanted, to sign in. */
export function Failure({ error, isPage = false, retry }: FailureProps) {
  if (isUnauthorized(error)) return <SignIn isPage={isPage} />
  const { title, text } = explain(error)
  return (
    <EmptyState
      tone="bad"
      isPage={isPage}
      title={title}
      text={text}
      action={{ label: 'Try again', run: retry }}
    />
  )
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof JobcastError && error.code === 'unauthorized'
}

/** A command did not work: says so at the corner of the page. */
export function notifyFailure(error: unknown): void {
  const { title, text } = explain(error)
  notifications.show({ color: 'red', title, message: text })
}

/** Above content that could not be refreshed: it stays, and this says that it may be old. */
export function StaleNotice({ error, retry }: { error: unknown; retry(): void }) {
  return (
    <div className={classes.staleNotice} role="alert">
      <span className={classes.text}>
        <IconCloudOff size={16} className={classes.staleIcon} aria-hidden />
        {explain(error).title}. What you see may be out of date.
      </span>
      <Button variant="subtle" color="cobalt" size="compact-sm" onClick={retry}>
        Try again
      </Button>
    </div>
  )
}

const PATIENCE_MS = 8000

/** Grey bars where content will be; after some seconds it says so and offers to start over. */
export function Loading({ what, rows = 4, retry }: { what: string; rows?: number; retry?: () => void }) {
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

interface State {
  readonly message: string | null
}

/** What is shown in place of a page that threw while rendering. */
export class ErrorBoundary extends Component<{ children: ReactNode }, State> {
  override state: State = { message: null }

  static getDerivedStateFromError(error: unknown): State {
    return { message: error instanceof Error ? error.message : String(error) }
  }

  override render() {
    if (this.state.message === null) return this.props.children
    return (
      <EmptyState
        tone="bad"
        isPage
        title="This page broke"
        text={this.state.message}
        action={{ label: 'Load it again', run: () => location.reload() }}
      />
    )
  }
}
