import { createHash, timingSafeEqual } from 'node:crypto'

/** Role of an API key; each includes the ones before it. */
export const ROLES = ['read', 'submit', 'admin'] as const
export type Role = (typeof ROLES)[number]

export interface ApiKey {
  readonly name: string
  readonly role: Role
  readonly key: string
}

/** What a job token lets its bearer do with its one job. */
type TokenRights = 'watch' | 'control'

/** Who is calling. Without API keys everyone is `anyone` and may do everything. */
export type Caller =
  | { readonly kind: 'anyone' }
  | { readonly kind: 'key'; readonly name: string; readonly role: Role }
  | {
      readonly kind: 'token'
      readonly jobId: string
      readonly rights: TokenRights
      readonly expiresAt: number
    }

/** `unauthorized` is a missing, forged or expired credential; `expired` singles out a job token that once was good. */
export type Identified =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly expired: boolean }

/** Reading includes watching. `issue` makes a fresh job token. */
export type JobAction = 'read' | 'cancel' | 'retry' | 'remove' | 'issue'
export type StoreAction = 'read' | 'submit' | 'admin'
export type Permission = 'allowed' | 'forbidden' | 'not_found'

/** Only where keys are asked for are there tokens. */
let loading: Promise<typeof import('jose')> | undefined
function loadJose(): Promise<typeof import('jose')> {
  loading ??= import('jose')
  return loading
}

/** API keys and job tokens: who is calling, and what they may do. Tokens are JWTs (RFC 7519) signed with HS256. */
export class Auth {
  /** Whether credentials are asked for at all. */
  readonly enabled: boolean
  readonly #keys: readonly { readonly name: string; readonly role: Role; readonly digest: Buffer }[]
  readonly #secret: Uint8Array
  readonly #tokenTtlMs: number

  constructor(options: { keys: readonly ApiKey[]; secret: string; tokenTtlMs: number }) {
    this.enabled = options.keys.length > 0
    this.#keys = options.keys.map(({ name, role, key }) => ({ name, role, digest: digest(key) }))
    this.#secret = new TextEncoder().encode(options.secret)
    this.#tokenTtlMs = options.tokenTtlMs
  }

  /** `credential` is an API key or a job token, without `Bearer`. */
  async identify(credential: string | undefined): Promise<Identified> {
    if (!this.enabled) return { ok: true, caller: { kind: 'anyone' } }
    if (credential === undefined || credential === '') return { ok: false, expired: false }
    const key = this.#findKey(credential)
    if (key !== undefined) return { ok: true, caller: { kind: 'key', name: key.name, role: key.role } }
    return this.#readToken(credential)
  }

  /** A job token; without API keys there are none, and null is returned. */
  async issue(caller: Caller, jobId: string): Promise<string | null> {
    if (!this.enabled) return null
    const { SignJWT } = await loadJose()
    const now = Date.now()
    return (
      new SignJWT({ job: jobId, rights: rightsOf(caller) })
        .setProtectedHeader({ alg: 'HS256' })
        // In fractions of a second (RFC 7519 section 2, NumericDate): rounding would take up to a second off its life.
        .setIssuedAt(now / 1000)
        .setExpirationTime((now + this.#tokenTtlMs) / 1000)
        .sign(this.#secret)
    )
  }

  // Every digest is compared, so that the time tells nothing about which key was near.
  #findKey(credential: string) {
    const given = digest(credential)
    let found: { readonly name: string; readonly role: Role } | undefined
    for (const key of this.#keys) if (timingSafeEqual(key.digest, given)) found = key
    return found
  }

  async #readToken(credential: string): Promise<Identified> {
    const { errors, jwtVerify } = await loadJose()
    try {
      const { payload } = await jwtVerify(credential, this.#secret, {
        algorithms: ['HS256'],
        requiredClaims: ['exp'],
      })
      const { job, rights, exp } = payload
      if (typeof job !== 'string' || exp === undefined) return { ok: false, expired: false }
      if (rights !== 'watch' && rights !== 'control') return { ok: false, expired: false }
      const expiresAt = exp * 1000
      if (expiresAt <= Date.now()) return { ok: false, expired: true }
      return { ok: true, caller: { kind: 'token', jobId: job, rights, expiresAt } }
    } catch (error) {
      return { ok: false, expired: error instanceof errors.JWTExpired }
    }
  }
}

/** What a caller may do with one job; another's job does not exist for a token. */
export function mayOnJob(caller: Caller, action: JobAction, jobId: string): Permission {
  if (caller.kind === 'anyone') return 'allowed'
  if (caller.kind === 'key') {
    const needed: Role =
      action === 'read' || action === 'issue' ? 'read' : action === 'remove' ? 'admin' : 'submit'
    return includes(caller.role, needed) ? 'allowed' : 'forbidden'
  }
  if (caller.jobId !== jobId) return 'not_found'
  if (action === 'read' || action === 'issue') return 'allowed'
  return action === 'cancel' && caller.rights === 'control' ? 'allowed' : 'forbidden'
}

/** What a caller may do beyond one job. */
export function mayOnStore(caller: Caller, action: StoreAction): Permission {
  if (caller.kind === 'anyone') return 'allowed'
  if (caller.kind === 'token') return 'forbidden'
  return includes(caller.role, action) ? 'allowed' : 'forbidden'
}

function rightsOf(caller: Caller): TokenRights {
  if (caller.kind === 'token') return caller.rights
  return caller.kind === 'key' && caller.role === 'read' ? 'watch' : 'control'
}

function includes(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
