/** The built product, seen from inside where HTTP would be in the way of what is measured. */
const dist = new URL('../../dist/', import.meta.url)

/** The engine at an address (`{ kind: 'redis', url, prefix }` or `{ kind: 'sqlite', folder }`), started. */
export async function openEngine(address) {
  const { openEngine: open } = await import(new URL('server/engine/open.js', dist).href)
  const engine = await open(address)
  await engine.start()
  return engine
}

/** What a submission without options comes to. */
export const POLICY = {
  priority: 0,
  maxAttempts: 3,
  maxStalls: 2,
  backoff: { kind: 'exponential', delayMs: 1000, maxMs: 60_000, jitter: 0.5 },
  timeoutMs: 600_000,
  retainMs: 86_400_000,
}

export const PREFIX = 'jobcast'
/** For JOBCAST_JOBS. */
export const JOBS_MODULE = new URL('../contenders/jobs.mjs', import.meta.url).pathname
/** What all keys of the product begin with. */
export const KEYS = `{${PREFIX}:0}:`

/** How many jobs of a type run and how many are completed, in one cheap look at what the store keeps of both. */
export async function runCounts(redis, type) {
  const stored = (await redis.client.hget(`${KEYS}runs`, type)) ?? ''
  return { processing: Number(stored.slice(0, -12)), completed: Number(stored.slice(-12)) }
}

/** A job for `engine.submit`. */
export function newJob(type, payload) {
  return { type, payload, policy: POLICY, tags: [], when: { delayMs: 0 } }
}

/** Configuration of a worker process of the product on this Redis, with the handlers of contenders/jobs.mjs. */
export function workerOn(redis, concurrency = 10) {
  return {
    REDIS_URL: redis.url,
    JOBCAST_PREFIX: PREFIX,
    JOBCAST_ROLE: 'worker',
    JOBCAST_JOBS: JOBS_MODULE,
    JOBCAST_CONCURRENCY: concurrency,
  }
}
