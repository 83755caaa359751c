export type Timer = ReturnType<typeof setTimeout>

/** Timers of a page that is looked at are late by this much only where everything stood still. */
const LATE_MS = 5000
/** Browsers let those of hidden pages wait for a minute. */
const HIDDEN_LATE_MS = 90_000

/** Whether a timer that is this late means that the machine slept, or the page was frozen. */
export function isOverslept(lateMs: number): boolean {
  const hidden = typeof document !== 'undefined' && document.visibilityState === 'hidden'
  return lateMs >= (hidden ? HIDDEN_LATE_MS : LATE_MS)
}

/**
 * A timeout that says whether the time was slept through: whoever was waited for then had no chance to answer. By the
 * wall clock, since the monotonic one may stand still while a machine sleeps.
 */
export function startTimeout(ms: number, call: (slept: boolean) => void): Timer {
  const due = Date.now() + ms
  return setTimeout(() => call(isOverslept(Date.now() - due)), ms)
}
