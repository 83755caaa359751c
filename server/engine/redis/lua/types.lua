-- Every type that was ever registered, submitted to, or paused.
--
-- KEYS  1: prefix of the partition
-- Reply { { { type, registration (JSON or ''), paused (1 or 0), queued }, … }, { `<status> <type>`, count, … } }
-- Events none
--@include base
local types = {}
local known = call('HGETALL', prefix .. 'types')
for at = 1, #known, 2 do
  local type = known[at]
  types[#types + 1] = {
    type, known[at + 1], call('SISMEMBER', prefix .. 'paused', type), call('ZCARD', prefix .. 'queue:' .. type),
  }
end
return { types, call('HGETALL', prefix .. 'counts') }
