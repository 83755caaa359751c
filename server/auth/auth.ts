import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { normalOrigin } from './origin.ts'
import type { Reach } from './reach.ts'

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

/** What a job token is made of. */
export interface JobTokenScope {
  readonly jobId: string
  /** `watch` lets its bearer read and watch the job, `control` cancel it as well. */
  readonly rights: TokenRights
  /** How long it is good for, in ms; left out: as long as the server's others (`tokenTtlMs`). */
  readonly ttlMs?: number
}

/** Who is calling. Where nobody is asked who they are, everyone is `anyone` and may do everything. */
export type Caller =
  | { readonly kind: 'anyone' }
  | { readonly kind: 'key'; readonly name: string; readonly role: Role }
  /** Whom `authorize` has let in; the name is empty where it gave none. */
  | { readonly kind: 'user'; readonly name: string; readonly role: Role }
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

/** What an app says of a caller whom it knows: what they may do and, for the memory of their `Idempotency-Key`s, who they are. */
export interface Authorized {
  readonly role: Role
  readonly name?: string
}

/**
 * Asked about every call and WebSocket that brings no API key or job token: an app that has users of its own says here what
 * they may do, by a cookie or header of the request (which comes without its body). Null: this caller is nobody, which is
 * answered 401. What it throws is logged and answered 500, and so is one that has not answered within 10 s.
 */
export type Authorize = (
  request: Request,
) => Authorized | null | undefined | Promise<Authorized | null | undefined>

/** Only where credentials are asked for are there tokens. */
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
  readonly #authorize: Authorize | null

  constructor(options: {
    keys: readonly ApiKey[]
    secret: string
    tokenTtlMs: number
    authorize?: Authorize | null
  }) {
    this.#authorize = options.authorize ?? null
    this.enabled = options.keys.length > 0 || this.#authorize !== null
    this.#keys = options.keys.map(({ name, role, key }) => ({ name, role, digest: digest(key) }))
    this.#secret = new TextEncoder().encode(options.secret)
    this.#tokenTtlMs = options.tokenTtlMs
  }

  /**
   * `credential` is an API key or a job token, without `Bearer`. `request` is made where it is neither, and the app is to say
   * who it is; left out, it is not asked. Rejects with what the app throws.
   */
  async identify(credential: string | undefined, request?: () => Request): Promise<Identified> {
    if (!this.enabled) return { ok: true, caller: { kind: 'anyone' } }
    const identified = await this.#ownCredential(credential)
    if (identified.ok || identified.expired || this.#authorize === null || request === undefined)
      return identified
    const caller = userOf(await inTime(this.#authorize(request())))
    return caller === null ? identified : { ok: true, caller }
  }

  /** A job token with the rights of its caller; where no credentials are asked for there are none, and null is returned. */
  async issue(caller: Caller, jobId: string): Promise<string | null> {
    return this.enabled ? this.sign({ jobId, rights: rightsOf(caller), ttlMs: this.#tokenTtlMs }) : null
  }

  /** A job token. `ttlMs` is how long it is good for; left out: as long as others. */
  async sign({ jobId, rights, ttlMs = this.#tokenTtlMs }: JobTokenScope): Promise<string> {
    const { SignJWT } = await loadJose()
    const now = Date.now()
    return (
      new SignJWT({ job: jobId, rights })
        .setProtectedHeader({ alg: 'HS256' })
        // In fractions of a second (RFC 7519 section 2, NumericDate): rounding would take up to a second off its life.
        .setIssuedAt(now / 1000)
        .setExpirationTime((now + ttlMs) / 1000)
        .sign(this.#secret)
    )
  }

  async #ownCredential(credential: string | undefined): Promise<Identified> {
    if (credential === undefined || credential === '') return { ok: false, expired: false }
    const key = this.#findKey(credential)
    if (key !== undefined) return { ok: true, caller: { kind: 'key', name: key.name, role: key.role } }
    return this.#readToken(credential)
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
  if (caller.kind !== 'token') {
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
  return caller.kind !== 'anyone' && caller.role === 'read' ? 'watch' : 'control'
}

/** What an app's own function says comes from outside: nothing that it may return by mistake lets anybody in. */
/** How long `authorize` may take, in ms: no caller waits for ever. */
const AUTHORIZE_MS = 10_000

async function inTime<T>(answer: T | PromiseLike<T>): Promise<T> {
  if (typeof answer !== 'object' || answer === null || !('then' in answer)) return answer
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const error = new Error(`authorize did not answer within ${AUTHORIZE_MS} ms`)
    timer = setTimeout(() => reject(error), AUTHORIZE_MS)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

function userOf(authorized: Authorized | null | undefined): Caller | null {
  if (authorized === null || authorized === undefined) return null
  const { role, name = '' } = authorized
  if (!ROLES.includes(role) || typeof name !== 'string') {
    throw new TypeError(`authorize must return null or { role, name }, the role one of ${ROLES.join(', ')}`)
  }
  return { kind: 'user', name, role }
}

function includes(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** A request of `node:http` as `authorize` is given it, without its body: to the origin that a trusted proxy was asked for. */
export function requestOf(
  incoming: IncomingMessage & { readonly originalUrl?: unknown },
  reach: Reach,
): Request {
  const { headers, socket, method = 'GET', url = '/', originalUrl = url } = incoming
  const own = 'encrypted' in socket && socket.encrypted ? 'https' : 'http'
  const said = reach.forwarded(incoming)
  const origin = `${said.scheme ?? own}://${said.host ?? headers.host ?? 'localhost'}`
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, one]),
  )
  // Whatever it is called, it is to be judged.
  const base = normalOrigin(origin) ?? `${own}://localhost`
  return new Request(`${base}${originalUrl}`, { method, headers: lines })
}
