import { type Auth, type Caller, mayOnJob, mayOnStore } from '../auth/auth.ts'

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
