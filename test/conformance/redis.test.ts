import { afterAll, beforeAll } from 'vitest'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { describeEngine } from './describe-engine.ts'
import { openRedis } from './open-redis.ts'

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

describeEngine('redis', () => openRedis(redis.url))
