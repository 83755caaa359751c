-- Workers that run the same types form a pool. `ready:<pool>` holds, by turn, every type of the pool whose queue may
-- have jobs, so that neither a claim nor a wait ever scans types: a type is added when its queue stops being empty (or is
-- resumed), and taken out when it is found empty (or is paused). `pools` holds when a worker of each pool was last heard
-- of, `pool:<pool>` its types, `routes` of each type `new` (nobody has submitted to it), `open` or `paused`, and the pools
-- that run it. `idle:<pool>` holds, longest first, the workers that wait, each as
-- `<worker> <claim id>/<lease in ms> <type> <type> `: a job may be handed over under this claim, and the types are those of
-- the pool that it has no room for. `waiting` holds every pool with idle workers, and maybe some without.

-- Notes that a worker of the pool is alive; false where the pool is not known (any more).
local function keep_pool(pool, now_text)
  local KEEP_POOL_EVERY_MS = 60000
  local pools = KEYS[1] .. 'pools'
  local heard = redis.call('HGET', pools, pool)
  if not heard then return false end
  if now_text - heard > KEEP_POOL_EVERY_MS then redis.call('HSET', pools, pool, now_text) end
  return true
end
