import { z } from 'zod'
import { TypeName } from '../shared/api.ts'
import { type ApiKey, ROLES } from './auth/auth.ts'
import { isLoopback, normalOrigin } from './auth/origin.ts'
import { isTrustable, normalPath, TRUSTED_BY_DEFAULT, type TrustProxy } from './auth/reach.ts'
import { parseRedisAddress } from './engine/redis/server.ts'

/** Version of the package; a test holds it to package.json. */
export const VERSION = '0.1.0'

/** Everything that can be set from outside. Times in ms, sizes in bytes. */
export interface Config {
  readonly port: number
  /** Whether `PORT` was set: a worker serves its health page only then. */
  readonly portGiven: boolean
  readonly host: string
  readonly store:
    | { readonly kind: 'redis'; readonly url: string; readonly prefix: string }
    | { readonly kind: 'sqlite'; readonly folder: string }
  readonly role: 'all' | 'api' | 'worker'
  readonly maxBytes: number
  /** Path of an ES module with job definitions. */
  readonly jobsModule: string | null
  readonly defaultType: string | null
  readonly concurrency: number
  readonly leaseMs: number
  readonly drainMs: number
  /** How long the handlers of all slots may hang before the process ends; null: for ever. */
  readonly hungExitMs: number | null
  readonly retainMs: number
  readonly cancelGraceMs: number
  readonly apiKeys: readonly ApiKey[]
  readonly tokenTtlMs: number
  readonly tokenSecret: string | null
  /** Exact origins besides the server's own. */
  readonly allowedOrigins: readonly string[]
  /** Request headers that pages of those origins may send besides the protocol's own; `*`: any. */
  readonly allowedHeaders: readonly string[]
  /** Path that every address of this server begins with, such as `/jobs`; empty: none. */
  readonly basePath: string
  /** Proxies whose `X-Forwarded-…` headers count. */
  readonly trustProxy: TrustProxy
  readonly logLevel: (typeof LOG_LEVELS)[number]
}

/** A variable that cannot be used; the message is one line that names it and shows no secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
const DAY_MS = 24 * 60 * 60 * 1000
const YEAR_MS = 365 * DAY_MS
function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^\d{1,15}$/, { error })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error })
}

function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, { error: `must be one of ${values.join(', ')}` })
}

const API_KEY = /^([^:]+):([^:]+):(.+)$/
const apiKey = z
  .string()
  .transform((entry) => API_KEY.exec(entry)?.slice(1))
  .pipe(
    z.tuple([z.string(), z.enum(ROLES), z.string()], {
      error: `every entry must be name:role:key, the role one of ${ROLES.join(', ')}`,
    }),
  )
  .transform(([name, role, key]): ApiKey => ({ name, role, key }))

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
)

const origin = z.string().refine((text) => normalOrigin(text) !== null, {
  error: 'every entry must be an origin such as https://example.com',
})

/** What tracers and fetching libraries add by themselves; a page cannot call where one of its headers is refused. */
const USUAL_HEADERS = [
  'Cache-Control',
  'Pragma',
  'X-Requested-With',
  'X-Request-ID',
  'traceparent',
  'tracestate',
  'baggage',
  'sentry-trace',
]

/** RFC 9110 section 5.1. */
const headerName = z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/, {
  error: 'every entry must be the name of a header such as X-Tenant, or *',
})

const basePath = z.string().transform((text, context) => {
  const path = normalPath(text)
  if (path !== null) return path
  context.addIssue('must be a path such as /jobs, in letters, digits, dots, dashes, underscores and tildes')
  return z.NEVER
})

const trustProxy = z.union([
  z.stringbool({ truthy: ['true'], falsy: ['false'] }),
  list.pipe(
    z.array(
      z.string().refine(isTrustable, {
        error:
          'must be true, false, or addresses and networks such as 10.0.0.0/8, loopback, linklocal and uniquelocal',
      }),
    ),
  ),
])

const redisUrl = z.string().refine((text) => parseRedisAddress(text) !== null, {
  error:
    'must be an address such as redis://localhost:6379 or redis+sentinel://host:26379,host:26379/master, at most with a user, a password and a database number',
})

