import { type Auth, type Caller, mayOnJob, mayOnStore } from '../auth/auth.ts'
import type { Unsubscribe } from '../engine/engine.ts'

/** Whether a job may be watched, and until when: ms since the epoch, null for good. */
export type Permit =
  | { readonly ok: true; readonly expiresAt: number | null }
  | { readonly ok: false; readonly code: 'unauthorized' | 'forbidden' | 'not_found' }

/**
 * Judges one subscription: by its own token, or, where it brings none, by what the connection was opened with
 * (null: nothing).
 */
export async function permitWatching(
  auth: Auth,
  jobId: string,
  token: string | undefined,
  opener: Caller | null,
): Promise<Permit> {
  if (!auth.enabled) return { ok: true, expiresAt: null }
  const caller = token === undefined ? opener : await callerOf(auth, token)
  if (caller === null) return { ok: false, code: 'unauthorized' }
  const expiresAt = caller.kind === 'token' ? caller.expiresAt : null
  // The token of an upgrade was good when the connection was opened, which may be long ago.
  if (expiresAt !== null && expiresAt <= Date.now()) return { ok: false, code: 'unauthorized' }
  const permission = mayOnJob(caller, 'read', jobId)
  return permission === 'allowed' ? { ok: true, expiresAt } : { ok: false, code: permission }
}

/** Judges a list of jobs, in the same way: it takes an API key, which does not expire. */
export async function permitListing(
  auth: Auth,
  token: string | undefined,
  opener: Caller | null,
): Promise<Permit> {
  if (!auth.enabled) return { ok: true, expiresAt: null }
  const caller = token === undefined ? opener : await callerOf(auth, token)
  if (caller === null) return { ok: false, code: 'unauthorized' }
  const permission = mayOnStore(caller, 'read')
  return permission === 'allowed' ? { ok: true, expiresAt: null } : { ok: false, code: permission }
}

async function callerOf(auth: Auth, token: string): Promise<Caller | null> {
  const identified = await auth.identify(token)
  return identified.ok ? identified.caller : null
}

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
