import { z } from 'zod'
import { TypeName } from '../shared/api.ts'
import { findingsOf } from '../shared/words.ts'
import { type ApiKey, type Authorize, ROLES } from './auth/auth.ts'
import { isLoopback, normalPattern } from './auth/origin.ts'
import { isTrustable, normalPath, TRUSTED_BY_DEFAULT, type TrustProxy } from './auth/reach.ts'
import type { EngineAddress } from './engine/open.ts'
import { parseRedisAddress } from './engine/redis/server.ts'
import { nearestNames } from './jobs/nearest.ts'

/** Version of the package; a test holds it to package.json. */
export const VERSION = '0.1.0'

/**
 * Where jobs are stored: in Redis, which any number of processes share, in a folder that one process has for itself, or in
 * the process's memory, for as long as the server runs.
 */
export type Store =
  | {
      /** `redis://` or `redis+sentinel://`, with user, password and database where needed. */
      readonly redis: string
      /** In front of all keys and channels, so that several can share one Redis; `jobcast` where it is left out. */
      readonly prefix?: string
    }
  | {
      /** The path of a folder, made where there is none. */
      readonly sqlite: string
    }
  | 'memory'

/**
 * What may be set of a server. Times in ms, sizes in bytes. Each is a variable of the environment as well, for `npm start` and
 * `jobcast start`: `maxBytes` is `JOBCAST_MAX_BYTES`, and its text goes here, too.
 */
export interface Settings {
  /** `all` (where it is left out), `api` (takes and tells of jobs, runs none) or `worker` (runs jobs, serves probes only). */
  readonly role?: 'all' | 'api' | 'worker'
  /** In front of every address: with `/jobs` the API is at `/jobs/api`, the page at `/jobs/`. Nothing where it is left out. */
  readonly basePath?: string
  /** Whether the page is served; it is where that is left out. */
  readonly dashboard?: boolean
  /** Of a payload's JSON; a batch may have twice as much. 8 MiB where it is left out. */
  readonly maxBytes?: number
  /** The type of a submission in the classic form (`POST /api/jobs/submit`) that names none. */
  readonly defaultType?: string
  /** How many jobs run at once in this process; 10 where it is left out. */
  readonly concurrency?: number
  /** How long after the death of a process its jobs are taken back; 15 s where it is left out. */
  readonly leaseMs?: number
  /** How long handlers may go on when the server stops, before their jobs are given back; 10 s where it is left out. */
  readonly drainMs?: number
  /** How long finished jobs are kept, where neither type nor submission says otherwise; a day where it is left out. */
  readonly retainMs?: number
  /** How long handlers may take to end once they are cancelled; 5 s where it is left out. */
  readonly cancelGraceMs?: number
  /** Who may call. With none, and without `authorize`, everybody may, and only names of this machine are answered. */
  readonly apiKeys?: string | readonly (ApiKey | string)[]
  /** How long a job token is good for; a week where it is left out. */
  readonly tokenTtlMs?: number
  /** What job tokens are signed with, 16 characters at least; the store keeps one where it is left out. */
  readonly tokenSecret?: string
  /** Origins, besides the server's own, of pages that may call: exact ones, or of any port (`http://localhost:*`). */
  readonly allowedOrigins?: string | readonly string[]
  /** Request headers that pages of those origins may send besides the protocol's own; `*`: any. */
  readonly allowedHeaders?: string | readonly string[]
  /** Proxies whose `X-Forwarded-…` headers count: those on this machine where it is left out. */
  readonly trustProxy?: string | TrustProxy
}

