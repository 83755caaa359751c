import { createContext, useContext, useMemo, useRef, useSyncExternalStore } from 'react'
import { useClient, useConnection } from '../../react/index.ts'

const TICK_MS = 1000

const listeners = new Set<() => void>()
let ticks = 0
let timer: ReturnType<typeof setInterval> | undefined

/** One timer for the whole page, running only while somebody looks at it. */
function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  if (timer === undefined) {
    ticks += 1
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
  ticks += 1
  for (const listener of listeners) listener()
}

/** The server's time in ms, once a second: the times that are counted from are the server's. */
export function useNow(): number {
  const client = useClient()
  const tick = useSyncExternalStore(subscribe, () => ticks)
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is read anew at each tick
  return useMemo(() => client.now(), [client, tick])
}

/** True where what is shown around here could not be read again. */
export const StaleContext = createContext(false)

/** The server's time in ms, once a second; it stands still while nobody can tell whether what runs still does. */
export function useKnownTime(): number {
  const now = useNow()
  const { phase } = useConnection()
  const isStale = useContext(StaleContext)
  const known = useRef(now)
  if (!isStale && (phase === 'open' || phase === 'idle')) known.current = now
  return known.current
}
