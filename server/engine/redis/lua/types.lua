-- Lists every type that was ever registered, submitted to, or paused. A registration counts for 30 days: processes that live say
-- theirs again within that time, so that what is older is a type that was deployed away.
--
-- KEYS  1: prefix of the partition
-- Reply { { { type, registration (JSON, '' for none or '-' for one that counts no more), paused (1 or 0), queued }, … },
--       { `<status> <type>`, count, … }, { type, its jobs that run and those that are completed (lib/counts.lua), … } }
-- Events none
--@include base
--@include pools
local KEPT_MS = 2592000000
local registered = {}
local times = call('HGETALL', prefix .. 'registered')
for at = 1, #times, 2 do registered[times[at]] = tonumber(times[at + 1]) end

local is_paused = {}
local routes = call('HGETALL', prefix .. 'routes')
for at = 1, #routes, 2 do
  is_paused[routes[at]] = parse_runners(routes[at + 1]) == 'paused'
end

local types = {}
local known = call('HGETALL', prefix .. 'types')
for at = 1, #known, 2 do
  local type, registration = known[at], known[at + 1]
  -- Where no time is known, an older version registered it.
  local is_old = registered[type] and now - registered[type] > KEPT_MS
  if is_old and registration ~= '' then registration = '-' end
  local queued = call('ZCARD', prefix .. 'queue:' .. type)
  types[#types + 1] = { type, registration, is_paused[type] and 1 or 0, queued }
end
return { types, call('HGETALL', prefix .. 'counts'), call('HGETALL', prefix .. 'runs') }