/** A server's settings, all of them, checked. */
export interface Config {
  readonly store: EngineAddress
  readonly role: 'all' | 'api' | 'worker'
  /** Empty, or `/jobs`: without a slash at its end. */
  readonly basePath: string
  readonly dashboard: boolean
  readonly maxBytes: number
  readonly defaultType: string | null
  readonly concurrency: number
  readonly leaseMs: number
  readonly drainMs: number
  readonly retainMs: number
  readonly cancelGraceMs: number
  readonly apiKeys: readonly ApiKey[]
  readonly authorize: Authorize | null
  readonly tokenTtlMs: number
  readonly tokenSecret: string | null
  readonly allowedOrigins: readonly string[]
  readonly allowedHeaders: readonly string[]
  readonly trustProxy: TrustProxy
  /** Whether they are options of a call, rather than variables of the environment. */
  readonly embedded: boolean
  /** What the settings are called where they were made, for messages that say which to change. */
  readonly named: Named
}

/** What can be set of the process of `npm start` besides. */
export interface ProcessConfig extends Config {
  readonly port: number
  /** Whether `PORT` was set: a worker serves its health page only then. */
  readonly portGiven: boolean
  readonly host: string
  /** Paths of jobs files. */
  readonly jobsFiles: readonly string[]
  /** How long the handlers of all slots may hang before the process ends; null: for ever. */
  readonly hungExitMs: number | null
  readonly logLevel: (typeof LOG_LEVELS)[number]
}

/** A setting that cannot be used; the message is one line that names it and shows no secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

type Setting = keyof Settings | 'host' | 'port' | 'redis' | 'prefix' | 'sqlite'

/** The name of a setting: of an option where a program made it, of a variable where the environment did. */
export type Named = (setting: Setting) => string

const inOptions: Named = (setting) =>
  setting === 'redis' || setting === 'prefix' || setting === 'sqlite' ? `store.${setting}` : setting

/** Of a call that says of the store no more than where its Redis is. */
export const inClientOptions: Named = (setting) => setting

const VARIABLE_OF: Partial<Record<Setting, string>> = {
  host: 'HOST',
  port: 'PORT',
  redis: 'REDIS_URL',
  sqlite: 'JOBCAST_DATA',
}

