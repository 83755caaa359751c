import { JobcastError, mayPass } from './errors.ts'
import { type Http, isRecord, jobPath } from './http.ts'
import type { Timer } from './timeout.ts'

export interface TokensOptions {
  readonly http: Http
  readonly credential: string | undefined
  readonly renewToken: ((jobId: string) => Promise<string> | string) | undefined
  /** A job has a new token before its old one expired. */
  readonly changed: (jobId: string) => void
}

/** Tokens that are kept: those of the jobs last submitted or watched. */
const KEPT = 1000
/** How much of a token's life passes before a new one is asked for. */
const RENEWED_AT = 0.8
const RENEW_AGAIN_MS = 10_000
/** How often it is looked whether it is time: a machine may have slept in between, and its timers with it. */
const LOOK_MS = 10 * 60_000

/** Job tokens: what `submit` returned or `watch` was given, renewed in time for the jobs that are watched. */
export class Tokens {
  readonly #options: TokensOptions
  readonly #tokens = new Map<string, string>()
  /** Of the jobs that are watched. */
  readonly #timers = new Map<string, Timer>()

  constructor(options: TokensOptions) {
    this.#options = options
  }

  get(jobId: string): string | undefined {
    return this.#tokens.get(jobId)
  }

  keep(jobId: string, token: string): void {
    this.#tokens.delete(jobId)
    this.#tokens.set(jobId, token)
    for (const oldest of this.#tokens.keys()) {
      if (this.#tokens.size <= KEPT) break
      if (!this.#timers.has(oldest)) this.#tokens.delete(oldest)
    }
    if (this.#timers.has(jobId)) this.watched(jobId)
  }

  /** The job is watched: its token must not expire. */
  watched(jobId: string): void {
    const now = Date.now()
    const expiresAt = expiryOf(this.#tokens.get(jobId)) ?? Number.POSITIVE_INFINITY
    this.#wait(jobId, now + Math.max((expiresAt - now) * RENEWED_AT, RENEW_AGAIN_MS))
  }

  unwatched(jobId: string): void {
    clearTimeout(this.#timers.get(jobId))
    this.#timers.delete(jobId)
  }

  /**
   * Gets a new token: from the user's `renewToken`, else from the server, which asks for an API key or a token that
   * is still good. False where none is given; rejects where that could not be found out now.
   */
  async renew(jobId: string): Promise<boolean> {
    const { http, credential = this.#tokens.get(jobId), renewToken } = this.#options
    try {
      if (renewToken !== undefined) this.keep(jobId, await renewToken(jobId))
      else if (credential === undefined) return false
      else {
        const call = { method: 'POST', credential } as const
        const { token } = await http.json<{ token: string }>(jobPath(jobId, '/token'), call)
        this.keep(jobId, token)
      }
      return true
    } catch (error) {
      if (error instanceof JobcastError && mayPass(error)) throw error
      return false
    }
  }

  #wait(jobId: string, renewAt: number): void {
    clearTimeout(this.#timers.get(jobId))
    const look = () => (Date.now() < renewAt ? this.#wait(jobId, renewAt) : this.#renewAhead(jobId))
    this.#timers.set(jobId, setTimeout(look, Math.min(renewAt - Date.now(), LOOK_MS)))
  }

  async #renewAhead(jobId: string): Promise<void> {
    // Where that does not work out the server will refuse the old one, which is answered by renewing as well.
    const expires = expiryOf(this.#tokens.get(jobId)) !== null
    const renewed = expires && (await this.renew(jobId).catch(() => false))
    if (!this.#timers.has(jobId)) return
    if (renewed) this.#options.changed(jobId)
    else this.watched(jobId)
  }
}

/** When a token expires, in ms since 1970: of a JWT, its `exp` (RFC 7519 section 4.1.4); null for any other. */
function expiryOf(token: string | undefined): number | null {
  const claims = token?.split('.')[1]
  if (claims === undefined) return null
  try {
    const payload: unknown = JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/')))
    return isRecord(payload) && typeof payload.exp === 'number' ? payload.exp * 1000 : null
  } catch {
    return null
  }
}
