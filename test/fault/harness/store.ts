import { join } from 'node:path'
import { Redis } from 'ioredis'
import { openDatabase } from '../../../server/engine/sqlite/database.ts'
import { type RedisServer, startRedis } from '../../helpers/redis.ts'
import { type RedisProxy, startRedisProxy } from '../../helpers/redis-proxy.ts'
import { type Sentinels, startSentinels } from '../../helpers/sentinels.ts'
import { dataFolder } from '../../helpers/server.ts'

export type EngineName = 'redis' | 'sqlite'

/** Where the jobs of one experiment are kept. */
export interface Store {
  readonly engine: EngineName
  /** What a process is told of it. */
  readonly env: Readonly<Record<string, string>>
  /** Names of what is kept besides jobs and what belongs to live processes, to be compared before and after. */
  leftovers(): Promise<string[]>
  /** Undoes what an experiment has done to it and left so. */
  rest(): void
  /** Throws where what is on disk is damaged. No process may run. */
  checkIntegrity(): void
  close(): Promise<void>
}

/** A redis-server of the experiment's own, a proxy before it, and an operator's connection beside it. */
export interface RedisStore extends Store {
  readonly engine: 'redis'
  readonly server: RedisServer
  readonly proxy: RedisProxy
  readonly operator: Redis
}

/** A master and a replica under sentinels. */
export interface SentinelStore extends Store {
  readonly engine: 'redis'
  readonly sentinels: Sentinels
}

export interface SqliteStore extends Store {
  readonly engine: 'sqlite'
  readonly folder: string
}

export interface RedisStoreOptions {
  /** Of the redis-server, after what the tests always say. */
  readonly args?: readonly string[]
  /** Whether processes reach it through the proxy. */
  readonly proxied?: boolean
}

export async function openRedisStore({
  args = [],
  proxied = false,
}: RedisStoreOptions = {}): Promise<RedisStore> {
  const server = await startRedis({ args })
  const proxy = await startRedisProxy(() => server.port)
  const operator = new Redis(server.url, { retryStrategy: () => 50, maxRetriesPerRequest: null })
  operator.on('error', () => {})
  return {
    engine: 'redis',
    server,
    proxy,
    operator,
    env: { REDIS_URL: proxied ? proxy.url : server.url },
    leftovers: () => lastingKeys(operator),
    rest() {
      proxy.disturb = (_message, deliver) => deliver()
      proxy.bytesPerSecond = 0
    },
    checkIntegrity() {},
    async close() {
      operator.disconnect()
      await proxy.close()
      await server.stop()
    },
  }
}

export async function openSentinelStore(args: readonly string[] = []): Promise<SentinelStore> {
  const sentinels = await startSentinels(args)
  return {
    engine: 'redis',
    sentinels,
    env: { REDIS_URL: sentinels.url },
    async leftovers() {
      const operator = new Redis((await sentinels.master()).url)
      try {
        return await lastingKeys(operator)
      } finally {
        operator.disconnect()
      }
    },
    rest() {},
    checkIntegrity() {},
    close: () => sentinels.stop(),
  }
}

async function lastingKeys(operator: Redis): Promise<string[]> {
  const keys = await operator.keys('*')
  const names = keys.map(withoutPrefix).filter(isLasting)
  for (const key of keys.filter((key) => key.endsWith(':leases'))) {
    // What keeps the set sorted has no end.
    const leases = await operator.zrangebyscore(key, '-inf', '(+inf')
    names.push(...leases.map((jobId) => `the lease of ${jobId}`))
  }
  return names.sort()
}

/** Keys that come and go with processes that live, each with an end of its own. */
const OF_PROCESSES = /^(claim:|idle:|ready:|pool:|pools|presence:|present|routes|waiting$)/
/** Kept for good, or for a day: counters, what is known of types, and idempotency records. */
const OF_THE_STORE = /^(counts|runs$|leases$|once:|order|types|secret:|whole$)/

function isLasting(key: string): boolean {
  return !OF_PROCESSES.test(key) && !OF_THE_STORE.test(key)
}

function withoutPrefix(key: string): string {
  return key.replace(/^\{[^}]*\}:/, '')
}

/** Whatever belongs to jobs. */
const TABLES = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('meta', 'types', 'secrets')`

/** `folder` left out: a new one, removed when it is closed. */
export async function openSqliteStore(folder?: string): Promise<SqliteStore> {
  const own = folder === undefined ? await dataFolder() : null
  const path = folder ?? own?.path ?? ''
  return {
    engine: 'sqlite',
    folder: path,
    env: { JOBCAST_DATA: path },
    leftovers: async () => [],
    rest() {},
    checkIntegrity() {
      const database = openDatabase(join(path, 'jobcast.db'))
      try {
        const verdict = database.prepare('PRAGMA integrity_check').get([])
        if (verdict?.[0] !== 'ok') throw new Error(`integrity_check: ${String(verdict?.[0])}`)
        for (const [table] of database.prepare(TABLES).all([])) {
          const [rows] = database.prepare(`SELECT count(*) FROM "${table}"`).get([]) ?? []
          if (rows !== 0) throw new Error(`${String(rows)} rows are left in ${String(table)}`)
        }
      } finally {
        database.close()
      }
    },
    close: async () => own?.remove(),
  }
}
