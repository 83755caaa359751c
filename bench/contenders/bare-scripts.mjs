/**
 * The limit: what Jobcast writes and publishes, in scripts that check, count and decide nothing. They cannot retry,
 * cancel, lease, pause or replay; they show what the commands alone cost.
 */
const KIND = 'noop 0 3 86400000'
const NOW = `local now = table.concat(redis.call('TIME'), '.')`

const SCRIPTS = {
  // ARGV of each job: id, payload
  bareStore: `${NOW}
    local jobs, queue = {}, {}
    for at = 1, #ARGV, 2 do
      local id = ARGV[at]
      redis.call('HSET', 'job:' .. id, 'state', '1 queued', 'kind', '${KIND}', 'born', now, 'payload', ARGV[at + 1])
      jobs[at], jobs[at + 1] = at, id
      queue[at], queue[at + 1] = at, id
    end
    redis.call('ZADD', 'jobs', unpack(jobs))
    redis.call('ZADD', 'queue', unpack(queue))`,
  // ARGV id, payload, channel of the worker that gets it
  bareHandOver: `${NOW}
    local id, payload = ARGV[1], ARGV[2]
    redis.call('HSET', 'job:' .. id, 'state', '2 processing', 'kind', '${KIND}', 'born', now, 'payload', payload, '2', now)
    redis.call('ZADD', 'jobs', 1, id)
    redis.call('ZADD', 'leases', 1, id)
    redis.call('PUBLISH', ARGV[3], payload)`,
  // ARGV id, result, message for whoever watches it
  bareSettle: `${NOW}
    local id = ARGV[1]
    redis.call('HSET', 'job:' .. id, 'state', '3 completed', '3', now, 'result', ARGV[2])
    redis.call('ZREM', 'leases', id)
    redis.call('ZADD', 'expiring', 1, id)
    redis.call('PUBLISH', id, ARGV[3])`,
}

/** Adds the scripts to an ioredis client, as methods of these names. */
export function addBareScripts(redis) {
  for (const [name, lua] of Object.entries(SCRIPTS)) redis.defineCommand(name, { lua, numberOfKeys: 0 })
  return redis
}
