-- Who runs a type, and whether it may be run: pools and pauses. Workers that run the same types form a pool.
-- `ready:<pool>` holds, by turn, every type of the pool whose queue may have jobs, so that neither a claim nor a wait ever
-- scans types: a type is added when its queue stops being empty (or is resumed), and taken out when it is found empty (or
-- is paused). `pools` holds when a worker of each pool was last heard of, `pool:<pool>` its types, `routes` of each type
-- `new` (nobody has submitted to it), `open` or `paused`, and the pools that run it, with a space before each.
--
-- Takes call, prefix, clock.
-- Gives parse_runners, open_type, make_ready.

-- Takes apart what `routes` has of a type: how it stands there, and the pools that are its runners.
local function parse_runners(stored)
  return string.match(stored or 'new', '^(%a+)(.*)')
end

-- Lets a type be run, as when it has its first job.
local function open_type(type, runners)
  call('HSETNX', prefix .. 'types', type, '')
  call('HSET', prefix .. 'routes', type, 'open' .. runners)
end

-- Types that may have jobs go behind those of the pool that were ready before.
local function make_ready(pool, types)
  local turn = clock[1] .. string.format('%06d', clock[2])
  local entries = {}
  for n, type in ipairs(types) do entries[2 * n - 1], entries[2 * n] = turn, type end
  call('ZADD', prefix .. 'ready:' .. pool, 'NX', unpack(entries))
end

--@part keep
-- Notes that a worker of the pool is alive; it is not known where the pool is not (any more).
--
-- Takes call, prefix, now_text, pool.
-- Gives is_known.
local is_known
do
  local KEEP_POOL_EVERY_MS = 60000
  local heard = call('HGET', prefix .. 'pools', pool)
  is_known = heard ~= false
  if is_known and now_text - heard > KEEP_POOL_EVERY_MS then call('HSET', prefix .. 'pools', pool, now_text) end
end