const inEnvironment: Named = (setting) =>
  VARIABLE_OF[setting] ?? `JOBCAST_${setting.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
const DAY_MS = 24 * 60 * 60 * 1000
const YEAR_MS = 365 * DAY_MS

/** A number, or the text of one. */
function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  return z
    .union(
      [
        z.int(),
        z
          .string()
          .regex(/^\d{1,15}$/)
          .transform(Number),
      ],
      { error },
    )
    .refine((value) => value >= min && value <= max, { error })
}

function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, { error: `must be one of ${values.join(', ')}` })
}

const API_KEY = /^([^:]+):([^:]+):(.+)$/
/** Schemas are made when they are first needed: whoever declares jobs imports this, and needs none. */
function once<Made>(make: () => Made): () => Made {
  let made: Made | undefined
  return () => {
    made ??= make()
    return made
  }
}

const apiKey = () =>
  z
    .union([
      z.string().transform((entry) => {
        const [, name, role, key] = API_KEY.exec(entry) ?? []
        return { name, role, key }
      }),
      z.unknown(),
    ])
    .pipe(
      z.strictObject(
        { name: z.string().regex(/^[^:]+$/), role: z.enum(ROLES), key: z.string().min(1) },
        { error: 'is none' },
      ),
    )

/** Entries, or their text with commas between them. */
const list = () =>
  z.union(
    [
      z.array(z.unknown()),
      z.string().transform((text) =>
        text
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== ''),
      ),
    ],
    { error: 'must be a list' },
  )

const origin = () => z.string().refine((text) => normalPattern(text) !== null)

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
const headerName = () => z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/)

function listOf<Entry extends z.ZodType>(entry: Entry, error: string) {
  return list().transform((entries, context): z.output<Entry>[] => {
    const parsed = z.array(entry).safeParse(entries)
    if (parsed.success) return parsed.data
    context.issues.push({ code: 'custom', message: error, input: entries })
    return z.NEVER
  })
}

const basePath = () =>
  z.string().transform((text, context) => {
    const path = normalPath(text)
    if (path !== null) return path
    context.addIssue('must be a path such as /jobs, in letters, digits, dots, dashes, underscores and tildes')
    return z.NEVER
  })

const trusted =
  'must be true, false, or addresses and networks such as 10.0.0.0/8, loopback, linklocal and uniquelocal'
const trustProxy = () =>
  z.union(
    [
      z.boolean(),
      z.stringbool({ truthy: ['true'], falsy: ['false'] }),
      listOf(z.string().refine(isTrustable), trusted),
    ],
    { error: trusted },
  )

const settingsSchema = once(() =>
  z.object({
    role: oneOf(['all', 'api', 'worker']).default('all'),
    basePath: basePath().default(''),
    dashboard: z.union([z.boolean(), z.stringbool()], { error: 'must be true or false' }).default(true),
    maxBytes: whole(1024, 512 * 1024 * 1024).default(8 * 1024 * 1024),
    defaultType: TypeName.optional(),
    concurrency: whole(1, 10_000).default(10),
    leaseMs: whole(1000, DAY_MS).default(15_000),
    drainMs: whole(0, DAY_MS).default(10_000),
    retainMs: whole(1000, YEAR_MS).default(DAY_MS),
    cancelGraceMs: whole(0, DAY_MS).default(5000),
    apiKeys: listOf(apiKey(), `every entry must be name:role:key, the role one of ${ROLES.join(', ')}`)
      .refine((keys) => unique(keys.map(({ name }) => name)), { error: 'every name must be another' })
      .refine((keys) => unique(keys.map(({ key }) => key)), { error: 'every key must be another' })
      .default([]),
    tokenTtlMs: whole(1000, YEAR_MS).default(7 * DAY_MS),
    tokenSecret: z.string().min(16, { error: 'must have at least 16 characters' }).optional(),
    allowedOrigins: listOf(origin(), 'every entry must be an origin such as https://example.com').default([]),
    allowedHeaders: listOf(
      headerName(),
      'every entry must be the name of a header such as X-Tenant, or *',
    ).default(USUAL_HEADERS),
    trustProxy: trustProxy().default([...TRUSTED_BY_DEFAULT]),
  } satisfies Record<keyof Settings, z.ZodType>),
)
const settingNames = () => z.keyof(settingsSchema()).options

const redis = once(() =>
  z.custom<string>((text) => typeof text === 'string' && parseRedisAddress(text) !== null, {
    error:
      'must be an address such as redis://localhost:6379 or redis+sentinel://host:26379,host:26379/master, at most with a user, a password and a database number',
  }),
)
const prefix = once(() =>
  z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, { error: 'must be 1–64 letters, digits, dots, dashes or underscores' })
    .default('jobcast'),
)
const sqlite = once(() => z.string().min(1, { error: 'must be the path of a folder' }))

/** What only a process of its own reads. */
const processSchema = once(() =>
  z.object({
    PORT: whole(0, 65_535).optional(),
    HOST: z.string().default('127.0.0.1'),
    REDIS_URL: redis().optional(),
    JOBCAST_DATA: sqlite().default('.data'),
    JOBCAST_PREFIX: prefix(),
    JOBCAST_JOBS: listOf(z.string(), 'must be paths of jobs files').default([]),
    JOBCAST_HUNG_EXIT_MS: whole(0, DAY_MS).optional(),
    JOBCAST_LOG: oneOf(LOG_LEVELS).default('info'),
  }),
)

/** Every variable that is read, as the documents list them. */
export function variables(): string[] {
  return [...z.keyof(processSchema()).options, ...settingNames().map(inEnvironment)]
}

function unique(texts: readonly string[]): boolean {
  return new Set(texts).size === texts.length
}

/** What `createJobServer` was called with. Throws `ConfigError`. */
export function checkSettings(
  settings: Settings & { readonly store?: Store | undefined; readonly authorize?: Authorize | undefined },
  named: Named = inOptions,
): Config {
  const { store = { sqlite: '.data' }, authorize, ...others } = settings
  const names = settingNames()
  for (const name of Object.keys(others)) {
    if (names.some((known) => known === name)) continue
    const [meant] = nearestNames(name, [...names, 'store', 'jobs', 'authorize', 'log'])
    throw new ConfigError(
      `there is no option ${name}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    )
  }
  if (authorize !== undefined && typeof authorize !== 'function')
    throw new ConfigError('authorize must be a function')
  return toConfig(others, addressOf(store, named), authorize ?? null, named)
}

