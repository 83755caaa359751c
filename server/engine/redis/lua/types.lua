-- Every type that was ever registered, submitted to, or paused.
--
-- KEYS  1: prefix of the partition
-- Reply { { { type, registration (JSON or ''), paused (1 or 0), queued }, … }, { `<status> <type>`, count, … }, { type, its jobs that run and
--       those that are completed (lib/counts.lua), … } }
-- Events none
local prefix, call = KEYS[1], redis.call
local types = {}
local known = call('HGETALL', prefix .. 'types')
for at = 1, #known, 2 do
  local type = known[at]
  local route = call('HGET', prefix .. 'routes', type) or ''
  local paused = string.sub(route, 1, 6) == 'paused' and 1 or 0
  types[#types + 1] = { type, known[at + 1], paused, call('ZCARD', prefix .. 'queue:' .. type) }
end
return { types, call('HGETALL', prefix .. 'counts'), call('HGETALL', prefix .. 'runs') }
