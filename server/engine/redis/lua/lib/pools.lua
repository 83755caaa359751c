-- Workers that run the same types form a pool. `ready:<pool>` holds, by turn, every type of the pool whose queue may
-- have jobs, so that neither a claim nor a wait ever scans types: a type is added when its queue stops being empty (or is
-- resumed), and taken out when it is found empty (or is paused). `pools` holds when a worker of each pool was last heard
-- of, `pool:<pool>` its types, `pools:<type>` the pools that run a type. `idle:<pool>` holds, longest first, the workers
-- that wait, each as `<worker> <claim id>/<lease in ms> <type> <type> `: a job may be handed over under this claim (none
-- may where there is `-`), and the types are those of the pool that it has no room for.
local MOST_IDLE_LOOKED_AT = 32
local KEEP_POOL_EVERY_MS = 60000

-- Notes that a worker of the pool is alive; false where the pool is not known (any more).
local function keep_pool(pool)
  local heard = call('ZSCORE', prefix .. 'pools', pool)
  if not heard then return false end
  if now - heard > KEEP_POOL_EVERY_MS then call('ZADD', prefix .. 'pools', now, pool) end
  return true
end

-- A number that grows from script to script and, with `step`, within one.
local function turn(step)
  return clock[1] * 1000000 + clock[2] + step
end

local function has_room(member, type)
  return not string.find(member, ' ' .. type .. ' ', 1, true)
end

-- Worker, claim id and lease of an idle worker that takes a job handed over; nil of another.
local function waits_under(member)
  return string.match(member, '^(%S+) (%S+)/(%d+) ')
end

-- Wakes the worker of the pool that has been idle longest and has room for this type.
local function wake(pool, type)
  local idle = prefix .. 'idle:' .. pool
  for _, member in ipairs(call('ZRANGE', idle, 0, MOST_IDLE_LOOKED_AT - 1)) do
    if has_room(member, type) then
      call('ZREM', idle, member)
      local worker = string.match(member, '^%S+')
      -- Nobody hears it where the worker has died: then the next one is asked.
      if call('PUBLISH', prefix .. 'worker:' .. worker, 'wake') > 0 then return true end
    end
  end
  return false
end
