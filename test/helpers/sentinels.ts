import { Redis } from 'ioredis'
import { type RedisServer, startRedis } from './redis.ts'
import { until } from './until.ts'

const MASTER = 'jobs'
/** Of three sentinels. */
const QUORUM = 2

/** A master, a replica and the three sentinels that watch over them. */
export interface Sentinels {
  /** For REDIS_URL. */
  readonly url: string
  readonly servers: readonly [RedisServer, RedisServer]
  /** The server that the sentinels hold for the master now. */
  master(): Promise<RedisServer>
  /** Resolves when the replica has everything that was written so far. */
  replicated(): Promise<void>
  /** Has them make the replica the master, as for maintenance; resolves when they have. */
  failOver(): Promise<void>
  stop(): Promise<void>
}

export async function startSentinels(args: readonly string[] = []): Promise<Sentinels> {
  const first = await startRedis({ args })
  const second = await startRedis({ args: [...args, '--replicaof', `127.0.0.1 ${first.port}`] })
  const config = [
    `sentinel monitor ${MASTER} 127.0.0.1 ${first.port} ${QUORUM}`,
    `sentinel down-after-milliseconds ${MASTER} 500`,
    `sentinel failover-timeout ${MASTER} 5000`,
  ]
  const sentinels = await Promise.all([1, 2, 3].map(() => startRedis({ config, args: ['--sentinel'] })))
  const operators = sentinels.map(({ url }) => new Redis(url))
  const ask = operators[0] ?? new Redis({ lazyConnect: true })
  const servers = [first, second] as const

  const masterOf = async (sentinel: Redis): Promise<RedisServer | undefined> => {
    const answer = await sentinel.call('sentinel', ['get-master-addr-by-name', MASTER])
    const port = Array.isArray(answer) ? Number(answer[1]) : Number.NaN
    return servers.find((server) => server.port === port)
  }

  const knowsAll = async (sentinel: Redis): Promise<boolean> => {
    const quorum = await sentinel.call('sentinel', ['ckquorum', MASTER]).catch(() => '')
    const replicas = JSON.stringify(await sentinel.call('sentinel', ['replicas', MASTER]))
    return String(quorum).startsWith('OK 3') && replicas.includes('"master-link-status","ok"')
  }
  await until(async () => (await Promise.all(operators.map(knowsAll))).every(Boolean), {
    what: 'sentinels that know each other and the replica',
  })

  return {
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${MASTER}`,
    servers,
    async master() {
      return until(() => masterOf(ask), { what: 'a master' })
    },
    async replicated() {
      const master = new Redis((await until(() => masterOf(ask), { what: 'a master' })).url)
      try {
        await until(async () => (await master.wait(1, 1000)) === 1, {
          what: 'the replica to have everything',
        })
      } finally {
        master.disconnect()
      }
    },
    async failOver() {
      const before = await masterOf(ask)
      await ask.call('sentinel', ['failover', MASTER])
      await until(async () => (await masterOf(ask)) !== before, { what: 'another master' })
    },
    async stop() {
      for (const operator of operators) operator.disconnect()
      await Promise.all(sentinels.map((sentinel) => sentinel.stop()))
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
}
