import { createContext, useContext, useRef, useSyncExternalStore } from 'react'
import { useConnection } from '../../react/index.ts'

const TICK_MS = 1000

const listeners = new Set<() => void>()
let now = Date.now()
let timer: ReturnType<typeof setInterval> | undefined

/** One timer for the whole page, running only while somebody looks at it. */
function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  if (timer === undefined) {
    now = Date.now()
    timer = setInterval(tick, TICK_MS)
  }
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

function tick(): void {
  now = Date.now()
  for (const listener of listeners) listener()
}

/** The time in ms, once a second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now)
}

/** Whether what is shown around here could not be read again. */
export const StaleContext = createContext(false)

/** The time in ms, once a second; it stands still while nobody can tell whether what runs still does. */
export function useKnownTime(): number {
  const now = useNow()
  const { phase } = useConnection()
  const isStale = useContext(StaleContext)
  const known = useRef(now)
  if (!isStale && (phase === 'open' || phase === 'idle')) known.current = now
  return known.current
}
