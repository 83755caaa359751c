import type { Unsubscribe } from '../engine/engine.ts'

/** Longest delay of a timer; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

const NOTHING: Unsubscribe = () => {}

/** Calls back once at a time, in ms since the epoch, and soon where that is past; null: never. */
export function onExpiry(time: number | null, listener: () => void): Unsubscribe {
  if (time === null) return NOTHING
  let timer: NodeJS.Timeout
  const wait = () => {
    const leftMs = time - Date.now()
    const next = leftMs > MAX_TIMER_MS ? wait : listener
    timer = setTimeout(next, Math.min(Math.max(leftMs, 0), MAX_TIMER_MS))
  }
  wait()
  return () => clearTimeout(timer)
}
