import { Redis, type RedisOptions } from 'ioredis'
import type { RedisAddress } from './address.ts'

/** What one attempt to connect is given. */
interface Attempt {
  /** Shown by CLIENT LIST. */
  readonly name: string
  readonly timeoutMs: number
  /** Attempts since the last one that succeeded: each asks another sentinel first. */
  readonly tries: number
}

/** A connection that is not open yet, made for one life: it neither reconnects nor keeps commands for later. */
export function dial(address: RedisAddress, { name, timeoutMs, tries }: Attempt): Redis {
  const once = {
    lazyConnect: true,
    connectionName: name,
    connectTimeout: timeoutMs,
    disableClientInfo: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
    retryStrategy: () => null,
  } satisfies RedisOptions
  if (address.kind === 'server') return new Redis(address.url, once)
  const { sentinels, master, username, password, database, tls } = address
  const first = tries % sentinels.length
  return new Redis({
    ...once,
    sentinels: [...sentinels.slice(first), ...sentinels.slice(0, first)],
    name: master,
    role: 'master',
    db: database,
    sentinelRetryStrategy: () => null,
    sentinelCommandTimeout: timeoutMs,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: {}, enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  })
}
