import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { inLanes } from '../harness/lanes.mjs'
import { serve } from '../harness/serve.mjs'
import { addBareScripts } from './bare-scripts.mjs'

const redis = addBareScripts(new Redis({ host: '127.0.0.1', port: Number(process.env.REDIS_PORT) }))

serve({
  /** In bulks, so many at a time. */
  addBulks: (jobs, bulk, inFlight) =>
    inLanes(jobs / bulk, inFlight, (n) =>
      redis.bareStore(
        ...Array.from({ length: bulk }, (_, at) => [
          randomUUID(),
          JSON.stringify({ n: n * bulk + at }),
        ]).flat(),
      ),
    ),
})
