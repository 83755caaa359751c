import { vi } from 'vitest'

/** Plays the browser around a client in Node: its window and document events, its clock, its session. */
export function stagePage() {
  const window = new EventTarget()
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  vi.stubGlobal('addEventListener', window.addEventListener.bind(window))
  vi.stubGlobal('removeEventListener', window.removeEventListener.bind(window))
  vi.stubGlobal('document', document)
  return {
    onWindow: (type: string, properties = {}) =>
      window.dispatchEvent(Object.assign(new Event(type), properties)),
    onDocument: (type: string) => document.dispatchEvent(new Event(type)),
    show(visibilityState: 'visible' | 'hidden') {
      document.visibilityState = visibilityState
      document.dispatchEvent(new Event('visibilitychange'))
    },
  }
}

/** A machine that sleeps: the wall clock goes on, timers and the monotonic clock do not. */
export function sleep(ms: number): void {
  vi.setSystemTime(Date.now() + ms)
}

/** What a tab's `sessionStorage` holds. */
export function stageSession(): Map<string, string> {
  const stored = new Map<string, string>()
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
    removeItem: (key: string) => stored.delete(key),
  })
  return stored
}
