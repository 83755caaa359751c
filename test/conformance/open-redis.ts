import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import type { Engine } from '../../server/engine/engine.ts'
import { createRedisEngine } from '../../server/engine/redis/engine.ts'
import type { OpenStore } from './harness.ts'

/** The Redis engine under a prefix of its own, unless one is given. */
export async function openRedis(url: string, prefix = `test-${randomUUID()}`): Promise<OpenStore> {
  const engines: Engine[] = []
  const start = async () => {
    const engine = createRedisEngine({ url, prefix })
    engines.push(engine)
    await engine.start()
    return engine
  }
  let engine = await start()
  return {
    get engine() {
      return engine
    },
    async reopen() {
      await engine.stop()
      engine = await start()
      return engine
    },
    async interrupt() {
      const operator = new Redis(url)
      await operator.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      operator.disconnect()
      return true
    },
    peer: start,
    async close() {
      await Promise.all(engines.map((one) => one.stop()))
    },
  }
}
