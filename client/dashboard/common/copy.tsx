import { ActionIcon, Tooltip } from '@mantine/core'
import { useClipboard } from '@mantine/hooks'
import { IconCheck, IconCopy } from '@tabler/icons-react'

interface CopyProps {
  /** As a function where it takes time to make. */
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
