import { JobcastError, mayPass } from './errors.ts'
import { type Http, jobPath } from './http.ts'
import { type Moment, moment } from './time.ts'
import type { TokenRenewals } from './token-renewals.ts'

export interface TokensOptions {
  readonly http: Http
  readonly credential: string | undefined
  readonly renewToken: ((jobId: string) => Promise<string> | string) | undefined
  /** A job has a new token before its old one expired. */
  readonly changed: (jobId: string) => void
}

export interface KeptToken {
  readonly token: string
  /** `fresh`: issued just now. `given`: by the page, whenever it was issued. */
  readonly origin: 'fresh' | 'given'
  readonly since: Moment
}

/** Tokens that are kept: those of the jobs last submitted or watched. */
const KEPT = 1000
/** Job tokens: what `submit` returned or `watch` was given, renewed in time for the jobs that are watched. */
export class Tokens {
  readonly #options: TokensOptions
  readonly #tokens = new Map<string, KeptToken>()
  readonly #watched = new Set<string>()
  #renewals: TokenRenewals | null = null

  constructor(options: TokensOptions) {
    this.#options = options
  }

  get(jobId: string): string | undefined {
    return this.#tokens.get(jobId)?.token
  }

  kept(jobId: string): KeptToken | undefined {
    return this.#tokens.get(jobId)
  }

  keep(jobId: string, token: string, origin: KeptToken['origin']): void {
    // The same again is no younger.
    const known = this.#tokens.get(jobId)
    const kept = known?.token === token ? known : { token, origin, since: moment() }
    this.#tokens.delete(jobId)
    this.#tokens.set(jobId, kept)
    for (const oldest of this.#tokens.keys()) {
      if (this.#tokens.size <= KEPT) break
      if (oldest !== jobId && !this.#watched.has(oldest)) this.#tokens.delete(oldest)
    }
    if (this.#watched.has(jobId)) this.watched(jobId)
  }

  /** The job is watched: its token must not expire. */
  watched(jobId: string): void {
    this.#watched.add(jobId)
    if (this.#renewals !== null) this.#renewals.plan(jobId)
    else if (this.#tokens.has(jobId)) void this.#renewInTime(jobId)
  }

  unwatched(jobId: string): void {
    this.#watched.delete(jobId)
    this.#renewals?.end(jobId)
  }

  /**
   * Gets a token: from the user's `renewToken`, else from the server, which asks for an API key or a token that is still
   * good. Where the client has neither it may be asked through an app that knows who is signed in. False where none is
   * given; rejects where that could not be found out now.
   */
  async renew(jobId: string): Promise<boolean> {
    const { http, credential = this.get(jobId), renewToken } = this.#options
    try {
      if (renewToken !== undefined) this.keep(jobId, await renewToken(jobId), 'fresh')
      else {
        const call = { method: 'POST', credential } as const
        const { token } = await http.json<{ token: string }>(jobPath(jobId, '/token'), call)
        this.keep(jobId, token, 'fresh')
      }
      return true
    } catch (error) {
      if (error instanceof JobcastError && mayPass(error)) throw error
      return false
    }
  }

  /** Has the token of a watched job renewed in time, once the code for that is there. */
  async #renewInTime(jobId: string): Promise<void> {
    try {
      const { TokenRenewals } = await import('./token-renewals.ts')
      this.#renewals ??= new TokenRenewals(this.#options, this)
    } catch {
      // Then the server refuses it when it has expired, which is answered by renewing as well.
    }
    if (this.#watched.has(jobId)) this.#renewals?.plan(jobId)
  }
}
