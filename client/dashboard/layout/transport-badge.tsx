import { Tooltip } from '@mantine/core'
import type { ConnectionState, TransportName } from '../../index.ts'
import { useConnection } from '../../react/index.ts'
import classes from './transport-badge.module.css'

const NAMES: Readonly<Record<TransportName, string>> = {
  websocket: 'WebSocket',
  sse: 'SSE',
  'long-poll': 'Long-poll',
  polling: 'Polling',
}

/** How live updates come, and whether they do. Says nothing while nothing is watched. */
export function TransportBadge() {
  const { label, tone, text } = describe(useConnection())
  return (
    <Tooltip label={text}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the tooltip's words must be reachable by keyboard */}
      <span className={classes.badge} data-tone={tone} tabIndex={0} role="status" aria-label={text}>
        <span className={classes.dot} aria-hidden />
        <span className={classes.label}>{label}</span>
      </span>
    </Tooltip>
  )
}

function describe({ phase, transport }: ConnectionState) {
  const name = transport === null ? null : NAMES[transport]
  if (phase === 'open' && name !== null) {
    return { label: name, tone: 'live', text: `Live over ${name}` }
  }
  if (phase === 'idle') return { label: 'Idle', tone: 'idle', text: 'Nothing is being watched' }
  if (phase === 'unavailable') {
    const text = 'The server cannot reach its store: what you see may be out of date'
    return { label: 'Store away', tone: 'trying', text }
  }
  if (name === null) return { label: 'Connecting', tone: 'trying', text: 'Connecting' }
  return { label: 'Reconnecting', tone: 'trying', text: `Reconnecting over ${name}` }
}
