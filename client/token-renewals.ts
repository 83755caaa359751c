import { isRecord } from './http.ts'
import { type Moment, moment, msSince, type Timer } from './time.ts'
import type { Tokens, TokensOptions } from './tokens.ts'

/** How much of a token's life is left when a new one is asked for. */
const RENEWED_WITH = 0.2
/** Between two attempts to get a new one, unless tokens live for less. */
const RENEW_AGAIN_MS = 10_000
/** How often it is looked whether it is time: a machine may have slept in between, and its timers with it. */
const LOOK_MS = 10 * 60_000
const SOON_MS = 100

/** Renews the tokens of watched jobs before they expire. It is loaded with the first token: where calls need none, never. */
export class TokenRenewals {
  readonly #options: TokensOptions
  readonly #tokens: Tokens
  /** Each job has one, which runs until its token is renewed or looked at again. */
  readonly #timers = new Map<string, Timer>()

  constructor(options: TokensOptions, tokens: Tokens) {
    this.#options = options
    this.#tokens = tokens
  }

  /** The job is watched, or has another token. */
  plan(jobId: string): void {
    this.#wait(jobId, 0, moment())
  }

  end(jobId: string): void {
    clearTimeout(this.#timers.get(jobId))
    this.#timers.delete(jobId)
  }

  /** Waits until it is time to renew the token, and until `floorMs` after `from`. */
  #wait(jobId: string, floorMs: number, from: Moment): void {
    clearTimeout(this.#timers.get(jobId))
    const dueInMs = Math.max(this.#dueInMs(jobId), floorMs - msSince(from))
    const look = () => {
      if (dueInMs <= SOON_MS) void this.#renewAhead(jobId)
      else this.#wait(jobId, floorMs, from)
    }
    // What is known of the server's time may become better meanwhile.
    this.#timers.set(jobId, setTimeout(look, dueInMs <= SOON_MS ? dueInMs : Math.min(dueInMs / 2, LOOK_MS)))
  }

  /** Infinity where nothing is known of its life. */
  #dueInMs(jobId: string): number {
    const kept = this.#tokens.kept(jobId)
    const life = lifeOf(kept?.token)
    if (kept === undefined || life === null) return Number.POSITIVE_INFINITY
    const { clock } = this.#options.http
    const agedMs = msSince(kept.since)
    // Whatever the clocks say, no more than its life is left, and of one that was issued just now all of it.
    const atMostMs = life.lengthMs - agedMs
    const isDated = Number.isFinite(life.lengthMs)
    const isCounted = isDated && kept.origin === 'fresh' && !clock.isKnown
    const leftMs = isCounted ? atMostMs : Math.min(atMostMs, life.expiresAt - clock.now())
    return leftMs - RENEWED_WITH * (isDated ? life.lengthMs : leftMs + agedMs)
  }

  async #renewAhead(jobId: string): Promise<void> {
    // Where that does not work out the server will refuse the old one, which is answered by renewing as well.
    const renewed = await this.#tokens.renew(jobId).catch(() => false)
    if (!this.#timers.has(jobId)) return
    if (renewed) this.#options.changed(jobId)
    const lengthMs = lifeOf(this.#tokens.get(jobId))?.lengthMs ?? RENEW_AGAIN_MS
    this.#wait(jobId, Math.min(RENEW_AGAIN_MS, lengthMs / 2), moment())
  }
}

interface Life {
  /** Its end in ms since 1970, by the server's clock. */
  readonly expiresAt: number
  /** Infinity: not known. */
  readonly lengthMs: number
}

/** What `exp` and `iat` of a JWT say (RFC 7519 sections 4.1.4 and 4.1.6); null for any other token. */
function lifeOf(token: string | undefined): Life | null {
  const claims = token?.split('.')[1]
  if (claims === undefined) return null
  try {
    const payload: unknown = JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/')))
    if (!isRecord(payload) || typeof payload.exp !== 'number') return null
    const { exp, iat } = payload
    return {
      expiresAt: exp * 1000,
      lengthMs: typeof iat === 'number' ? (exp - iat) * 1000 : Number.POSITIVE_INFINITY,
    }
  } catch {
    return null
  }
}