const Environment = z.object({
  PORT: whole(0, 65_535).optional(),
  HOST: z.string().default('127.0.0.1'),
  REDIS_URL: redisUrl.optional(),
  JOBCAST_DATA: z.string().default('.data'),
  JOBCAST_MAX_BYTES: whole(1024, 512 * 1024 * 1024).default(8 * 1024 * 1024),
  JOBCAST_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, { error: 'must be 1–64 letters, digits, dots, dashes or underscores' })
    .default('jobcast'),
  JOBCAST_ROLE: oneOf(['all', 'api', 'worker']).default('all'),
  JOBCAST_JOBS: z.string().optional(),
  JOBCAST_DEFAULT_TYPE: TypeName.optional(),
  JOBCAST_CONCURRENCY: whole(1, 10_000).default(10),
  JOBCAST_LEASE_MS: whole(1000, DAY_MS).default(15_000),
  JOBCAST_DRAIN_MS: whole(0, DAY_MS).default(10_000),
  JOBCAST_HUNG_EXIT_MS: whole(0, DAY_MS).optional(),
  JOBCAST_RETAIN_MS: whole(1000, YEAR_MS).default(DAY_MS),
  JOBCAST_API_KEYS: list
    .pipe(z.array(apiKey))
    .refine((keys) => unique(keys.map(({ name }) => name)), { error: 'every name must be another' })
    .refine((keys) => unique(keys.map(({ key }) => key)), { error: 'every key must be another' })
    .default([]),
  JOBCAST_TOKEN_TTL_MS: whole(1000, YEAR_MS).default(7 * DAY_MS),
  JOBCAST_CANCEL_GRACE_MS: whole(0, DAY_MS).default(5000),
  JOBCAST_TOKEN_SECRET: z.string().min(16, { error: 'must have at least 16 characters' }).optional(),
  JOBCAST_ALLOWED_ORIGINS: list.pipe(z.array(origin)).default([]),
  JOBCAST_ALLOWED_HEADERS: list.pipe(z.array(headerName)).default(USUAL_HEADERS),
  JOBCAST_BASE_PATH: basePath.default(''),
  JOBCAST_TRUST_PROXY: trustProxy.default([...TRUSTED_BY_DEFAULT]),
  JOBCAST_LOG: oneOf(LOG_LEVELS).default('info'),
})

/** Every variable that is read, as the documents list them. */
export const VARIABLES = Object.keys(Environment.shape)

function unique(texts: readonly string[]): boolean {
  return new Set(texts).size === texts.length
}

/** Reads the configuration, empty variables counting as unset. Throws `ConfigError`. */
export function readConfig(environment: Record<string, string | undefined> = process.env): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  )
  // Compiling a schema pays for itself only when it is used again.
  const parsed = Environment.safeParse(given, { jitless: true })
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new ConfigError(`${String(issue?.path[0])} ${issue?.message}`)
  }
  const env = parsed.data
  if (env.REDIS_URL === undefined && env.JOBCAST_ROLE !== 'all') {
    throw new ConfigError(
      `JOBCAST_ROLE ${env.JOBCAST_ROLE} needs REDIS_URL: the embedded engine serves one process only`,
    )
  }
  if (env.JOBCAST_API_KEYS.length === 0 && env.JOBCAST_ROLE !== 'worker' && !isLoopback(env.HOST)) {
    throw new ConfigError(
      `HOST ${env.HOST} is reachable from other machines: set JOBCAST_API_KEYS, or use 127.0.0.1`,
    )
  }
  return {
    port: env.PORT ?? 3000,
    portGiven: env.PORT !== undefined,
    host: env.HOST,
    store:
      env.REDIS_URL === undefined
        ? { kind: 'sqlite', folder: env.JOBCAST_DATA }
        : { kind: 'redis', url: env.REDIS_URL, prefix: env.JOBCAST_PREFIX },
    role: env.JOBCAST_ROLE,
    maxBytes: env.JOBCAST_MAX_BYTES,
    jobsModule: env.JOBCAST_JOBS ?? null,
    defaultType: env.JOBCAST_DEFAULT_TYPE ?? null,
    concurrency: env.JOBCAST_CONCURRENCY,
    leaseMs: env.JOBCAST_LEASE_MS,
    drainMs: env.JOBCAST_DRAIN_MS,
    hungExitMs: env.JOBCAST_HUNG_EXIT_MS ?? null,
    retainMs: env.JOBCAST_RETAIN_MS,
    cancelGraceMs: env.JOBCAST_CANCEL_GRACE_MS,
    apiKeys: env.JOBCAST_API_KEYS,
    tokenTtlMs: env.JOBCAST_TOKEN_TTL_MS,
    tokenSecret: env.JOBCAST_TOKEN_SECRET ?? null,
    allowedOrigins: env.JOBCAST_ALLOWED_ORIGINS,
    allowedHeaders: env.JOBCAST_ALLOWED_HEADERS,
    basePath: env.JOBCAST_BASE_PATH,
    trustProxy: env.JOBCAST_TRUST_PROXY,
    logLevel: env.JOBCAST_LOG,
  }
}
