import { ActionIcon, Tooltip, useComputedColorScheme, useMantineColorScheme } from '@mantine/core'
import { IconMoon, IconSun } from '@tabler/icons-react'
import { type ReactNode, useEffect, useRef } from 'react'
import { Link, useRoute } from 'wouter'
import type { ConnectionState, TransportName } from '../index.ts'
import { useConnection } from '../react/index.ts'
import { SignOut } from './api-key.tsx'
import classes from './shell.module.css'

/** A page that the header leads to. */
export interface NavEntry {
  readonly href: string
  readonly label: string
  /** The pattern of pages that belong to it. */
  readonly below?: string
}

interface ShellProps {
  readonly nav: readonly NavEntry[]
  readonly children: ReactNode
}

/** What is around every page: the header, and a main part that takes the focus when the page changes. */
export function Shell({ nav, children }: ShellProps) {
  const main = useRef<HTMLElement>(null)

  useEffect(() => {
    // wouter announces its own navigation by this event; going back keeps the browser's scroll position.
    const arrive = () => {
      window.scrollTo(0, 0)
      main.current?.focus({ preventScroll: true })
    }
    window.addEventListener('pushState', arrive)
    return () => window.removeEventListener('pushState', arrive)
  }, [])

  return (
    <>
      <a className={classes.skip} href="#main">
        Skip to content
      </a>
      <Header nav={nav} />
      <main id="main" ref={main} tabIndex={-1} className={classes.main}>
        {children}
      </main>
    </>
  )
}

function Header({ nav }: { nav: readonly NavEntry[] }) {
  return (
    <header className={classes.header}>
      <div className={classes.inner}>
        <Link href="/" className={classes.brand} aria-label="Jobcast, to the jobs">
          <Mark />
          <span>Jobcast</span>
        </Link>
        <nav className={classes.nav} aria-label="Pages">
          {nav.map((entry) => (
            <NavLink key={entry.href} {...entry} />
          ))}
        </nav>
        <div className={classes.tools}>
          <TransportBadge />
          <SchemeToggle />
          <SignOut />
        </div>
      </div>
    </header>
  )
}

function NavLink({ href, label, below = href }: NavEntry) {
  const [isHere] = useRoute(href)
  const [isBelow] = useRoute(below)
  return (
    <Link href={href} className={classes.link} aria-current={isHere || isBelow ? 'page' : undefined}>
      {label}
    </Link>
  )
}

const NAMES: Readonly<Record<TransportName, string>> = {
  websocket: 'WebSocket',
  sse: 'SSE',
  'long-poll': 'Long-poll',
  polling: 'Polling',
}

/** How live updates come, and whether they do. Says nothing while nothing is watched. */
function TransportBadge() {
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

/** Light or dark; until it is used, the page follows the system. */
function SchemeToggle() {
  const { setColorScheme } = useMantineColorScheme()
  const shown = useComputedColorScheme('light')
  const other = shown === 'dark' ? 'light' : 'dark'
  const Icon = other === 'dark' ? IconMoon : IconSun
  return (
    <Tooltip label={`Switch to ${other}`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        aria-label={`Switch to the ${other} colour scheme`}
        onClick={() => setColorScheme(other)}
      >
        <Icon size={18} stroke={1.75} color="var(--jc-muted)" />
      </ActionIcon>
    </Tooltip>
  )
}

/** The mark: a point that sends. */
function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#2f5bea" />
      <circle cx="10" cy="22" r="3" fill="#fff" />
      <path
        d="M10 14a8 8 0 0 1 8 8M10 7.5A14.5 14.5 0 0 1 24.5 22"
        stroke="#fff"
        strokeWidth="3"
        strokeLinecap="round"
      />
    </svg>
  )
}