/** The border: whoever writes JavaScript may have said anything. */
function addressOf(store: unknown, named: Named): EngineAddress {
  if (store === 'memory') return { kind: 'memory' }
  const redisStore = z
    .strictObject({ redis: z.unknown(), prefix: z.unknown().optional() })
    .safeParse(store, { jitless: true })
  if (redisStore.success && redisStore.data.redis !== undefined) {
    const url = parse(redis(), redisStore.data.redis, named('redis'))
    return { kind: 'redis', url, prefix: parse(prefix(), redisStore.data.prefix, named('prefix')) }
  }
  const folder = z.strictObject({ sqlite: z.unknown() }).safeParse(store, { jitless: true })
  if (folder.success) return { kind: 'sqlite', folder: parse(sqlite(), folder.data.sqlite, named('sqlite')) }
  throw new ConfigError("store must be { redis: 'redis://localhost:6379' }, { sqlite: '.data' } or 'memory'")
}

/** Reads the configuration of a process, empty variables counting as unset. Throws `ConfigError`. */
export function readConfig(environment: Record<string, string | undefined> = process.env): ProcessConfig {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  )
  const env = parse(processSchema(), given, null)
  const address: EngineAddress =
    env.REDIS_URL === undefined
      ? { kind: 'sqlite', folder: env.JOBCAST_DATA }
      : { kind: 'redis', url: env.REDIS_URL, prefix: env.JOBCAST_PREFIX }
  const settings = Object.fromEntries(settingNames().map((name) => [name, given[inEnvironment(name)]]))
  const config = toConfig(settings, address, null, inEnvironment)
  if (config.role !== 'worker') checkHost(config, env.HOST)
  return {
    ...config,
    port: env.PORT ?? 3000,
    portGiven: env.PORT !== undefined,
    host: env.HOST,
    jobsFiles: env.JOBCAST_JOBS,
    hungExitMs: env.JOBCAST_HUNG_EXIT_MS ?? null,
    logLevel: env.JOBCAST_LOG,
  }
}

function toConfig(
  given: Readonly<Record<string, unknown>>,
  store: EngineAddress,
  authorize: Authorize | null,
  named: Named,
): Config {
  // Compiling a schema pays for itself only when it is used again.
  const parsed = settingsSchema().safeParse(given, { jitless: true })
  if (!parsed.success) {
    const [finding] = parsed.error.issues.flatMap((issue) => findingsOf(issue))
    const setting = settingNames().find((name) => name === finding?.path[0])
    throw new ConfigError(`${setting === undefined ? '' : named(setting)} ${finding?.message}`)
  }
  const { defaultType = null, tokenSecret = null, ...settings } = parsed.data
  if (store.kind !== 'redis' && settings.role !== 'all') {
    throw new ConfigError(
      `${named('role')} ${settings.role} needs ${named('redis')}: the embedded engine serves one process only`,
    )
  }
  return { ...settings, defaultType, tokenSecret, store, authorize, embedded: named !== inEnvironment, named }
}

function parse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  name: string | null,
): z.output<Schema> {
  const parsed = schema.safeParse(value, { jitless: true })
  if (parsed.success) return parsed.data
  const [finding] = parsed.error.issues.flatMap((issue) => findingsOf(issue))
  throw new ConfigError(`${name ?? String(finding?.path[0])} ${finding?.message}`)
}

/** Whoever reaches a server that asks nobody who they are may do everything. Throws `ConfigError`. */
export function checkHost({ apiKeys, authorize, embedded, named }: Config, host: string): void {
  if (apiKeys.length > 0 || authorize !== null || isLoopback(host)) return
  throw new ConfigError(
    `${named('host')} ${host} is reachable from other machines: set ${named('apiKeys')}${embedded ? ' or authorize' : ''}, or use 127.0.0.1`,
  )
}
