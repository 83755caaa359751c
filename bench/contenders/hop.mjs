import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { nowMs } from '../harness/clock.mjs'
import { serve } from '../harness/serve.mjs'
import { addBareScripts } from './bare-scripts.mjs'

/** Messages over Redis pub/sub: the least that telling another process takes. */
const redis = addBareScripts(new Redis({ host: '127.0.0.1', port: Number(process.env.REDIS_PORT) }))
let times = []

serve({
  async listen(channel) {
    redis.on('message', (_channel, at) => times.push((nowMs() - Number(at)) * 1000))
    await redis.subscribe(channel)
  },
  async publish(channel, samples, restMs) {
    for (let n = 0; n < samples; n++) {
      if (restMs > 0) await pause(restMs)
      await redis.publish(channel, nowMs())
    }
  },
  /** The same, with all that a job handed over leaves in the store. */
  async handOver(channel, samples, restMs) {
    for (let n = 0; n < samples; n++) {
      if (restMs > 0) await pause(restMs)
      await redis.bareHandOver(randomUUID(), nowMs(), channel)
    }
  },
  heard() {
    const heard = times
    times = []
    return heard
  },
})
